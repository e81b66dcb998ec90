"""A server in memory: it is like any other, and leaves nothing behind."""

import os
import re
import sys
from pathlib import Path

import httpx
import pytest

from palace.settings import InvalidSetting, Settings, load_settings
from tests.quick import run
from tests.serving import STOCK_FACE, Palace, start_palace

NEW_PAL = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
WITH_SECRET = {
    **NEW_PAL,
    "layers": {"llm": {"model": "own", "base_url": "https://llm.example.com", "api_key": "s3cret"}},
}


def ids_made_by(palace: Palace) -> list[str]:
    """The ids of two PALs and a dictionary, made with other requests in between."""
    with palace.client() as api:
        first = api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        for _ in range(3):
            api.get("/v2/pals")
        rules = {"name": "Names", "rules": []}
        dictionary = api.post("/v2/pronunciation-dictionaries", json=rules).json()["pronunciation_dictionary_id"]
        second = api.post("/v2/pals", json=WITH_SECRET).json()["pal_id"]
    return [first, dictionary, second]


def test_nothing_is_written_and_all_is_gone_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = set(tmp_path.iterdir())
    with start_palace(folder, "--ephemeral", TMPDIR=str(tmp_path)) as palace, palace.client() as api:
        made = ids_made_by(palace)
        assert api.get(f"/v2/pals/{made[2]}").json()["layers"]["llm"]["api_key"] == "********"
        assert api.get("/v2/pals", params={"pal_type": "user"}).json()["total_count"] == 3
        files = {
            os.readlink(f"/proc/{palace.process.pid}/fd/{name}")
            for name in os.listdir(f"/proc/{palace.process.pid}/fd")
        }
        assert {file for file in files if file.startswith("/")} <= {str(palace.log), "/dev/null"}
    assert set(tmp_path.iterdir()) - before == {palace.log}
    with start_palace(folder, "--ephemeral") as palace, palace.client() as api:
        assert api.get(f"/v2/pals/{made[0]}").status_code == 400


def test_without_a_key_of_ones_own_one_is_made_and_printed_at_every_start(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with start_palace(tmp_path / "data", "--ephemeral", key="") as palace:
            [key] = re.findall(r"API key: +(\S+)", palace.greeting)
            with palace.client(key) as api:
                assert api.get("/v2/pals").status_code == 200
            keys.add(key)
    assert len(keys) == 2


def test_history_drafts_and_undo_are_there_in_memory_too(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--ephemeral") as palace, palace.client() as api:
        pal = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        assert api.patch(pal, json=[{"op": "add", "path": "/greeting", "value": "Good evening."}]).status_code == 200
        assert api.post(f"{pal}/rollback", json={"to": 1}).status_code == 200
        assert api.get(pal).json()["greeting"] in ("", None)
        assert [entry["revision"] for entry in api.get(f"{pal}/revisions").json()["data"]] == [3, 2, 1]


# --- Fixed ids and time -----------------------------------------------------------------------------------------------


def test_with_a_seed_ids_are_the_same_at_every_start_whatever_is_asked_in_between(tmp_path: Path) -> None:
    made = []
    for seed in ("7", "7", "8"):
        with start_palace(tmp_path / "data", "--ephemeral", "--id-seed", seed, key="") as palace:
            [key] = re.findall(r"API key: +(\S+)", palace.greeting)
            with httpx.Client(base_url=palace.url, headers={"x-api-key": key}) as api:
                made.append((api.post("/v2/pals", json=NEW_PAL).json()["pal_id"], key))
    [first, second, third] = made
    assert first[0] == second[0] != third[0]
    assert first[1] != second[1], "keys are random, seed or not"


def test_each_kind_counts_its_ids_for_itself(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--ephemeral", "--id-seed", "7") as palace:
        first, _, second = ids_made_by(palace)
    with start_palace(tmp_path / "data", "--ephemeral", "--id-seed", "7") as palace, palace.client() as api:
        assert [api.post("/v2/pals", json=NEW_PAL).json()["pal_id"] for _ in range(2)] == [first, second]


def test_a_fixed_clock_stands_still_until_it_is_set(tmp_path: Path) -> None:
    start, later = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:30.500000Z"
    flags = ("--ephemeral", "--fixed-time", "2026-01-01T01:00:00+01:00")
    with start_palace(tmp_path / "data", *flags) as palace, palace.client() as api:
        pal = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        assert api.get(pal).json()["created_at"] == api.get("/v2/pals/pcb7a34da5fe").json()["created_at"] == start
        assert api.get("/_palace/clock").json() == {"now": start}
        assert api.post("/_palace/clock", json={"advance_seconds": 90.5}).json() == {"now": later}
        patched = api.patch(pal, json=[{"op": "add", "path": "/greeting", "value": "Hello."}]).json()
        assert (patched["created_at"], patched["updated_at"]) == (start, later)
        assert api.post("/_palace/clock", json={"now": "2031-05-06T07:08:09Z"}).json()["now"].startswith("2031-05-06")


def test_what_is_remembered_for_a_time_is_forgotten_when_the_clock_passes_it(tmp_path: Path) -> None:
    flags = ("--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z")
    with start_palace(tmp_path / "data", *flags) as palace, palace.client() as api:
        pal = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        api.delete(pal)
        api.post("/_palace/clock", json={"advance_seconds": 29 * 86_400})
        assert api.post(f"{pal}/restore").status_code == 200
        api.delete(pal)
        api.post("/_palace/clock", json={"advance_seconds": 31 * 86_400})
        assert api.post(f"{pal}/restore").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param([], id="no object"),
        pytest.param({"advance_seconds": 1, "now": "2026-01-01T00:00:00Z"}, id="both"),
        pytest.param({"advance_seconds": "1"}, id="a text for a number"),
        pytest.param({"advance_seconds": True}, id="true for a number"),
        pytest.param({"advance_seconds": 1e300}, id="too far"),
        pytest.param({"advance_seconds": -1e11}, id="before all clocks"),
        pytest.param({"now": "tomorrow"}, id="no time"),
        pytest.param({"now": "2026-01-01T00:00:00"}, id="no zone"),
        pytest.param({"now": "9999-01-01T00:00:00Z"}, id="after all clocks"),
        pytest.param({"now": 5}, id="a number for a time"),
    ],
)
def test_a_time_that_cannot_be_used_is_refused(clocked: httpx.Client, body: object) -> None:
    before = clocked.get("/_palace/clock").json()
    answer = clocked.post("/_palace/clock", json=body)
    assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, "invalid_clock")
    assert clocked.get("/_palace/clock").json() == before


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("clocked") / "data"
    with start_palace(folder, "--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z") as palace, palace.client() as api:
        yield api


