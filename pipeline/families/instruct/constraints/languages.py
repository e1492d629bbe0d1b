"""Detects the language of a text with the detector of the released scorer, but with a fixed seed.

The detector (langdetect, a port of Nakatani Shuyo's language-detection) samples letter sequences at random.  The
released scorer does not set a seed, so short texts in capitals change their language from run to run.  Here every call
starts from the same seed, and a text always gets the same result.  ``langdetect-rs`` gives exactly the results of
``langdetect`` for the same seed in a thirtieth of the time.  It is loaded on first use.
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
"""Codes of the languages that the detector knows."""

UNKNOWN = "unknown"
"""Result of the detector for a text with letters in which no language is likely."""

SEED = 0
_CACHED = 256


def detect_language(text: str) -> str | None:
    """Returns the code of the most likely language; None for a text without letters."""
    likely = likely_languages(text)
    return likely[0] if likely else None


@lru_cache(maxsize=_CACHED)
def likely_languages(text: str) -> tuple[str, ...]:
    """Returns the languages with a probability above 0.1, most likely first; empty for a text without letters."""
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
