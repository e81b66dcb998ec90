"""`GET /_palace/changes`: what a client hears while something changes, and when the stream ends."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from palace.accounts import add_key
from palace.api.changes import changes_route
from tests.api.test_draining import told_to_end
from tests.cli.test_commands import palace as run
from tests.inside import inside
from tests.postgres import new_database
from tests.serving import STOCK_FACE, start_palace

PATH = "/_palace/changes"
PAL = {"pal_name": "Night Desk", "system_prompt": "Answer.", "default_face_id": STOCK_FACE}


class Stream:
    """Events as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self.headers = answer.headers
        self.cursor = ""
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, dict]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in fields:
                self.cursor = fields.get("id", self.cursor)
                return fields["event"], json.loads(fields["data"])
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        raise EOFError

    def change(self) -> tuple[str, str, int, str]:
        name, said = self.next()
        assert name == "changed", name
        return said["kind"], said["id"], said["revision"], said["action"]


@contextmanager
def listening(client: httpx.Client, **headers: str) -> Iterator[Stream]:
    with client.stream("GET", PATH, headers={name.replace("_", "-"): value for name, value in headers.items()}) as it:
        assert it.status_code == 200, it.read()
        yield Stream(it)


def test_every_change_is_told_with_its_kind_id_revision_and_action(api, neighbour):
    with listening(api) as stream, listening(neighbour) as other:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.next() == other.next() == ("ready", {})
        pal = api.post("/v2/pals", json=PAL).json()["pal_id"]
        api.patch(f"/v2/pals/{pal}", json=[{"op": "add", "path": "/greeting", "value": "Hi."}])
        api.patch(f"/v2/pals/{pal}", json=[{"op": "add", "path": "/greeting", "value": "Hi."}])
        api.patch(f"/v2/pals/{pal}?dry_run=true", json=[{"op": "add", "path": "/greeting", "value": "Ho."}])
        api.patch(f"/v2/pals/{pal}", json=[{"op": "add", "path": "/greeting", "value": 1}])
        api.patch(f"/v2/pals/{pal}/draft", json=[{"op": "add", "path": "/greeting", "value": "Hey."}])
        api.delete(f"/v2/pals/{pal}/draft")
        api.delete(f"/v2/pals/{pal}")
        theirs = neighbour.post("/v2/pals", json=PAL).json()["pal_id"]
        assert [stream.change() for _ in range(5)] == [
            ("pal", pal, 1, "create"),
            ("pal", pal, 2, "patch"),
            ("draft", pal, 1, "create"),
            ("draft", pal, 1, "discard"),
            ("pal", pal, 3, "delete"),
        ]
        assert other.change() == ("pal", theirs, 1, "create")


def test_who_was_cut_off_hears_what_it_missed(api):
    with listening(api) as stream:
        stream.next()
        first = api.post("/v2/pals", json=PAL).json()["pal_id"]
        assert stream.change()[1] == first
        cursor = stream.cursor
    second = api.post("/v2/pals", json=PAL).json()["pal_id"]
    with listening(api, last_event_id=cursor) as stream:
        assert stream.change() == ("pal", second, 1, "create")
        assert stream.next() == ("ready", {})
    with listening(api, last_event_id="another-5") as stream:
        assert stream.next() == ("resync", {})


@pytest.mark.parametrize(
    ("method", "key", "status"),
    [
        pytest.param("GET", None, 401, id="no key"),
        pytest.param("GET", "wrong-key", 401, id="an unknown key"),
        pytest.param("POST", "a-key-for-tests", 405, id="another method"),
        pytest.param("HEAD", "a-key-for-tests", 200, id="HEAD"),
    ],
)
def test_who_may_listen_and_how(palace, method, key, status):
    with palace.client(key) as client:
        assert client.request(method, PATH).status_code == status


def test_pages_of_a_browser_may_listen_with_a_cursor(api):
    origin = {"origin": "https://console.example"}
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "x-api-key,last-event-id"}
    answer = api.options(PATH, headers=origin | asked)
    assert answer.status_code == 200
    assert "last-event-id" in answer.headers["access-control-allow-headers"]
    with listening(api, **origin) as stream:
        assert stream.headers["access-control-allow-origin"] == "*"


def test_a_reset_has_everybody_look(tmp_path):
    with start_palace(tmp_path / "data", "--ephemeral") as server, server.client() as client, listening(client) as it:
        assert it.next()[0] == "ready"
        client.post("/_palace/reset")
        assert it.next() == ("resync", {})


def test_without_an_audit_log_changes_are_told_too(tmp_path):
    with start_palace(tmp_path / "data", "--no-audit") as server, server.client() as client, listening(client) as it:
        assert it.next()[0] == "ready"
        pal = client.post("/v2/pals", json=PAL).json()["pal_id"]
        assert it.change() == ("pal", pal, 1, "create")


def test_a_server_that_stops_ends_the_streams_at_once(tmp_path):
    with start_palace(tmp_path / "data") as server, server.client() as client, listening(client) as stream:
        assert stream.next()[0] == "ready"
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15
        with pytest.raises((EOFError, httpx.RemoteProtocolError)):
            stream.next()


def test_a_draining_server_takes_no_new_listeners(tmp_path):
    with start_palace(tmp_path / "data", "--drain-seconds", "60") as server, server.client() as client:
        client.get("/v2/pals")
        told_to_end(server)
        answer = client.get(PATH)
        assert (answer.status_code, answer.json()["details"][0]["code"]) == (503, "stopping")


def test_a_revoked_key_does_not_listen_on(tmp_path):
    data = tmp_path / "data"
    with start_palace(data, program="tests.impatient") as server:
        key = server.new_key("visitor")
        with server.client(key) as client, listening(client) as stream:
            assert stream.next()[0] == "ready"
            listed = run("keys", "list", "--data", data, COLUMNS="200").stdout
            key_id = next(line.split()[0] for line in listed.splitlines() if key[-4:] in line)
            assert run("keys", "revoke", key_id, "--data", data).returncode == 0
            with pytest.raises(EOFError):
                stream.next()


def test_who_listens_goes_on_listening_while_the_database_is_away(tmp_path):
    sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(message):
        await sent.put(message.get("body", b""))

    with inside(tmp_path, PALACE_DATABASE=new_database()) as palace:
        services = palace.services
        services.store.pool.patience_seconds = 0.1

        async def scene():
            key = await add_key(palace.account, "for a test", services)
            scope = {"type": "http", "method": "GET", "path": PATH, "headers": [(b"x-api-key", key.encode())]}
            stream = asyncio.create_task(changes_route(services).app(scope, asyncio.Event().wait, send))
            while b"ready" not in await sent.get():
                """It begins."""
            await services.store.pool.pool.close()
            services.store.reading._run.keys.forget()
            services.changes.wake()
            said = await asyncio.wait_for(sent.get(), 10)
            services.changes.end()
            await stream
            return said

        assert palace.run(scene()) == b": still here\n\n"
