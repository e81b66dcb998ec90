"""`palace doctor`: each thing that can be wrong is told, with what to do, and nothing is changed."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.filled import make_filled, run
from tests.cli.test_backup import write_over
from tests.serving import KEY, start_palace

EVERYTHING = [
    "settings",
    "data folder",
    "private files",
    "master key",
    "free disk space",
    "schema",
    "integrity",
    "durability",
    "clock",
    "secrets",
    "audit log",
    "indexes",
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    make_filled(data)
    return data


@pytest.fixture
def data(filled, tmp_path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


def findings(data: Path, *flags, exit_code: int = 0, **environment) -> dict[str, dict[str, str]]:
    done = run("doctor", "--json", "--data", data, *flags, **environment)
    assert (done.returncode, done.stderr) == (exit_code, ""), done.stdout
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_all_is_well_with_a_folder_of_a_server(data):
    before = {path: path.stat().st_mtime_ns for path in data.iterdir()}
    found = findings(data)
    assert list(found) == EVERYTHING
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert {path: path.stat().st_mtime_ns for path in data.iterdir() if path in before} == before


def test_a_person_reads_one_line_for_each_thing(data):
    done = run("doctor", "--data", data)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", len(EVERYTHING))
    assert all(line.startswith("OK ") for line in lines)
    (data / "master.key").chmod(0o640)
    done = run("doctor", "--data", data)
    assert done.returncode == 1
    assert f"PROBLEM private files: Others may read {data}/master.key.\n" in done.stdout
    assert f"→ chmod 600 {data}/master.key\n" in done.stdout


def test_a_running_server_is_asked_too(tmp_path):
    with start_palace(tmp_path / "data") as server:
        found = findings(server.data, "--url", server.url, TAVUS_API_KEY=KEY)
        assert {name: found[name]["state"] for name in ("server", "API key")} == {"server": "ok", "API key": "ok"}
        found = findings(server.data, "--url", server.url, exit_code=1, TAVUS_API_KEY="another")
        assert found["API key"]["said"] == "The server does not know the key."
    found = findings(server.data, "--url", "http://127.0.0.1:9", exit_code=1)
    assert "does not answer" in found["server"]["said"]


def sql(data: Path, text: str) -> None:
    with closing(sqlite3.connect(data / "palace.db")) as file:
        file.execute(text).connection.commit()


def open_the_folder(data):
    data.chmod(0o755)


def open_the_database(data):
    (data / "palace.db").chmod(0o644)


def lose_the_key(data):
    (data / "master.key").unlink()


def spoil_the_key(data):
    (data / "master.key").write_text("not a key")


def exchange_the_key(data):
    (data / "master.key").write_text("2c" * 32)


def leave_two_keys(data):
    (data / "master.key").write_text("2c" * 32 + "\n" + (data / "master.key").read_text())


def lose_a_secret(data):
    sql(data, "UPDATE secrets SET sealed = zeroblob(40) WHERE rowid = 2")


def cut_the_log(data):
    sql(data, "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")


def lose_a_label(data):
    sql(data, "DELETE FROM labels WHERE document = (SELECT max(seq) FROM documents) AND label = 'name'")


def lose_a_use(data):
    sql(data, "DELETE FROM uses WHERE kind = 'tool'")


def leave_an_orphan(data):
    sql(data, "DELETE FROM documents WHERE seq = (SELECT max(seq) FROM documents)")


def write_in_the_future(data):
    sql(data, "UPDATE documents SET updated_at = '2999-01-01T00:00:00.000000Z' WHERE seq = 1")


def log_in_the_future(data):
    sql(data, "UPDATE audit SET at = '2999-01-01T00:00:00.000000Z' WHERE seq = (SELECT max(seq) FROM audit)")


def go_back_a_version(data):
    sql(data, "PRAGMA user_version = 3")


def go_on_a_version(data):
    sql(data, "PRAGMA user_version = 99")


def lose_the_database(data):
    (data / "palace.db").unlink()


def write_over_the_middle(data):
    write_over(data / "palace.db")


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        pytest.param(open_the_folder, "data folder", id="others may use the folder"),
        pytest.param(open_the_database, "private files", id="others may read the database"),
        pytest.param(lose_the_key, "master key", id="no master key"),
        pytest.param(spoil_the_key, "master key", id="a master key that is none"),
        pytest.param(leave_two_keys, "master key", id="a rotation that was not finished"),
        pytest.param(exchange_the_key, "secrets", id="another master key"),
        pytest.param(lose_a_secret, "secrets", id="a secret that does not open"),
        pytest.param(cut_the_log, "audit log", id="the last row of the log is gone"),
        pytest.param(lose_a_label, "indexes", id="a document that lists do not find"),
        pytest.param(lose_a_use, "indexes", id="a reference that is not indexed"),
        pytest.param(leave_an_orphan, "integrity", id="rows of a document that is not there"),
        pytest.param(write_over_the_middle, "integrity", id="damaged pages"),
        pytest.param(write_in_the_future, "clock", id="a row from the future"),
        pytest.param(log_in_the_future, "clock", id="a row of the log from the future"),
        pytest.param(go_back_a_version, "schema", id="an older schema"),
        pytest.param(go_on_a_version, "schema", id="a newer schema"),
        pytest.param(lose_the_database, "database", id="no database"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(data, spoil, name):
    spoil(data)
    found = findings(data, exit_code=1)
    assert found[name]["state"] == "problem"
    assert found[name]["remedy"]


@pytest.mark.parametrize(
    ("environment", "name", "state"),
    [
        pytest.param({"PALACE_DURABILITY": "normal"}, "durability", "note", id="less durable"),
        pytest.param({"PALACE_AUDIT": "off"}, "audit log", "note", id="no audit log"),
        pytest.param({"PALACE_PORT": "many"}, "settings", "problem", id="a wrong setting"),
    ],
)
def test_settings_are_looked_at(data, environment, name, state):
    found = findings(data, exit_code=int(state == "problem"), **environment)
    assert found[name]["state"] == state
    assert found[name]["remedy"]


def test_nothing_is_made_where_nothing_is(tmp_path):
    found = findings(tmp_path / "mistyped", exit_code=1)
    assert found["data folder"]["state"] == "problem"
    assert list(tmp_path.iterdir()) == []
