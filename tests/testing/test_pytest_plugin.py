"""The pytest plugin, in test runs of its own, and the server that it starts."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from palace.testing import NotStarted, Refused, start_palace

pytest_plugins = "pytester"
ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "no:palace", "-p", "palace.testing.plugin", "-p", "no:cacheprovider")
"""As its entry point would load it, whether this very version is installed or not."""

NEW_PAL = '{"pal_name": "Night Desk", "system_prompt": "Hm.", "default_face_id": "r4067604db72"}'


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs pytest on a file with these tests and, if need be, an ini file and a conftest.py."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PALACE_API_KEY", "not-for-the-server-of-tests")

    def go(tests: str, ini: str = "", conftest: str = "", *flags: str) -> pytest.RunResult:
        pytester.makepyfile(tests)
        if ini:
            pytester.makeini(f"[pytest]\n{ini}")
        if conftest:
            pytester.makeconftest(conftest)
        return pytester.runpytest_subprocess(*PLUGIN, *flags)

    return go


def test_one_server_serves_all_tests_and_each_finds_it_as_it_was(run) -> None:
    done = run(f"""
        import os
        PAL = {NEW_PAL}
        seen = set()

        def count(palace):
            with palace.client() as api:
                total = api.get("/v2/pals", params={{"pal_type": "user"}}).json()["total_count"]
                assert api.post("/v2/pals", json=PAL).status_code == 200
            seen.add(palace.url)
            return total

        def test_one(palace):
            assert palace.url.startswith("http://127.0.0.1:")
            assert palace.environment == {{"TAVUS_PUBLIC_API_BASE_URL": palace.url, "TAVUS_API_KEY": palace.api_key}}
            assert palace.api_key != os.environ["PALACE_API_KEY"]
            assert count(palace) == 1

        def test_two(palace):
            assert count(palace) == 1

        def test_three(palace_server):
            assert count(palace_server) == 2
            assert len(seen) == 1
    """)
    done.assert_outcomes(passed=3)


def test_settings_come_from_the_ini_file(run, pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", seed="pals: [{pal_id: pseeded, pal_name: Seeded, pipeline_mode: echo}]")
    done = run(
        """
        def test_settings(palace):
            with palace.client() as api:
                pal = api.get("/v2/pals/pseeded").json()
                assert (pal["pal_name"], pal["created_at"]) == ("Seeded", "2026-01-01T00:00:00.000000Z")
                palace.advance(60)
                patched = api.patch("/v2/pals/pseeded", json=[{"op": "add", "path": "/pal_name", "value": "Other"}])
                assert patched.json()["updated_at"] == "2026-01-01T00:01:00.000000Z"
                palace.set_time("2027-01-01T00:00:00Z")

        def test_time_is_reset(palace):
            with palace.client() as api:
                assert api.get("/_palace/clock").json() == {"now": "2026-01-01T00:00:00.000000Z"}
        """,
        "palace_settings =\n    seed = seed.yaml\n    fixed_time = 2026-01-01T00:00:00Z\n    id-seed = 7",
    )
    done.assert_outcomes(passed=2)


def test_settings_come_from_a_fixture(run) -> None:
    done = run(
        """
        def test_settings(palace):
            assert palace.api_key == "my-own-key"
            with palace.client() as api:
                answer = api.patch("/v2/pals/pcb7a34da5fe", json=[])
                assert answer.status_code == 428
        """,
        conftest="""
        import pytest

        @pytest.fixture(scope="session")
        def palace_settings():
            return {"require_if_match": True, "api_key": "my-own-key"}
        """,
    )
    done.assert_outcomes(passed=1)


def test_faults_are_for_one_test(run) -> None:
    done = run("""
        import pytest
        import httpx

        def test_faults(palace):
            palace.fault("429;retry-after=7", method="GET", path="/v2/pals", times=2)
            palace.fault("drop")
            with palace.client() as api:
                assert api.get("/v2/pals").headers["retry-after"] == "7"
                assert [fault["times"] for fault in palace.faults()] == [1, 1]
                with pytest.raises(httpx.RemoteProtocolError):
                    api.get("/v2/faces")

        def test_none_is_left(palace):
            assert palace.faults() == []
            palace.fault("500")
            palace.clear_faults()
            assert palace.faults() == []
    """)
    done.assert_outcomes(passed=2)


def test_a_test_that_fails_shows_what_the_server_logged_meanwhile(run) -> None:
    done = run("""
        def test_before(palace):
            with palace.client() as api:
                api.get("/v2/voices-of-before")

        def test_failing(palace):
            with palace.client() as api:
                assert api.get("/v2/palls").status_code == 200
    """)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*Palace log*", "*path=/v2/palls*status=404*"])
    done.stdout.no_fnmatch_line("*voices-of-before*")


def test_a_server_that_does_not_start_says_why(run) -> None:
    done = run("def test_it(palace): pass", "palace_settings = seed = none.yaml")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*NotStarted*none.yaml cannot be used*"])
    done = run("def test_it(palace): pass", "palace_settings = sead = none.yaml")
    done.stdout.fnmatch_lines(["*NotStarted: Palace has no setting sead. Did you mean seed?"])


def test_a_run_without_the_fixtures_starts_nothing_and_imports_little(run) -> None:
    done = run("""
        import sys

        def test_it():
            assert not {"palace.app", "palace.resource", "httpx", "pydantic"} & set(sys.modules)
    """)
    done.assert_outcomes(passed=1)


def test_the_plugin_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"palace": "palace.testing.plugin"}


# --- Without pytest ---------------------------------------------------------------------------------------------------


def test_a_server_for_the_length_of_a_block() -> None:
    with start_palace(ROOT) as palace:
        with palace.client() as api:
            assert api.get("/v2/pals").status_code == 200
        with pytest.raises(Refused, match=r"404 .*--fixed-time"):
            palace.advance(1)  # No fixed time, no such path.
        with pytest.raises(Refused, match="a fault begins with"):
            palace.fault("nonsense")
    with pytest.raises(httpx.ConnectError):
        httpx.get(palace.url)


def test_a_server_that_is_slow_on_purpose_ends_all_the_same() -> None:
    with start_palace(ROOT, shutdown_seconds=60) as palace, palace.client(timeout=0.2) as api:
        palace.fault("slow;seconds=300")
        with pytest.raises(httpx.ReadTimeout):
            api.get("/v2/pals")
        begun = time.monotonic()
    assert time.monotonic() - begun < 15


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(NotStarted, match=r"no setting colour\. They are listed"), start_palace(ROOT, colour="red"):
        pass


def test_the_server_ends_with_the_process_that_started_it() -> None:
    program = """
import time
from palace.testing import start_palace
with start_palace() as palace:
    print(palace.url, flush=True)
    time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    starter = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    assert httpx.get(f"{url}/healthz").status_code == 200
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    for _ in range(100):
        try:
            httpx.get(f"{url}/healthz")
        except httpx.TransportError:
            return
        time.sleep(0.1)
    pytest.fail("the server goes on without the process that started it")
