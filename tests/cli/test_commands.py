"""The command `palace`, as a person uses it: the mistakes they make, and what they are told."""

import os
import re
import socket
import stat
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from palace.cli import PLACES
from palace.settings import GROUPS, Settings
from tests.quick import run
from tests.serving import database_of, start_palace


def palace(*arguments, **environment):
    """Run the command to its end and return what it did."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PALACE_")}
    for flag, value in pairwise(arguments):
        clean |= database_of(Path(value)) if flag == "--data" else {}
    command = [sys.executable, "-m", "palace", *map(str, arguments)]
    return run(command, env=clean | environment)


def test_the_help_lists_every_command_in_its_order():
    shown = re.findall(r"^  ([a-z]+)  ", palace("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert shown == [*PLACES, "version"]


def test_a_file_that_is_not_there_is_told_plainly(tmp_path):
    (tmp_path / "master.key").write_text("0" * 64)
    (tmp_path / "master.key").chmod(0o600)
    done = palace("import", tmp_path / "no.export", "--data", tmp_path)
    assert done.stderr == f"palace: {tmp_path / 'no.export'} cannot be used: No such file or directory.\n"


def test_the_first_start_makes_a_key_and_shows_it_once(tmp_path):
    data = tmp_path / "data"
    with start_palace(data, key="") as first:
        key = re.search(r"API key: +(palace_\S{36})\n", first.greeting).group(1)
        with first.client(key) as client:
            assert client.get("/v2/pals").status_code == 200
    with start_palace(data, key="") as second:
        assert key not in second.greeting
        assert f'export TAVUS_API_KEY="$(cat {data}/first-api.key)"\n' in second.greeting
    with start_palace(data, "--show-key", key="") as third:
        assert f"export TAVUS_API_KEY={key}\n" in third.greeting
        assert f"export TAVUS_PUBLIC_API_BASE_URL={third.url}\n" in third.greeting
    assert key not in first.log.read_text()


def test_what_lies_in_the_data_folder_is_readable_by_its_owner_only(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with start_palace(data, key=""):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    database = set() if database_of(data) else {"palace.db"}
    assert {"master.key", "first-api.key"} | database <= set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        pytest.param(["--port", "http"], {}, "--port", id="a port that is no number"),
        pytest.param(["--port", "99999"], {}, "port must be at most 65535", id="a port that does not exist"),
        pytest.param(["--host", "203.0.113.1"], {}, "Cannot listen on 203.0.113.1", id="an address of another machine"),
        pytest.param([], {"PALACE_API_KEY": "short"}, "8 to 256 visible ASCII", id="a key that is too short"),
        pytest.param(
            [], {"PALACE_MAX_DEPTH": "deep"}, "PALACE_MAX_DEPTH must be a whole number", id="a wrong variable"
        ),
    ],
)
def test_serve_refuses_what_cannot_work_in_one_line(tmp_path, arguments, environment, told):
    done = palace("serve", "--port", "0", "--data", tmp_path / "data", *arguments, **environment)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_tells_when_the_port_is_taken_or_the_folder_no_folder(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = palace("serve", "--port", taken.getsockname()[1], "--data", tmp_path / "data")
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "--port" in done.stderr
    (tmp_path / "file").write_text("")
    done = palace("serve", "--port", "0", "--data", tmp_path / "file")
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        pytest.param([], {"PALACE_API_KEY": "key-of-mine"}, 'export TAVUS_API_KEY="$PALACE_API_KEY"', id="a variable"),
        pytest.param(["--api-key", "key-of-mine"], {}, "the value of --api-key", id="a flag"),
    ],
)
def test_a_key_of_ones_own_is_not_printed_but_where_it_comes_from_is(tmp_path, arguments, environment, told):
    with start_palace(tmp_path / "data", *arguments, key="", **environment) as palace:
        assert told in palace.greeting
        assert "key-of-mine" not in palace.greeting


def test_the_help_of_serve_shows_every_flag_whole_and_in_groups():
    """The headings are those of the page on settings, and nothing is cut off, however narrow the terminal is."""
    shown = palace("serve", "--help", COLUMNS="80").stdout
    flags = [f"--{knob.name.replace('_', '-')}" for knob in fields(Settings) if knob.metadata["is_flag"]]
    assert [flag for flag in flags if not re.search(rf"^  {flag} ", shown, re.MULTILINE)] == []
    assert [group for group in GROUPS.values() if f"\n{group}:\n" not in shown] == []
    assert "…" not in shown


@pytest.mark.parametrize("group", [[], ["pal"], ["keys"], ["audit"]], ids=lambda group: " ".join(group) or "all")
def test_lists_of_commands_tell_what_each_does_in_a_whole_sentence(group):
    commands = palace(*group, "--help", COLUMNS="80").stdout.partition("Commands:\n")[2]
    assert commands
    assert "..." not in commands


def test_a_revoked_key_cannot_come_back_through_the_environment(tmp_path):
    data = tmp_path / "data"
    with start_palace(data):
        key_id = re.search(r"k[0-9a-f]{10}", palace("keys", "list", "--data", data).stdout).group()
        assert palace("keys", "revoke", key_id, "--data", data).stdout == f"Revoked {key_id}.\n"
    done = palace("serve", "--port", "0", "--data", data, PALACE_API_KEY="a-key-for-tests")
    assert done.returncode == 1
    assert "revoked" in done.stderr
    assert palace("keys", "revoke", key_id, "--data", data).returncode == 1


def test_keys_are_listed_in_whole_lines_where_no_terminal_reads_them(tmp_path):
    data, label = tmp_path / "data", "for the night shift of the " + "very " * 20 + "long corridor"
    assert palace("keys", "create", "--label", label, "--data", data, COLUMNS="80").returncode == 0
    _, listed = palace("keys", "list", "--data", data, COLUMNS="80").stdout.splitlines()
    assert re.match(rf" k[0-9a-f]{{10}} .* default +{label} +20\d\d-\S+Z", listed)


def test_a_first_key_that_was_revoked_is_not_offered_any_more(tmp_path):
    data = tmp_path / "data"
    with start_palace(data, "--show-key", key="") as first:
        key = (data / "first-api.key").read_text().strip()
        assert key in first.greeting
        key_id = re.search(r"k[0-9a-f]{10}", palace("keys", "list", "--data", data).stdout).group()
        palace("keys", "revoke", key_id, "--data", data)
    with start_palace(data, "--show-key", key="") as second:
        assert key not in second.greeting
        assert "palace keys create" in second.greeting


def test_a_database_that_keys_create_makes_is_readable_by_its_owner_only(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    assert palace("keys", "create", "--data", data).returncode == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {0o600}


def test_a_lost_master_key_is_told_and_not_replaced_by_another_one(tmp_path):
    data = tmp_path / "data"
    with start_palace(data):
        pass
    kept = (data / "master.key").rename(tmp_path / "kept")
    done = palace("serve", "--port", "0", "--data", data)
    assert done.returncode == 1
    assert "master.key" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (data / "master.key").exists()
    kept.rename(data / "master.key")
    with start_palace(data):
        pass


@pytest.mark.about_the_file("which is not there")
def test_keys_are_not_looked_for_in_a_folder_without_a_database(tmp_path):
    done = palace("keys", "list", "--data", tmp_path / "mistyped")
    assert done.returncode == 1
    assert "no database" in done.stderr
    assert not (tmp_path / "mistyped").exists()


def test_the_version_is_printed():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", palace("version").stdout)
