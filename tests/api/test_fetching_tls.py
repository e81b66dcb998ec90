"""Fetching over TLS: the connection is by address, the name is still what is proven."""

import asyncio
import io
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from palace.fetching import Fetcher, FetchFailed, FetchRefused, fetch
from tests.api.test_fetching import ALLOWED, BOUNDS, OUTSIDE, Names


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *private) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "pictures.example")


async def over_tls(pem: Path, host: str, page: bytes) -> tuple[str, bytes]:
    """What a TLS server was told as its name, and what came from it."""
    told: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: told.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(page)
        writer.close()

    server = await asyncio.start_server(answer, OUTSIDE, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=pem)
    into = io.BytesIO()
    async with server:
        await fetch(f"https://{host}:{port}/", BOUNDS, into, Fetcher(ALLOWED, Names([OUTSIDE]), lambda: trust))
    return told[0], into.getvalue()


def test_tls_is_by_name_though_the_connection_is_by_address(pem: Path) -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert asyncio.run(over_tls(pem, "pictures.example", page)) == ("pictures.example", b"hello")


def test_a_certificate_of_another_name_is_refused(pem: Path) -> None:
    with pytest.raises(FetchFailed, match=r"other\.example could not be reached\."):
        asyncio.run(over_tls(pem, "other.example", b""))


def test_a_redirect_away_from_tls_is_refused(pem: Path) -> None:
    page = b"HTTP/1.1 302 Found\r\nlocation: http://pictures.example/\r\ncontent-length: 0\r\n\r\n"
    with pytest.raises(FetchRefused, match=r"pictures\.example sends a redirect from https to http\."):
        asyncio.run(over_tls(pem, "pictures.example", page))
