"""The credentials that are recognised by what stands around them, and prefixes of keys of any length.

These add to the rules of gitleaks (:mod:`.credential_rules`), which know the exact lengths of today's keys.
"""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.providers import PROVIDERS

_WORD_END = r"(?![A-Za-z0-9])"
_PREFIXES = (
    # models and data for them
    *(
        "gsk_",
        "hf_",
        "jina_",
        "lsv2_pt_",
        "lsv2_sk_",
        "nvapi-",
        "pcsk_",
        "pplx-",
        "r8_",
        "tgp_v1_",
        "tvly-",
        "wandb_v1_",
    ),
    *("xai-", "csk-", "fw_", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
    # code and packages
    *("bkua_", "dckr_pat_", "figd_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat-", "gldt-", "glrt-"),
    *("glptt-", "npm_", "pypi-", "rubygems_", "sgp_", "sntrys_", "sntryu_"),
    # clouds and services
    *(
        "ATATT3x",
        "ATCTT3x",
        "GOCSPX-",
        "NRAK-",
        "PMAK-",
        "SG.",
        "dop_v1_",
        "doo_v1_",
        "dor_v1_",
        "dp.pt.",
        "glc_",
        "glsa_",
    ),
    *("hvb.", "hvr.", "hvs.", "lin_api_", "lin_oauth_", "napi_", "ntn_", "pnu_", "pscale_tkn_", "pul-", "rnd_", "sbp_"),
    *("sb_secret_", "secret_", "shpat_", "shpca_", "shppa_", "shpss_", "tskey-", "xapp-", "xkeysib-", "ya29."),
)
_SCHEMES = "apikey|api-key|basic|bearer|bot|digest|key|negotiate|oauth|splunk|token"
_SIGNED_PARAMETER = (
    r"(?:[\w-]{0,30}(?:api[_-]?key|access[_-]?key|signature|token|secret|passw(?:or)?d|credential)|key|sig|pwd|auth)"
)
_PAIR = r"[\w.!\#$%^*+~|-]{1,80}=[^\s;,\"'\\]"


@dataclass(frozen=True, slots=True)
class CredentialKind:
    """Where one kind of credential stands."""

    markers: tuple[str, ...]
    """Lower-case substrings; a text without any of them does not contain this kind."""
    pattern: re.Pattern[str]
    """Its first group is the credential; without a group, the whole match."""
    varied: bool = False
    """True when the credential must not look like a word."""


def _kind(markers: str, pattern: str, *, varied: bool = False) -> CredentialKind:
    return CredentialKind(tuple(markers.split()), re.compile(pattern, re.ASCII | re.VERBOSE), varied)


def _prefixed(prefixes: tuple[str, ...], varied: str) -> str:
    """Returns the pattern of a prefix and at least 20 characters, with a *varied* one among the first 40.

    After an underscore there are no hyphens, so that names of functions are no keys.
    """
    return rf"""(?<![\w-])(?:{"|".join(map(re.escape, prefixes))})(?=[a-zA-Z_-]{{0,40}}{varied})
        (?:(?<=[-.])[\w-]{{20,}}+(?:\.[\w-]{{20,}}+)*+ | (?<=_)[A-Za-z0-9]{{20,}}+)"""


KINDS_BY_CONTEXT = (
    _kind(
        "-----begin",
        r"""-----BEGIN[ ](?:[A-Z0-9]{1,20}[ ]){0,4}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
        (?:
          (?:[^-]|-(?!----)){0,20000}+-----END[ ][A-Z0-9 ]{1,80}-----
          | (?:[\s\\]|[A-Za-z0-9+/=]{16,}+)*+                               # truncated
        )""",
    ),
    # The password in a URL, up to the last @ before a slash; a password with a slash has no @.
    _kind(
        "://",
        r"""://[^\s/:@?\#"'<>]{0,200}:
        ([^\s/?\#"'<>]{1,200}(?=@[\w\[]) | (?!\d{1,5}[/?\#])[^\s"'<>@]{1,200}+(?=@[\w\[]))""",
    ),
    _kind("=", rf"(?i:[?&;]{_SIGNED_PARAMETER})=([^\s&\"'<>\#\[\]{{}}]{{8,}}+)", varied=True),
    _kind("sig=", r"(?<![\w-])sig=([\w%+/=-]{20,}+)", varied=True),
    _kind("bearer", r"(?<!\w)(?i:bearer)\s{1,4}(?=[A-Za-z._~+/-]{0,80}[0-9])[\w.~+/-]{16,}(?<!\.)=*+"),
    _kind(
        "authorization",
        rf"""(?i:authorization["'\\]{{0,2}}\s?[:=]\s{{0,3}}["'\\]{{0,2}}(?:{_SCHEMES})\s{{1,3}})
        ([\w.~+/=:-]{{6,}}(?<!\.))""",
        varied=True,
    ),
    _kind(
        "x- api-key private-token",
        r"""(?<!\w)(?i:(?:x-[a-z-]{0,30}(?:key|token|secret|auth)|api-key|private-token)["'\\]{0,2}\s?:\s{0,3}["'\\]{0,2})
        ([\w.~+/=-]{12,}(?<!\.))""",
        varied=True,
    ),
    _kind(
        "cookie",
        rf"""(?i:(?<![\w-])(?:set-)?cookie["'\\]{{0,2}}\s?[:=]\s{{0,3}}["'\\]{{0,2}}|--cookie[ =]["']?)
        ({_PAIR}{{1,4096}}+(?:;\s{{0,2}}(?:{_PAIR}{{0,4096}}+|[A-Za-z]{{1,20}}))*+)""",
    ),
    _kind(
        "curl",
        r"""(?<!\w)curl(?!\w)[^\n]{0,300}?\s(?:-[A-Za-z]{0,6}[uU][ ]?|--(?:proxy-)?user[ =])["']?
        [^\s:"'\\]{0,100}:([^\s"'\\]{1,200})""",
    ),
    _kind(
        "--pass --token --api-key --secret",
        r"(?<![\w-])--(?:pass(?:word|wd|phrase)?|token|api-key|secret)[ =][\"']?([^\s\"'\\-][^\s\"'\\]{5,200})",
        varied=True,
    ),
)
"""Kinds of which any text may be a credential, because of what stands before it."""
_KINDS_BY_FORMAT = (
    _kind("eyj", r"(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]{8,}+"),
    _kind("akia asia", rf"(?<![A-Za-z0-9])A[KS]IA[0-9A-Z]{{16}}{_WORD_END}"),
    _kind("q~", r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~-][\w~.-]{29,32}[\w~-]"),
    _kind("aiza", r"(?<![\w-])AIza[\w-]{35}(?![\w-])"),
    _kind("github_pat_", r"(?<!\w)github_pat_\w{22,}+"),
    _kind("1//0", r"(?<!\w)1//0[\w-]{30,}+"),
    _kind("xox", r"(?<![\w-])xox[abceoprsd](?:\.xox[bp])?-(?=[A-Za-z-]{0,10}[0-9])[A-Za-z0-9-]{10,}+"),
    _kind("hooks.slack.com", r"hooks\.slack\.com/services/([A-Z0-9]{8,}+/[A-Z0-9]{8,}+/\w{16,}+)"),
    _kind("/api/webhooks/", r"/api/webhooks/(\d{15,20}/[\w-]{40,}+)"),
    _kind("age-secret-key-1", r"(?<![\w-])(?i:AGE-SECRET-KEY-1[A-Z0-9]{20,}+)"),
    _kind("dapi", r"(?<![\w-])dapi[0-9a-f]{32}(?:-\d)?(?!\w)"),
    _kind("ac sk", rf"(?<![A-Za-z0-9])(?:AC|SK)[0-9a-f]{{32}}{_WORD_END}"),
    _kind("key- pubkey-", r"(?<![\w-])(?:pub)?key-[0-9a-f]{32}(?!\w)"),
    _kind("-", r"(?<![\w-])[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-])"),
    _kind(":aa", r"(?<!\w)\d{6,12}:AA[\w-]{30,}+"),
    _kind(".", r"(?<![\w.-])[MNO][\w-]{22,28}\.[\w-]{6}\.[\w-]{27,45}(?![\w-])", varied=True),
    _kind(" ".join(_PREFIXES).lower(), _prefixed(_PREFIXES, "[0-9]")),
)


@cache
def kinds_by_format() -> tuple[CredentialKind, ...]:
    """Returns the kinds of long credentials.

    The prefixes of the providers' keys are known when installed packages are loaded.
    """
    prefixes = tuple(dict.fromkeys(provider.key_prefix for provider in PROVIDERS.values() if provider.key_prefix))
    # Hyphenated words are not a key.
    keys = rf"(?<![\w-])(?:{'|'.join(map(re.escape, prefixes))})(?=[a-z_-]{{0,40}}[0-9A-Z])[\w-]{{20,}}+"
    return (_kind(" ".join(prefixes).lower(), keys), *_KINDS_BY_FORMAT)