def test_the_clock_of_the_machine_is_not_set(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--ephemeral") as palace, palace.client() as api:
        assert api.post("/_palace/clock", json={"advance_seconds": 1}).status_code == 404


# --- Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        pytest.param({"PALACE_ID_SEED": "7"}, "id_seed spoils data that are kept", id="seed on kept data"),
        pytest.param({"PALACE_FIXED_TIME": "2026-01-01T00:00:00Z"}, "fixed_time spoils", id="time on kept data"),
        pytest.param({"PALACE_EPHEMERAL": "1", "PALACE_FIXED_TIME": "noon"}, "fixed_time cannot be used", id="no time"),
        pytest.param({"PALACE_EPHEMERAL": "1", "PALACE_ID_SEED": "-1"}, "id_seed must be at least 0", id="no seed"),
        pytest.param({"PALACE_FAULTS": "faults.json"}, "add --fault-lab", id="faults without a lab"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidSetting, match=problem):
        load_settings(variables)


def test_what_tests_need_is_on_in_memory_unless_it_is_switched_off() -> None:
    def chosen(settings: Settings) -> tuple[bool, bool]:
        return settings.allow_reset, settings.fault_lab

    assert chosen(load_settings({})) == (False, False)
    assert chosen(load_settings({"PALACE_EPHEMERAL": "true"})) == (True, True)
    assert chosen(load_settings({"PALACE_EPHEMERAL": "true", "PALACE_FAULT_LAB": "no"})) == (True, False)
    assert chosen(load_settings({"PALACE_ALLOW_RESET": "yes"})) == (True, False)


def test_commands_on_a_data_folder_say_that_there_is_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "palace", "keys", "create", "--data", str(tmp_path / "data")]
    done = run(command, env={**os.environ, "PALACE_EPHEMERAL": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "PALACE_EPHEMERAL is set" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_master_key_may_be_given_and_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--ephemeral", PALACE_MASTER_KEY="ab" * 32) as palace, palace.client() as api:
        assert api.post("/v2/pals", json=WITH_SECRET).status_code == 200
    with pytest.raises(AssertionError, match="cannot be read"):
        start_palace(tmp_path / "data", "--ephemeral", "--master-key-file", str(tmp_path / "none.key"))
    assert not (tmp_path / "none.key").exists()
