"""Several nodes on one PostgreSQL: they are one server, whatever happens to one of them."""

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Barrier

import asyncpg
import httpx
import pytest

from palace.storage import postgres_locks
from tests.acceptance.several import MASTER_KEY, new_pal, nodes, rows, start_node
from tests.api.making import created, finished
from tests.api.test_changes import listening
from tests.cli.filled import run as run_here
from tests.cli.test_commands import palace as run
from tests.media import jpeg
from tests.postgres import new_database
from tests.serving import Palace
from tests.sites import Site, site
from tests.waiting import wait_until

FLAGS = ("--allow-private-addresses", "127.0.0.0/8")
WRITERS = 64
ROUNDS = 12


@pytest.fixture(scope="module")
def database() -> str:
    return new_database()


@pytest.fixture(scope="module")
def three(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Palace]]:
    """Three nodes that were started at the same moment on an empty database."""
    with nodes(tmp_path_factory.mktemp("nodes"), database, 3, *FLAGS) as running:
        yield running


def command(database: str, *arguments: object, **environment: str):
    return run(*arguments, PALACE_DATABASE=database, PALACE_MASTER_KEY=MASTER_KEY, **environment)


def test_nodes_that_start_at_once_on_an_empty_database_make_everything_once(three, database):
    assert len(rows(database, "SELECT version FROM schema_version")) == 1
    assert rows(database, "SELECT name FROM accounts") == [("default",)]
    assert rows(database, "SELECT count(*) FROM keys") == [(1,)]
    assert rows(database, "SELECT name FROM server_secrets ORDER BY name") == [("audit_key",), ("meeting_key",)]
    assert rows(database, "SELECT chain FROM audit_heads ORDER BY chain") == [(number,) for number in range(8)]
    assert rows(database, "SELECT count(*) FROM documents WHERE revision > 1") == [(0,)]
    assert rows(database, "SELECT count(*) FROM audit WHERE action = 'start'") == [(3,)]
    lists = [node.client().get("/v2/faces?limit=100").json() for node in three]
    assert lists[0] == lists[1] == lists[2]
    assert lists[0]["total_count"] > 0


def test_what_one_node_acknowledged_every_node_reads_at_once(three):
    with three[0].client() as a, three[1].client() as b, three[2].client() as c:
        pal = new_pal(a)
        clients = [a, b, c]
        for number in range(60):
            writer, reader = clients[number % 3], clients[(number + 1) % 3]
            step = [{"op": "replace", "path": "/greeting", "value": f"Greeting {number}"}]
            written = writer.patch(f"/v2/pals/{pal}", json=step)
            read = reader.get(f"/v2/pals/{pal}")
            assert read.json()["greeting"] == f"Greeting {number}"
            assert read.headers["etag"] == written.headers["etag"]


def test_writers_on_two_nodes_lose_nothing(three):
    with three[0].client() as a, three[1].client() as b:
        pal = new_pal(a)

        def write(writer: int) -> list[int]:
            client = (a, b)[writer % 2]
            steps = [[{"op": "add", "path": "/memories/-", "value": f"{writer}/{n}"}] for n in range(3)]
            return [client.patch(f"/v2/pals/{pal}", json=step).status_code for step in steps]

        with ThreadPoolExecutor(WRITERS) as pool:
            answered = [status for statuses in pool.map(write, range(WRITERS)) for status in statuses]
        assert set(answered) == {200}
        found = b.get(f"/v2/pals/{pal}")
        assert sorted(found.json()["memories"]) == sorted(f"{w}/{n}" for w in range(WRITERS) for n in range(3))
        assert found.headers["x-revision"] == str(1 + 3 * WRITERS)


def test_guarded_writes_of_the_same_revision_on_two_nodes_succeed_once(three):
    with three[0].client() as a, three[1].client() as b, ThreadPoolExecutor(2) as pool:
        pal = new_pal(a)
        for number in range(ROUNDS):
            tag = a.get(f"/v2/pals/{pal}").headers["etag"]
            barrier = Barrier(2)

            def write(client: httpx.Client, number=number, tag=tag, barrier=barrier) -> int:
                step = [{"op": "replace", "path": "/greeting", "value": f"{number} {client.base_url}"}]
                barrier.wait()
                return client.patch(f"/v2/pals/{pal}", json=step, headers={"if-match": tag}).status_code

            assert sorted(pool.map(write, (a, b))) == [200, 412]


