"""A slot: the weekday and the minute at which a meeting starts."""

from dataclasses import dataclass

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """The start of a meeting."""

    day: int
    """Weekday: 0 for Monday to 6 for Sunday."""
    minutes: int
    """Minutes since midnight."""

    def __str__(self) -> str:
        return f"{DAYS[self.day]} {self.minutes // 60}:{self.minutes % 60:02d}"
