"""`palace rehearse`: what it prints, what it writes for CI, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from tests.api.drafting import drafted
from tests.api.rehearsing import new_desk, new_suite, script_file
from tests.api.wire import replace
from tests.cli.commands import run
from tests.serving import Palace, start_palace

GREEN = """
name: Night desk
visitors:
  - name: asks for a price
    steps:
      - expect: {matches: night desk}
      - say: What is the price?
        expect: {calls: rate_of_rooms, matches: "180", judge: The answer is polite.}
tools:
  - {tool: rate_of_rooms, output: 180 euros}
"""
RED = GREEN.replace("matches: night desk", "matches: day desk")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    folder = tmp_path_factory.mktemp("rehearse")
    with start_palace(folder / "data", "--scripted-model", script_file(folder)) as running:
        yield running


@pytest.fixture
def client(server: Palace) -> Iterator[httpx.Client]:
    with server.client() as running:
        yield running


@pytest.fixture
def pal(client: httpx.Client) -> str:
    return new_desk(client)


def written(folder: Path, text: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path


def test_a_green_suite_ends_with_0(server: Palace, pal: str, tmp_path: Path) -> None:
    done = run(server, "rehearse", pal, "--suite", written(tmp_path, GREEN), "--runs", 2)
    assert done.returncode == 0, done.stderr
    _, visitor, tokens, verdict = done.stdout.splitlines()
    assert visitor.split() == ["asks", "for", "a", "price", "2", "of", "2", "100%"]
    assert tokens.startswith("Tokens (asked + answered): model ")
    assert verdict == "2 of 2 talks passed."


def test_a_red_suite_ends_with_1_and_shows_what_was_said(server: Palace, pal: str, tmp_path: Path) -> None:
    done = run(server, "rehearse", pal, "--suite", written(tmp_path, RED))
    assert done.returncode == 1
    assert "step 1: “day desk” is not found in “Good evening, night desk.”." in done.stdout
    assert "    user: What is the price?\n" in done.stdout
    assert "0 of 1 talks passed." in done.stdout


def test_less_may_be_enough(server: Palace, pal: str, tmp_path: Path) -> None:
    assert run(server, "rehearse", pal, "--suite", written(tmp_path, RED), "--pass-rate", 0).returncode == 0


def test_a_draft_and_a_revision_are_rehearsed(server: Palace, client: httpx.Client, pal: str, tmp_path: Path) -> None:
    drafted(client, pal, replace("/greeting", "This is the day desk."))
    red = written(tmp_path, RED)
    assert run(server, "rehearse", pal, "--suite", red, "--draft").returncode == 0
    assert run(server, "rehearse", pal, "--suite", red, "--revision", 1).returncode == 1


def test_a_stored_suite_is_named_by_its_id(server: Palace, client: httpx.Client, pal: str) -> None:
    assert run(server, "rehearse", pal, "--suite-id", new_suite(client)).returncode == 0


def test_programs_get_the_whole_rehearsal(server: Palace, pal: str, tmp_path: Path) -> None:
    done = run(server, "rehearse", pal, "--suite", written(tmp_path, RED), "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["report"]["pass_rate"]) == (1, "completed", 0.0)


def test_ci_gets_junit(server: Palace, pal: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    run(server, "rehearse", pal, "--suite", written(tmp_path, RED), "--junit", report, "--runs", 3)
    assert ElementTree.parse(report).getroot().attrib == {"tests": "3", "failures": "3", "errors": "0"}


def test_a_replay_shows_what_differs(server: Palace, client: httpx.Client, pal: str) -> None:
    id = client.post("/v2/conversations", json={"pal_id": pal, "chat": True}).json()["conversation_id"]
    client.post(f"/v2/conversations/{id}/respond", json={"text": "Hello"})
    drafted(client, pal, replace("/greeting", "Good morning."))
    done = run(server, "rehearse", pal, "--conversation", id, "--draft")
    assert done.returncode == 0, done.stderr
    assert "  - Good evening, night desk.\n  + Good morning.\n\nvisitor: Hello\n    I cannot tell.\n" in done.stdout
    assert done.stdout.endswith("1 of 2 turns differ.\n")


WRONG = [
    ("name: x", "/visitors: Missing data for required field."),
    ("name: [", "line 1"),
    (GREEN.replace("night desk", "'('"), "/visitors/0/steps/0/expect/matches/0: Not a regular expression"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_a_file_that_is_no_suite_is_told_with_its_places(
    server: Palace, pal: str, tmp_path: Path, text: str, problem: str
) -> None:
    done = run(server, "rehearse", pal, "--suite", written(tmp_path, text))
    assert done.returncode == 1
    assert problem in done.stderr
    assert "suite.yaml cannot be used:" in done.stderr


REFUSED = [
    (("--suite", "nowhere.yaml"), "nowhere.yaml cannot be used:\n  it cannot be read: No such file or directory"),
    (("--suite-id", "rs000"), "Invalid suite_id"),
    ((), "suite_id: Missing data for required field: or suite, or conversation_id."),
    (("--suite-id", "rs000", "--draft"), "There are no changes that wait to be published."),
]


@pytest.mark.parametrize(("flags", "problem"), REFUSED)
def test_what_cannot_be_rehearsed_is_told(server: Palace, pal: str, flags: tuple[str, ...], problem: str) -> None:
    done = run(server, "rehearse", pal, *flags)
    assert done.returncode == 1
    assert problem in done.stderr