def test_one_idempotency_key_at_the_same_moment_on_two_nodes_is_carried_out_once(three, database):
    with three[0].client() as a, three[1].client() as b, ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            name, barrier = f"Once {number}", Barrier(2)
            body = {"pal_name": name, "system_prompt": "Answer.", "default_face_id": "r4067604db72"}

            def make(client: httpx.Client, number=number, body=body, barrier=barrier) -> httpx.Response:
                barrier.wait()
                return client.post("/v2/pals", json=body, headers={"idempotency-key": f"once-{number}"})

            answers = list(pool.map(make, (a, b)))
            assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
            made = {answer.json()["pal_id"] for answer in answers if answer.status_code == 200}
            again = b.post("/v2/pals", json=body, headers={"idempotency-key": f"once-{number}"})
            assert again.headers["idempotency-replayed"] == "true"
            assert made | {again.json()["pal_id"]} == {again.json()["pal_id"]}
            assert rows(database, "SELECT count(*) FROM labels WHERE value = $1", name) == [(1,)]


def test_a_key_that_the_command_line_revokes_opens_nothing_on_any_node(three, database):
    key = command(database, "keys", "create", "--account", "visitor").stdout.strip()
    clients = [node.client(key) for node in three]
    assert [client.get("/v2/pals").status_code for client in clients] == [200, 200, 200]
    listed = command(database, "keys", "list", COLUMNS="200").stdout
    key_id = re.search(rf"(k\w+)\s+…{key[-4:]}", listed)[1]
    done = command(database, "keys", "revoke", key_id)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: all(client.get("/v2/pals").status_code == 401 for client in clients))


def test_a_listener_at_one_node_hears_what_all_of_them_store(three):
    clients = [node.client() for node in three]
    with listening(clients[2]) as stream:
        assert stream.next() == ("ready", {})
        pals = [new_pal(client) for client in clients]
        assert {stream.change() for _ in pals} == {("pal", pal, 1, "create") for pal in pals}


