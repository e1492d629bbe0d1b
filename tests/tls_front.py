"""TLS with a private certificate authority in front of a plain server on loopback."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@contextmanager
def tls_front(target: str, folder: Path, *, self_signed: bool = False) -> Iterator[tuple[str, Path]]:
    """Forwards to the server at the URL *target*; yields the front's URL and the file of its authority.

    *self_signed*: the server's certificate is the authority itself.
    """
    authority, chain = _certificates(folder, self_signed=self_signed)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    address = urlsplit(target)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(_copy(reader, to_server), _copy(there, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(forward, "127.0.0.1", 0, ssl=context))
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", authority
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


def _certificates(folder: Path, *, self_signed: bool) -> tuple[Path, Path]:
    """Writes a new authority, and a certificate of it for localhost together with its key."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    ours, its = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "localhost"))
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(ours).not_valid_before(now - dt.timedelta(days=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=1))
    signed = [
        builder.subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=key is keys[0], path_length=None), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(keys[0], SHA256())
        for name, key in ((ours, keys[0]), (its, keys[1]))
    ]
    served = 0 if self_signed else 1
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(signed[0].public_bytes(Encoding.PEM))
    key = keys[served].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    chain.write_bytes(signed[served].public_bytes(Encoding.PEM) + key)
    return authority, chain
