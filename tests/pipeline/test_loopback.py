"""Libraries and processes that read the environment reach this machine without a proxy."""

import subprocess
import sys

import pytest
from muses_eval.pipeline.loopback import exempt_loopback

METADATA = "169.254.169.254,169.254.170.2"
ALL = f"localhost,127.0.0.1,::1,{METADATA}"


@pytest.mark.parametrize(
    ("environ", "exempt"),
    [
        ({}, None),
        ({"NO_PROXY": "a.example"}, "a.example"),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, ALL),
        ({"http_proxy": "http://p:3128", "NO_PROXY": "a.example, .b"}, f"a.example,.b,{ALL}"),
        ({"ALL_PROXY": "socks5://p:1080", "no_proxy": "::1,localhost"}, f"::1,localhost,127.0.0.1,{METADATA}"),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "*"}, "*"),
    ],
)
def test_addresses_of_this_machine_are_added_to_no_proxy(environ: dict[str, str], exempt: str | None) -> None:
    """Both spellings get them, since libraries differ in the one that they read first; a second call adds nothing."""
    for _ in range(2):
        exempt_loopback(environ)
        assert environ.get("NO_PROXY", environ.get("no_proxy")) == exempt
        if "http" in "".join(environ.values()) and exempt != "*":
            assert environ["no_proxy"] == environ["NO_PROXY"]


def test_every_process_that_imports_the_package_exempts_them() -> None:
    command = [sys.executable, "-c", "import muses_eval, os; print(os.environ['NO_PROXY'])"]
    done = subprocess.run(command, env={"PATH": "", "HTTP_PROXY": "http://p:1"}, capture_output=True, check=True)
    assert done.stdout.decode().strip() == ALL
