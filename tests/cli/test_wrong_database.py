"""A PostgreSQL that cannot be used is told in one plain line, and the password in its URL nowhere."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.test_commands import palace
from tests.postgres import new_database, server_url

PASSWORD = "hush-hush-3e7d19"


def refusal(code: str, text: str) -> bytes:
    """As PostgreSQL refuses a connection."""
    body = b"".join(kind + said.encode() + b"\0" for kind, said in ((b"S", "FATAL"), (b"C", code), (b"M", text)))
    return b"E" + (len(body) + 5).to_bytes(4, "big") + body + b"\0"


@pytest.fixture(scope="module")
def strict() -> Iterator[int]:
    """The port of something like PostgreSQL that asks for a password and takes none."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readexactly(8)
        if said[4:] == bytes.fromhex("04d2162f"):  # It asks for TLS.
            writer.write(b"N")
            said = await reader.readexactly(8)
        await reader.readexactly(int.from_bytes(said[:4], "big") - 8)
        writer.write(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
        await reader.readexactly(5)
        writer.write(refusal("28P01", 'password authentication failed for user "palace"'))
        await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(refuse, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


WITH_PASSWORD = f"postgresql://palace:{PASSWORD}@127.0.0.1:"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param(f"mysql://palace:{PASSWORD}@127.0.0.1/palace", "postgresql://", id="another kind of database"),
        pytest.param(f"palace:{PASSWORD}", "postgresql://", id="no URL"),
        pytest.param(WITH_PASSWORD + "port/palace", "cannot be read", id="a port that is no number"),
        pytest.param(f"postgresql://palace:{PASSWORD}/@127.0.0.1/palace", "%2F", id="a slash in the password"),
        pytest.param(WITH_PASSWORD + "1/palace", "palace at 127.0.0.1:1 cannot be reached", id="nobody there"),
        pytest.param(WITH_PASSWORD + "{strict}/palace", "password", id="a wrong password"),
        pytest.param(f"postgresql://palace:{PASSWORD}@no.such.host.invalid/palace", "cannot be reached", id="no host"),
        pytest.param(f"postgresql://palace:1{PASSWORD}@127.0.0.1,::1]/palace", "cannot be read", id="no IPv6 address"),
        pytest.param(f"postgresql://palace:1/{PASSWORD}@127.0.0.1/palace", "%2F", id="what looks like a port"),
        pytest.param("{server}", "does not exist", id="no such database"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["serve", "--port", "0"], ["keys", "list"], ["migrate", "status"]],
    ids=lambda command: command[0],
)
def test_it_is_told_in_one_line_without_the_password(
    tmp_path: Path, strict: int, command: list[str], url: str, told: str
) -> None:
    missing = urlsplit(server_url())._replace(path="/no_such_database").geturl()
    url = url.format(strict=strict, server=missing)
    done = palace(*command, "--data", tmp_path / "data", PALACE_DATABASE=url)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert PASSWORD not in done.stderr
    assert not (tmp_path / "data" / "master.key").exists(), "a key is made for a database that was reached"
    assert command[0] == "serve" or not (tmp_path / "data").exists()


def test_no_folder_is_made_where_database_and_master_key_lie_elsewhere(tmp_path: Path) -> None:
    variables = {"PALACE_DATABASE": new_database(), "PALACE_MASTER_KEY": "3d" * 32}
    for command in ("create", "list"):
        assert palace("keys", command, "--data", tmp_path / "data", **variables).returncode == 0
    (tmp_path / "of_mine").write_text("3d" * 32)
    variables = {**variables, "PALACE_MASTER_KEY": "", "PALACE_MASTER_KEY_FILE": str(tmp_path / "of_mine")}
    assert palace("keys", "list", "--data", tmp_path / "data", **variables).returncode == 0
    assert not (tmp_path / "data").exists()
