"""Every kind of credential is found in every form in which a server or a model may write it.

The keys are made here from parts, so that no scanner of this repository takes them for real ones.
"""

import html
import json
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from muses_eval.pipeline.rng import SplitMix64
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.pipeline.text.escaped_text import readings

_HEX = "0123456789abcdef"
_UPPER = string.ascii_uppercase + string.digits
_ALL = string.ascii_letters + string.digits


def _random(length: int, letters: str = _ALL) -> str:
    """Returns a fixed text that looks random; the first characters are of every kind that *letters* has."""
    rng = SplitMix64(length)
    kinds = [kind for kind in ("7", "q", "Q", "b") if kind in letters]
    return "".join([*kinds, *(rng.choice(letters) for _ in range(length))][:length])


_PEM = f"-----BEGIN {{}}PRIVATE KEY-----\n{_random(64)}\n{_random(60)}\n-----END {{}}PRIVATE KEY-----"
_SLACK_PATH = f"T{_random(8, _UPPER)}/B{_random(9, _UPPER)}/{_random(24)}"
_JWT = f"eyJ{_random(30)}.eyJ{_random(50)}.{_random(43)}"

KINDS = {
    # name: (text before, secret, text after)
    "openai": ("", "sk-" + _random(48), ""),
    "openai project": ("", f"sk-proj-{_random(74)}T3Blbk" + f"FJ{_random(74)}", ""),
    "anthropic": ("", f"sk-ant-api03-{_random(93)}AA", ""),
    "openrouter": ("", "sk-or-v1-" + _random(64, _HEX), ""),
    "groq": ("", "gsk_" + _random(52), ""),
    "xai": ("", "xai-" + _random(80), ""),
    "replicate": ("", "r8_" + _random(37), ""),
    "perplexity": ("", "pplx-" + _random(48), ""),
    "hugging face": ("", "hf_" + _random(34, string.ascii_letters), ""),
    "google": ("", "AIza" + _random(35), ""),
    "google oauth": ("", "GOCSPX-" + _random(28), ""),
    "google refresh": ("", "1//0" + _random(60), ""),
    "google service account": ('"private_key": "', _PEM.format("", ""), '"'),
    "private key": ("", _PEM.format("RSA ", "RSA "), ""),
    "aws id": ("", "AKIA" + _random(16, _UPPER), ""),
    "aws secret": ("aws_secret_access_key = ", _random(40), ""),
    "azure storage": ("DefaultEndpointsProtocol=https;AccountKey=", _random(86) + "==", ";"),
    "azure sas": ("https://a.blob.core.windows.net/c?sv=2022-11-02&sig=", _random(43) + "=", "&se=2030"),
    "azure ad": ("", f"{_random(3)}8Q~{_random(34)}", ""),
    "github": ("", "ghp_" + _random(36), ""),
    "github fine-grained": ("", f"github_pat_{_random(22)}_{_random(59)}", ""),
    "gitlab": ("", "glpat-" + _random(20), ""),
    "npm": ("", "npm_" + _random(36), ""),
    "pypi": ("", "pypi-AgEIcHlwaS5vcmc" + _random(150), ""),
    "slack": ("", f"xoxb-{_random(12, string.digits)}-{_random(12, string.digits)}-{_random(24)}", ""),
    "slack webhook": ("https://hooks.slack.com/services/", _SLACK_PATH, ""),
    "discord bot": ("", f"M{_random(25)}.{_random(6)}.{_random(38)}", ""),
    "discord webhook": ("https://discord.com/api/webhooks/", f"{_random(19, string.digits)}/{_random(68)}", ""),
    "telegram": ("", f"{_random(10, string.digits)}:AA{_random(33)}", ""),
    "stripe": ("", "sk_live_" + _random(24), ""),
    "shopify": ("", "shpat_" + _random(32, _HEX), ""),
    "sendgrid": ("", f"SG.{_random(22)}.{_random(43)}", ""),
    "mailgun": ("", "key-" + _random(32, _HEX), ""),
    "mailgun new": ("", f"{_random(32, _HEX)}-{_random(8, _HEX)}-{_random(8, _HEX)}", ""),
    "twilio": ("", "SK" + _random(32, _HEX), ""),
    "linear": ("", "lin_api_" + _random(40), ""),
    "notion": ("", f"ntn_{_random(11, string.digits)}{_random(35)}", ""),
    "notion old": ("", "secret_" + _random(43), ""),
    "databricks": ("", "dapi" + _random(32, _HEX), ""),
    "vault": ("", "hvs." + _random(95), ""),
    "vault old": ("", "s." + _random(24), ""),
    "age": ("", "AGE-SECRET-KEY-1" + _random(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"), ""),
    "digitalocean": ("", "dop_v1_" + _random(64, _HEX), ""),
    "cloudflare": ("CLOUDFLARE_TOKEN=", _random(40), ""),
    "datadog": ("datadog: ", _random(40, _HEX), ""),
    "grafana": ("", f"glsa_{_random(32)}_{_random(8, _HEX)}", ""),
    "jwt": ("", _JWT, ""),
    "bearer": ("BEARER ", _random(20), ""),
    "authorization": ("authorization: Basic ", _random(11) + "=", ""),
    "header": ("X-Api-Key: ", _random(20), ""),
    "curl": ("curl -s -u admin:", _random(9), " https://x.example"),
    "cookie": ("Cookie: ", f"sid={_random(9)}; theme={_random(5)}", ""),
    "set-cookie": ("Set-Cookie: ", f"session={_random(30)}; Path=/", ""),
    "password in a url": ("postgres://ana:", "s3cr@t", "@db.example/x"),
    "password assigned": ("DB_PASSWORD=", _random(20), ""),
}  # fmt: skip


def _every(code: Callable[[int], str]) -> Callable[[str], str]:
    return lambda text: "".join(code(ord(letter)) for letter in text)


DRESSES: dict[str, Callable[[str], str]] = {
    "plain": "It is {} now.".format,
    "at the end": "It is {}.".format,
    "in brackets": "({})".format,
    "in a header": "X-Gateway: {}\r\nHost: x".format,
    "in a URL": "https://x.example/v1?a=1&k={}&b=2".format,
    "after a line break in raw JSON": lambda text: json.dumps({"content": "Here:\n" + text + "\nok"}),
    "in JSON inside JSON": lambda text: json.dumps(json.dumps({"content": "Here:\n" + text})),
    "percent-escaped": lambda text: "q=" + quote(text, safe=""),
    "percent-escaped twice": lambda text: "q=" + quote(quote("\n" + text, safe=""), safe=""),
    "every character percent-escaped": _every("%{:02x}".format),
    "split by zero-width characters": "\u200b".join,
    "split by soft hyphens": lambda text: "\u00ad".join(text[i : i + 4] for i in range(0, len(text), 4)),
    "in HTML": lambda text: "<b>" + html.escape(text) + "</b>",
    "every character an HTML entity": _every("&#{};".format),
    "every character a JSON escape": _every("\\u{:04x}".format),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_form(kind: str) -> None:
    """Nothing of the secret remains, in no reading of the masked text, and what is around it does."""
    before, secret, after = KINDS[kind]
    left = []
    for name, dress in DRESSES.items():
        masked, count = mask_credentials(dress(before + secret + after))
        if not count or any(secret[:9] in text or secret[-9:] in text for text in (r.text for r in readings(masked))):
            left.append((name, masked))
        assert mask_credentials(masked) == (masked, 0), name
    assert left == []
