"""Which language a text is in, by the detector that the released scorer uses, but with a fixed seed.

The detector (langdetect, after Nakatani Shuyo's) walks at random over letter sequences.  The released scorer leaves
it unseeded, so short texts in capitals change their language from run to run; here every call starts from the same
seed, and a text always gets the same answer.  ``langdetect-rs`` gives the same bits as ``langdetect`` for the same
seed in a thirtieth of the time.  Loaded on first use.
"""

from functools import cache, lru_cache
from typing import Any

LANGUAGES = frozenset(
    (
        "af", "ar", "bg", "bn", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he",
        "hi", "hr", "hu", "id", "it", "ja", "kn", "ko", "lt", "lv", "mk", "ml", "mr", "ne", "nl", "no", "pa", "pl",
        "pt", "ro", "ru", "sk", "sl", "so", "sq", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh-cn",
        "zh-tw",
    )
)  # fmt: skip
"""The languages that the detector knows."""

UNKNOWN = "unknown"
"""What the detector calls a text with letters in which no language stands out."""

SEED = 0
_REMEMBERED = 256


def detect_language(text: str) -> str | None:
    """The code of the likeliest language; None when the text has no letters to tell it by."""
    likely = likely_languages(text)
    return likely[0] if likely else None


@lru_cache(maxsize=_REMEMBERED)
def likely_languages(text: str) -> tuple[str, ...]:
    """The languages that the detector gives more than a tenth, likeliest first; none for a text without letters."""
    from langdetect_rs import LangDetectException

    detector = _factory().create()
    detector.append(text)
    try:
        return tuple(language.lang for language in detector.get_probabilities()) or (UNKNOWN,)
    except LangDetectException:
        return ()


@cache
def _factory() -> Any:  # noqa: ANN401 - the detector has no types
    from langdetect_rs import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(SEED)
    return factory
