"""The report of ``muses doctor`` on the proxies of the environment."""

import pytest
from muses_eval.flows.doctor.proxy_report import proxy_report, store_endpoints
from muses_eval.pipeline.errors import ConfigError

URLS = {"model a": "https://api.example/v1", "model b": "http://127.0.0.1:8000/v1", "model c": "https://c.inside/v1"}


def test_without_a_proxy_there_is_nothing_to_say() -> None:
    assert proxy_report(URLS, {"NO_PROXY": "c.inside", "HTTPS_PROXY": ""}) is None


def test_it_names_what_goes_through_which_proxy_and_hides_the_password() -> None:
    report = proxy_report(URLS, {"https_proxy": "http://me:secret@p:3128", "NO_PROXY": "c.inside"})
    assert report == (
        "HTTPS_PROXY set, addresses of this machine are reached directly; "
        "model a through http://p:3128; model b, model c directly"
    )


def test_stores_on_s3_have_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example")
    assert store_endpoints(["results", "s3://bucket/a"]) == {"store s3://bucket/a": "https://s3.example"}


@pytest.mark.parametrize("proxy", ["socks4://p:1", "ftp://p", "http://", "http://p:port"])
def test_a_proxy_that_cannot_be_used_fails_the_check(proxy: str) -> None:
    with pytest.raises(ConfigError, match="HTTP_PROXY is no address of a proxy"):
        proxy_report({}, {"HTTP_PROXY": proxy})
