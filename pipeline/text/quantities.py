"""Numbers with units as people read them: durations, and counts of tokens or calls."""


def duration_text(seconds: float) -> str:
    """Returns a rounded duration, such as ``45 s``, ``12 min``, ``1 h 20 min`` or ``2 d 3 h``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def short_number(number: float) -> str:
    """Returns a number with at most three digits, such as ``950``, ``12.5``, ``1.2 k`` or ``3.2 M``."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 0.9995 * unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"
