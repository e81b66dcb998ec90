"""From SQLite to PostgreSQL and back: the same lines, the same server, and going on after `kill -9`."""

import asyncio
import gzip
import json
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from palace.storage.migrate import IMPORT_PROGRESS as PROGRESS
from tests.cli.filled import SECRET, contents, make_filled, run
from tests.cli.killed_import import kill_import
from tests.cli.test_backup import refused
from tests.postgres import new_database
from tests.serving import STOCK_FACE, start_palace


def ask(url: str, sql: str):
    """The first value of a query."""

    async def fetch():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def lines_of(file: Path) -> list[bytes]:
    """The rows of an export."""
    return gzip.decompress(file.read_bytes()).splitlines()[1:-1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    make_filled(data)
    assert run("export", data.parent / "one.export", "--data", data).returncode == 0
    return data


@pytest.fixture
def exported(filled) -> Path:
    return filled.parent / "one.export"


@pytest.fixture
def database() -> str:
    return new_database()


@pytest.fixture
def folder(filled, tmp_path) -> Path:
    """A data folder for a server on PostgreSQL, with the master key."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    shutil.copy(filled / "master.key", made)
    return made


def test_there_and_back_again_everything_is_the_same(filled, exported, folder, database, tmp_path):
    done = run("import", exported, "--data", folder, "--database", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert "compared each of them; 5 secrets open" in done.stdout
    assert not (folder / "palace.db").exists()
    assert ask(database, f"SELECT to_regclass('{PROGRESS}')") is None
    again = tmp_path / "again.export"
    assert run("export", again, "--data", folder, PALACE_DATABASE=database).returncode == 0
    assert lines_of(again) == lines_of(exported)
    (tmp_path / "back").mkdir(mode=0o700)
    shutil.copy(filled / "master.key", tmp_path / "back")
    assert run("import", again, "--data", tmp_path / "back").returncode == 0
    assert contents(tmp_path / "back" / "palace.db") == contents(filled / "palace.db")


def test_a_server_on_postgresql_goes_on_where_the_one_on_sqlite_stopped_and_back(exported, folder, database, tmp_path):
    assert run("import", exported, "--data", folder, "--database", database).returncode == 0
    with start_palace(folder, "--database", database) as server, server.client() as client:
        pals = client.get("/v2/pals?pal_type=user&limit=100").json()["data"]
        [pal] = [one["pal_id"] for one in pals if one["pal_name"] == "Straße 19\u2028"]
        patch = [{"op": "replace", "path": "/layers/llm/api_key", "value": SECRET}]
        assert client.patch(f"/v2/pals/{pal}", json=patch).status_code == 304, "the secret is what it was"
        made = client.post("/v2/pals", json={"pal_name": "new", "system_prompt": "x", "default_face_id": STOCK_FACE})
        assert made.is_success, "numbers go on behind those that came"
        assert client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).is_success
        assert client.get("/v2/pals?pal_type=user&limit=100&sort=asc").json()["data"][-1]["pal_name"] == "new"
    audit = run("audit", "verify", "--data", folder, "--database", database)
    assert (audit.returncode, audit.stderr) == (0, "")
    file, back = tmp_path / "back.export", tmp_path / "back"
    assert run("export", file, "--data", folder, "--database", database).returncode == 0
    back.mkdir(mode=0o700)
    shutil.copy(folder / "master.key", back)
    assert run("import", file, "--data", back).returncode == 0
    assert run("audit", "verify", "--data", back).returncode == 0, "with all the chains of several servers"
    with start_palace(back) as server, server.client() as client:
        assert client.get(f"/v2/pals/{pal}").json()["pal_name"] == "Straße 0"
        assert client.patch(f"/v2/pals/{pal}", json=patch).status_code == 304


def test_a_database_in_use_is_refused(exported, folder, database):
    assert run("import", exported, "--data", folder, "--database", database).returncode == 0
    assert "There are rows in" in refused("import", exported, "--data", folder, "--database", database)


def test_an_import_that_is_killed_goes_on_and_no_server_starts_meanwhile(filled, folder, database, tmp_path):
    large = make_large(filled, tmp_path)
    target = ("--data", folder, "--database", database)
    kill_import(0, large, *target)
    kill_import(3000, large, *target)
    brought = ask(database, f"SELECT rows FROM {PROGRESS}")
    done = run("serve", "--port", "0", *target)
    assert (done.returncode, "is not finished" in done.stderr) == (1, True)
    assert len(done.stderr.splitlines()) == 1
    for words in (["export", tmp_path / "half.export"], ["migrate", "up"]):
        assert "is not finished" in refused(*words, *target)
    done = run("doctor", *target)
    assert (done.returncode, "is not finished" in done.stdout) == (1, True)
    done = run("import", large, *target)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Went on behind {brought} rows" in done.stdout
    again = tmp_path / "again.export"
    assert run("export", again, *target).returncode == 0
    assert lines_of(again) == lines_of(large)


def make_large(filled: Path, folder: Path) -> Path:
    """An export of some thousand more accounts."""
    data = folder / "large"
    shutil.copytree(filled, data)

    file = sqlite3.connect(data / "palace.db")
    file.execute(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)"
        " INSERT INTO accounts SELECT i, 'account ' || i, '' FROM n"
    ).connection.commit()
    file.close()
    assert run("export", folder / "large.export", "--data", data).returncode == 0
    return folder / "large.export"


# --- Other commands ---------------------------------------------------------------------------------------------------


def test_migrations_by_hand(folder, database):
    done = run("migrate", "status", "--data", folder, "--database", database)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "present: 0")
    flags = ["--database", database, "--migrate", "manual"]
    done = run("serve", "--port", "0", "--data", folder, *flags)
    assert (done.returncode, "Run `palace migrate up` first" in done.stderr) == (1, True)
    assert run("migrate", "up", "--data", folder, "--database", database).stdout.startswith("Schema 0 became ")
    assert run("migrate", "status", "--data", folder, "--database", database).returncode == 0
    with start_palace(folder, *flags) as server, server.client() as client:
        assert client.get("/v2/pals").status_code == 200


def test_backups_are_left_to_postgresql(folder, database, tmp_path):
    for command in ("backup", "restore"):
        assert "pg_dump" in refused(command, tmp_path / "x", "--data", folder, "--database", database)


def test_the_doctor_looks_at_the_database(filled, exported, folder, database):
    assert run("import", exported, "--data", folder, "--database", database).returncode == 0
    with start_palace(folder, "--database", database):
        pass
    done = run("doctor", "--json", "--data", folder, "--database", database)
    found = {finding["name"]: finding["state"] for finding in json.loads(done.stdout)}
    is_careless = ask(database, "SHOW fsync") == "off"  # The tests' own server need not survive a power cut.
    assert (done.returncode, done.stderr) == (int(is_careless), ""), done.stdout
    assert found.pop("durability") == ("problem" if is_careless else "ok")
    assert {"PostgreSQL", "schema", "connections", "latency", "clocks", "indexes"} <= set(found)
    assert set(found.values()) <= {"ok", "note"}


SLOW_CLOCK = """CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$
    DECLARE seen timestamptz := pg_catalog.clock_timestamp() + interval '{}';
    BEGIN PERFORM pg_sleep(0.2); RETURN seen; END
$$"""


@pytest.mark.parametrize(
    ("ahead", "state"),
    [("0", "ok"), ("1 hour", "problem"), ("-1 hour", "problem")],
    ids=["right", "ahead", "behind"],
)
def test_a_database_that_is_slow_to_answer_has_no_other_time(folder, database, monkeypatch, ahead, state):
    monkeypatch.setattr("palace.doctor.postgres_checks.MAY_BE_APART", 0.1)
    found_first = f"ALTER DATABASE {urlsplit(database).path[1:]} SET search_path = slow, pg_catalog"
    for sql in ("CREATE SCHEMA slow", SLOW_CLOCK.format(ahead), found_first):
        ask(database, sql)
    done = run("doctor", "--json", "--data", folder, "--database", database)
    assert {it["name"]: it["state"] for it in json.loads(done.stdout)}["clocks"] == state


def test_a_database_that_cannot_be_reached_is_told_without_the_password(folder, tmp_path):
    url = "postgresql://palace:s3cret@127.0.0.1:1/palace"
    done = run("doctor", "--data", folder, "--database", url)
    assert (done.returncode, "PROBLEM database" in done.stdout, "s3cret" in done.stdout) == (1, True, False)
    assert "s3cret" not in refused("export", tmp_path / "x", "--data", folder, "--database", url)
    assert "s3cret" not in refused("migrate", "status", "--data", folder, "--database", url)
