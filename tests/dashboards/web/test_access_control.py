"""Who may use the server: tokens, sessions, hosts and foreign sites."""

from dataclasses import dataclass, field

import pytest
from muses_eval.dashboards.web.access_control import AccessControl, AccessRules
from muses_eval.dashboards.web.access_token import SESSION_S, AccessToken
from muses_eval.dashboards.web.request_origin import host_name
from muses_eval.dashboards.web.sign_in_attempts import MAX_FAILURES, WINDOW_S
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import ConfigError
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tests.dashboards.web.site import client

TOKEN = AccessToken.parse("k3y-of-the-tests-0123", "the test")
HOME = "http://127.0.0.1:8600"
HTML = {"Accept": "text/html"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}
BY_LINK = {**FROM_ELSEWHERE, "Sec-Fetch-Mode": "navigate", **HTML}


@dataclass
class Served:
    """An application that counts the requests that reach it, behind access control with a clock of the test."""

    rules: AccessRules
    now: float = 1_000_000.0
    reached: list[str] = field(default_factory=list)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(Request(scope).method)
        await PlainTextResponse("passed on")(scope, receive, send)

    def visitor(self, home: str = HOME) -> TestClient:
        return TestClient(AccessControl(self.app, self.rules, lambda: self.now), home, follow_redirects=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("short-token", "easy to guess"),
        ("changemechangeme", "easy to guess"),
        ("a" * 40, "easy to guess"),
        ("two words of a token", "without spaces"),
        ("schlüssel-für-alle-tests", "ASCII"),
    ],
)
def test_a_weak_token_is_refused_without_showing_it(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        AccessToken.parse(text, "token.txt")
    assert "token.txt" in str(error.value)
    assert not text.strip() or text not in str(error.value)
    assert TOKEN.value not in repr(TOKEN)


def test_without_a_session_every_request_is_refused() -> None:
    served = Served(AccessRules(TOKEN))
    browser = served.visitor()
    assert browser.get("/").status_code == 401
    assert browser.post("/sql.html", data={"q": "from runs"}).status_code == 401
    for wrong in ("", TOKEN.value, f"9999999999.{'0' * 64}", "x.y", "."):
        assert browser.get("/", headers={"Cookie": f"{TOKEN.cookie_name}={wrong}"}).status_code == 401
    for wrong in ("Bearer", "Bearer wrong", f"Basic {TOKEN.value}", TOKEN.value):
        assert browser.get("/", headers={"Authorization": wrong}).status_code == 401
    assert browser.get(f"/?token={TOKEN.value}").status_code == 401, "a token in a URL ends up in logs"
    assert "content-security-policy" in browser.get("/").headers
    assert served.reached == []
    assert browser.get("/static/style.css").status_code == 200, "the form needs its style"
    assert browser.get("/", headers={"Authorization": f"Bearer {TOKEN.value}"}).text == "passed on"


def test_a_shared_link_leads_through_the_form_to_its_page() -> None:
    served = Served(AccessRules(TOKEN))
    browser = served.visitor()
    asked = browser.get("/runs/a%20b/index.html?family=queue&x=%22%3E", headers=BY_LINK)
    assert asked.status_code == 401
    assert 'action="../../sign-in"' in asked.text
    assert 'name="next" value="runs/a%20b/index.html?family=queue&amp;x=%22%3E"' in asked.text
    target = "runs/a%20b/index.html?family=queue&x=%22%3E"
    wrong = browser.post("/sign-in", data={"token": "wrong", "next": target})
    assert (wrong.status_code, "not the token" in wrong.text, "set-cookie" in wrong.headers) == (401, True, False)
    signed = browser.post("/sign-in", data={"token": f" {TOKEN.value}\n", "next": target})
    assert (signed.status_code, signed.headers["location"]) == (303, f"./{target}")
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert TOKEN.value not in cookie
    assert browser.get(f"/{target}", headers=BY_LINK).text == "passed on"
    served.now += SESSION_S + 1
    assert browser.get(f"/{target}").status_code == 401, "sessions end"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "\t//evil.example"]
)
def test_signing_in_leads_to_no_other_site(target: str) -> None:
    from urllib.parse import urljoin, urlsplit

    signed = Served(AccessRules(TOKEN)).visitor().post("/sign-in", data={"token": TOKEN.value, "next": target})
    assert signed.headers["location"].startswith("./")
    assert urlsplit(urljoin(f"{HOME}/sign-in", signed.headers["location"])).netloc == "127.0.0.1:8600"


def test_behind_https_the_cookie_is_secure() -> None:
    browser = Served(AccessRules(TOKEN)).visitor("https://127.0.0.1")
    assert "Secure" in browser.post("/sign-in", data={"token": TOKEN.value}).headers["set-cookie"]


