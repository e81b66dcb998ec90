"""`tavus-cli`, as it is published: the first minutes with it, and where its URL may point."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.clients.apart import CommandLine, Outside, environment, nothing_outside, program
from tests.serving import STOCK_FACE, Palace

VERSION = "0.11.0"


def test_it_is_the_version_that_the_documentation_names() -> None:
    pip = [program("python"), "-m", "pip", "show", "tavus-cli"]
    shown = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    assert f"Version: {VERSION}\n" in shown


@pytest.fixture
def tavus(palace: Palace, outside: Outside, tmp_path: Path) -> CommandLine:
    """The program that pip installs, told nothing but URL and key."""
    return CommandLine(tmp_path, environment(f"{palace.url}/v2", tmp_path, outside))


def test_doctor_finds_the_server_and_is_content(tavus: CommandLine, palace: Palace) -> None:
    done = tavus.run("doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(rf"public_api_base_url\W+{re.escape(palace.url)}/v2\W", done.stdout)
    assert "env:TAVUS_API_KEY" in done.stdout
    assert "Network check passed." in done.stdout


def test_doctor_tells_a_wrong_key(palace: Palace, outside: Outside, tmp_path: Path) -> None:
    stranger = CommandLine(tmp_path, environment(f"{palace.url}/v2", tmp_path, outside, key="a-wrong-key"))
    assert "Tavus API GET /pals failed with 401" in stranger.refused("doctor")


def test_quickstart_makes_a_pal_with_a_stock_face(tavus: CommandLine, api: httpx.Client) -> None:
    made = tavus("quickstart", "--system-prompt", "Answer briefly.", "--name", "Night Desk")
    pal = api.get(f"/v2/pals/{made['pal']['pal_id']}").json()
    assert (pal["pal_name"], pal["system_prompt"]) == ("Night Desk", "Answer briefly.")
    assert pal["default_face_id"] == made["face_id"]
    assert api.get(f"/v2/faces/{made['face_id']}").json()["status"] == "completed"


def test_quickstart_takes_a_face_of_your_choice(tavus: CommandLine, api: httpx.Client) -> None:
    made = tavus("quickstart", "--system-prompt", "Answer briefly.", "--face-id", STOCK_FACE)
    assert api.get(f"/v2/pals/{made['pal']['pal_id']}").json()["default_face_id"] == STOCK_FACE


def test_the_url_may_be_the_one_that_palace_prints(palace: Palace, outside: Outside, tmp_path: Path) -> None:
    """The command line wants `/v2` at its end; Palace prints it without."""
    tavus = CommandLine(tmp_path, environment(palace.url, tmp_path, outside))
    assert "Network check passed." in tavus.run("doctor").stdout
    assert tavus("pal", "get", "pb87e71797da")["pipeline_mode"] == "echo"


@pytest.mark.parametrize("form", ["{url}", "{url}/", "{url}/v2", "{url}/v2/"])
def test_its_own_sdk_finds_its_way_from_any_form_of_the_url(form: str, palace: Palace, tavus: CommandLine) -> None:
    script = "import asyncio; from tavus_mcp.sdk.client.http import TavusClient as C; print(len(asyncio.run("
    script += "C.from_env(surface='sdk').pals.list(limit=3))['data']))"
    url = form.format(url=palace.url)
    done = subprocess.run(
        [program("python"), "-c", script],
        env=tavus.variables | {"TAVUS_PUBLIC_API_BASE_URL": url},
        cwd=tavus.home,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "3\n", done.stderr


def test_a_call_outside_would_be_noticed(tmp_path: Path, palace: Palace) -> None:
    with nothing_outside() as proxy:
        elsewhere = environment("https://tavusapi.com/v2", tmp_path, proxy)
        assert CommandLine(tmp_path, elsewhere).run("doctor").returncode != 0
    assert proxy.calls == ["CONNECT tavusapi.com:443 HTTP/1.1"]