@contextmanager
def another_writes_to(database: str, chain: int) -> Iterator[None]:
    """Somebody's transaction holds the head of a chain of the log meanwhile."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database))
        runner.run(connection.execute(f"BEGIN; SELECT seq FROM audit_heads WHERE chain = {chain} FOR UPDATE"))
        yield
        runner.run(connection.close())


def test_the_log_of_all_nodes_is_whole_and_its_heads_are_checked_chain_by_chain(three, database):
    with three[1].client() as client, another_writes_to(database, chain=0):
        new_pal(client)
    done = command(database, "audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    heads = command(database, "audit", "head").stdout
    assert len(heads.splitlines()) > 1
    assert re.fullmatch(r"(([1-7]/)?\d+:[0-9a-f]{64}\n)+", heads)
    new_pal(three[0].client())
    assert command(database, "audit", "verify", "--expect", heads).returncode == 0
    other = heads.replace("a", "b").replace("1", "2")
    assert "not in the log" in command(database, "audit", "verify", "--expect", "5/99999:" + "0" * 64).stdout
    assert command(database, "audit", "verify", "--expect", other).returncode == 1
    exported = [line.split(",") for line in command(database, "audit", "export", "--format", "csv").stdout.splitlines()]
    found = [(datetime.fromisoformat(line[1]), line[-1], int(line[0])) for line in exported[1:]]
    chains = {chain: [seq for _, other, seq in found if other == chain] for _, chain, _ in found}
    assert len(chains) > 1
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in chains.values())
    assert all(later - earlier > -timedelta(seconds=2) for (earlier, *_), (later, *_) in pairwise(found))


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        pytest.param((), {"PALACE_MASTER_KEY": "77" * 32}, "All servers on one database need the same key", id="other"),
        pytest.param((), {"PALACE_MASTER_KEY": ""}, "All servers on one database need the same key", id="none"),
    ],
)
def test_a_node_with_another_master_key_is_refused(three, database, tmp_path, flags, environment, told):
    done = run("serve", "--port", "0", "--data", tmp_path / "d", *flags, PALACE_DATABASE=database, **environment)
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_master_key_cannot_be_changed_while_a_node_runs(three, database, monkeypatch):
    monkeypatch.setattr(postgres_locks, "LOOKS", 1)  # None of them is about to end.
    done = run_here("keys", "rotate-master", PALACE_DATABASE=database, PALACE_MASTER_KEY=f"{'99' * 32},{MASTER_KEY}")
    assert done.returncode == 1
    assert done.stderr == "palace: A server works on this database: stop all of them first.\n"


# --- Nodes that come and go -------------------------------------------------------------------------------------------


def test_the_master_key_is_changed_when_no_node_runs_and_nodes_need_the_new_one(tmp_path):
    database, new = new_database(), "99" * 32
    with start_node(tmp_path / "a", database) as node, node.client() as client:
        pal = new_pal(client, layers={"llm": {"model": "x", "base_url": "https://example.com", "api_key": "secret"}})
    done = run("keys", "rotate-master", PALACE_DATABASE=database, PALACE_MASTER_KEY=f"{new},{MASTER_KEY}")
    assert done.returncode == 0, done.stderr
    assert "Other servers on this database need the same" in done.stdout
    with start_node(tmp_path / "a", database, PALACE_MASTER_KEY=new) as node, node.client() as client:
        assert client.get(f"/v2/pals/{pal}").status_code == 200
    refused = command(database, "serve", "--port", "0", "--data", tmp_path / "b")
    assert "All servers on one database need the same key" in refused.stderr


@pytest.mark.parametrize(
    ("version", "flags", "told"),
    [
        pytest.param(999, (), "schema 999", id="newer"),
        pytest.param(1, ("--migrate", "manual"), "palace migrate up", id="older, to be migrated by hand"),
    ],
)
def test_a_node_that_does_not_know_the_schema_is_refused(tmp_path, version, flags, told):
    database = new_database()
    with start_node(tmp_path / "a", database) as node, node.client() as client:
        rows(database, "UPDATE schema_version SET version = $1", version)
        done = command(database, "serve", "--port", "0", "--data", tmp_path / "b", *flags)
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
        assert client.get("/v2/pals").status_code == 200


@pytest.fixture
def pictures() -> Iterator[Site]:
    with site() as running:
        running.pages |= {f"/{n}.jpg": (200, {"content-type": "image/jpeg"}, jpeg(100, 100)) for n in range(12)}
        yield running


def wanted(pictures: Site, number: int) -> dict[str, str]:
    return {"train_image_url": pictures.url(f"/{number}.jpg", "127.0.0.1"), "voice_name": "calm-alto"}


def test_no_job_is_done_by_two_nodes(three, pictures):
    clients = [node.client() for node in three]
    faces = [created(clients[number % 3], **wanted(pictures, number)) for number in range(12)]
    found = [finished(clients[(number + 1) % 3], face) for number, face in enumerate(faces)]
    assert {face["status"] for face in found} == {"completed"}
    assert sorted(pictures.asked) == sorted(pictures.pages)
    images = [clients[0].get("/v2/media/" + face["thumbnail_image_url"].rpartition("/")[2]) for face in found]
    assert {image.status_code for image in images} == {200}


def test_a_job_of_a_node_that_was_killed_is_taken_over_when_its_lease_is_over(tmp_path, pictures):
    database = new_database()
    picture = pictures.pages["/0.jpg"]
    pictures.pages["/0.jpg"] = lambda _: time.sleep(60)
    with start_node(tmp_path / "a", database, *FLAGS) as dying, dying.client() as client:
        face = created(client, **wanted(pictures, 0))
        wait_until(lambda: pictures.asked)
        dying.kill()
    pictures.pages["/0.jpg"] = picture
    with start_node(tmp_path / "b", database, *FLAGS) as node, node.client() as client:
        time.sleep(1)
        assert rows(database, "SELECT state, attempts FROM jobs") == [("running", 1)]
        rows(database, "UPDATE jobs SET leased_until = ''")  # Time passes.
        with start_node(tmp_path / "c", database, *FLAGS):  # Those that run look every 30 seconds; a new one at once.
            assert finished(client, face)["status"] == "completed"
        assert rows(database, "SELECT state, attempts FROM jobs") == [("done", 2)]


def test_a_log_from_sqlite_goes_on_in_more_chains_and_one_that_is_taken_away_is_missed(tmp_path):
    database = new_database()
    with start_node(tmp_path / "a", "") as node, node.client() as client:
        new_pal(client)
    exported = run("export", tmp_path / "all.gz", "--data", tmp_path / "a", PALACE_MASTER_KEY=MASTER_KEY)
    assert exported.returncode == 0, exported.stderr
    imported = command(database, "import", tmp_path / "all.gz", "--data", tmp_path / "b")
    assert imported.returncode == 0, imported.stderr
    head = command(database, "audit", "head").stdout
    with start_node(tmp_path / "b", database) as node, node.client() as client:
        new_pal(client)
    done = command(database, "audit", "verify", "--expect", head)
    assert done.returncode == 0, done.stdout
    rows(database, "DELETE FROM audit_heads WHERE chain = 5")
    rows(database, "DELETE FROM audit WHERE chain = 5")
    done = command(database, "audit", "verify")
    assert done.returncode == 1
    assert "begins chain 5 a second time: what it was before is missing." in done.stdout
