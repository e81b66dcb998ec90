"""`palace migrate`, and a server that leaves the schema to a person."""

import sqlite3
from contextlib import closing

import pytest

from palace.storage.migrate import migrations, newest_schema
from tests.cli.filled import run
from tests.generic.stored import check_indexes
from tests.serving import start_palace
from tests.storage.first_schema import write_first_schema


@pytest.fixture
def older(tmp_path):
    write_first_schema(tmp_path / "data")
    return tmp_path / "data"


def schema_of(data):
    with closing(sqlite3.connect(data / "palace.db")) as file:
        return file.execute("PRAGMA user_version").fetchone()[0]


def test_status_tells_what_is_missing_and_changes_nothing(older):
    done = run("migrate", "status", "--data", older)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["present: 1", f"newest:  {newest_schema()}"]
    assert [line.split()[1] for line in lines if line.startswith("missing")] == [str(n) for n, _ in migrations()[1:]]
    assert schema_of(older) == 1


def test_up_brings_the_database_up_to_date_once(older):
    done = run("migrate", "up", "--data", older)
    assert (done.returncode, done.stdout) == (0, f"Schema 1 became {newest_schema()}.\n")
    assert run("migrate", "up", "--data", older).stdout == f"Nothing to do: schema {newest_schema()}.\n"
    assert run("migrate", "status", "--data", older).returncode == 0
    check_indexes(older)
    with start_palace(older, "--migrate", "manual") as server, server.client() as client:
        assert client.get("/v2/pals").status_code == 200


def test_a_server_that_may_not_migrate_names_the_command(older):
    for command in (["serve", "--port", "0", "--migrate", "manual"], ["keys", "list"]):
        done = run(*command, "--data", older, PALACE_MIGRATE="manual")
        assert done.returncode == 1
        assert done.stderr == (
            f"palace: The database has schema 1; this server needs schema {newest_schema()}. "
            "Run `palace migrate up` first.\n"
        )
    assert schema_of(older) == 1


def test_a_new_database_is_made_by_hand_where_migrations_are_manual(tmp_path):
    data = tmp_path / "data"
    assert "has schema 0" in run("serve", "--port", "0", "--data", data, PALACE_MIGRATE="manual").stderr
    assert run("migrate", "up", "--data", data).stdout == f"Schema 0 became {newest_schema()}.\n"
    with start_palace(data, PALACE_MIGRATE="manual") as server, server.client() as client:
        assert client.get("/v2/pals").status_code == 200


def test_a_database_of_a_newer_version_is_left_alone(older):
    with closing(sqlite3.connect(older / "palace.db")) as file:
        file.execute("PRAGMA user_version = 99")
    done = run("migrate", "up", "--data", older)
    assert (done.returncode, "has schema 99" in done.stderr) == (1, True)
    done = run("migrate", "status", "--data", older)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "present: 99")
    assert schema_of(older) == 99


def test_nothing_is_migrated_under_a_running_server(tmp_path):
    with start_palace(tmp_path / "data"):
        done = run("migrate", "up", "--data", tmp_path / "data")
        assert (done.returncode, "in use by a server" in done.stderr) == (1, True)
        assert run("migrate", "status", "--data", tmp_path / "data").returncode == 0


def test_status_of_a_folder_without_a_database_makes_none(tmp_path):
    done = run("migrate", "status", "--data", tmp_path / "mistyped")
    assert (done.returncode, "There is no database" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