def test_signing_out_ends_the_session() -> None:
    browser = Served(AccessRules(TOKEN)).visitor()
    browser.post("/sign-in", data={"token": TOKEN.value})
    assert browser.get("/").status_code == 200
    assert browser.post("/sign-out").status_code == 303
    assert browser.get("/").status_code == 401


def test_guesses_are_limited() -> None:
    served = Served(AccessRules(TOKEN))
    browser = served.visitor()
    for n in range(MAX_FAILURES):
        if n % 2:
            browser.post("/sign-in", data={"token": f"guess {n}"})
        else:
            browser.get("/", headers={"Authorization": f"Bearer guess-{n}"})
    held = browser.post("/sign-in", data={"token": TOKEN.value})
    assert "Too many attempts" in held.text
    assert "set-cookie" not in held.headers
    served.now += WINDOW_S + 1
    assert browser.post("/sign-in", data={"token": TOKEN.value}).status_code == 303


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("127.0.0.1:8600", 200),
        ("localhost", 200),
        ("LOCALHOST.:8600", 200),
        ("[::1]:8600", 200),
        ("10.1.2.3:8600", 200),
        ("Evals.example.org", 200),
        ("evil.example", 421),
        ("evals.example.org.evil.example", 421),
        ("127.0.0.1.evil.example:8600", 421),
        ("localhost.evil.example", 421),
        ("0x7f000001", 421),
        ("", 400),
        ("a b", 400),
        ("evil.example@127.0.0.1", 400),
        ("127.0.0.1:8600/", 400),
    ],
)
def test_only_own_hosts_are_served(header: str, status: int) -> None:
    """A foreign name that points to this server is refused, whatever the token."""
    served = Served(AccessRules(host_names=frozenset({"evals.example.org"})))
    answer = served.visitor().get("/", headers={"Host": header})
    assert answer.status_code == status
    assert served.reached == (["GET"] if status == 200 else [])
    if status == 421:
        assert f"--host-name {host_name(header)}" in answer.text


@pytest.mark.parametrize(
    ("method", "headers", "passes"),
    [
        ("GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
        ("GET", BY_LINK, True),
        ("GET", {**FROM_ELSEWHERE, "Sec-Fetch-Mode": "no-cors"}, False),  # <img>, <script>
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),  # another port of localhost
        ("GET", {}, True),  # a program, or a browser over http on a network
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": HOME}, True),
        ("POST", {**BY_LINK, "Origin": "https://evil.example"}, False),  # <form method=post>
        ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, False),
        ("POST", {"Origin": HOME}, True),
        ("POST", {"Origin": "http://127.0.0.1:3000"}, False),
        ("POST", {"Origin": "https://evil.example"}, False),
        ("POST", {"Origin": "null"}, False),
        ("OPTIONS", {"Origin": "https://evil.example"}, False),
        ("DELETE", FROM_ELSEWHERE, False),
        ("POST", {}, True),  # a program
    ],
)
def test_foreign_sites_only_link(method: str, headers: dict[str, str], passes: bool) -> None:
    """Another site can open a page in the window of a visitor who has signed in; it cannot post or embed."""
    served = Served(AccessRules(TOKEN))
    browser = served.visitor()
    browser.post("/sign-in", data={"token": TOKEN.value})
    answer = browser.request(method, "/sql.html", headers=headers)
    assert (answer.status_code, len(served.reached)) == ((200, 1) if passes else (403, 0))


def test_a_link_to_a_query_fills_it_in_and_runs_nothing(cache: StoreCache) -> None:
    browser = client(cache)
    linked = browser.get("/sql.html?q=select+41%2B1+as+answer")
    assert "select 41+1 as answer" in linked.text
    assert "has not run yet" in linked.text
    assert "<table" not in linked.text
    assert 'data-value="42"' in browser.post("/sql.html", data={"q": "select 41+1 as answer"}).text


def test_other_pages_and_bodies_take_no_form(cache: StoreCache) -> None:
    browser = client(cache)
    assert browser.post("/history.html", data={"q": "x"}).status_code == 404
    assert browser.post("/sql.html", json={"q": "x"}).status_code == 400
    assert browser.post("/sql.html", data={"q": "x" * 300_000}).status_code == 400
    assert "expected at most" in browser.post("/sql.html", data={"q": "x" * 30_000}).text


def test_the_pages_of_a_visitor_with_a_token_have_a_way_out(cache: StoreCache) -> None:
    browser = client(cache, AccessRules(TOKEN))
    browser.post("/sign-in", data={"token": TOKEN.value})
    assert "Sign out" in browser.get("/").text
    assert "Sign out" not in client(cache).get("/").text
