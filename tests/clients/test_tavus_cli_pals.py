"""`tavus-cli`, as it is published: PALs, faces, voices, and what belongs to a PAL."""

from typing import Any

import httpx
import pytest

from tests.clients.apart import CommandLine
from tests.serving import STOCK_FACE

LAYERS = {"stt": {"hotwords": "Wren House"}, "conversational_flow": {"face_interruptibility": "low"}}


def made(tavus: CommandLine, *more: str) -> str:
    """The id of a new PAL."""
    words = ("pal", "create", "--system-prompt", "Answer briefly.", "--name", "Night Desk", "--face-id", STOCK_FACE)
    pal_id: str = tavus(*words, *more)["pal_id"]
    return pal_id


def test_create_makes_a_pal_with_everything_that_it_can_set(tavus: CommandLine, api: httpx.Client) -> None:
    pal_id = made(
        tavus, "--greeting", "Good evening.", "--layers-file", tavus.file(LAYERS), "--memory", "Closed on Mondays."
    )
    pal = api.get(f"/v2/pals/{pal_id}").json()
    assert (pal["greeting"], pal["memories"]) == ("Good evening.", ["Closed on Mondays."])
    assert pal["layers"]["stt"]["hotwords"] == "Wren House"
    assert pal["layers"]["conversational_flow"]["pal_interruptibility"] == "low"
    assert pal["layers"]["llm"] == {"model": "tavus-gemma-4", "speculative_inference": True}


def test_create_makes_an_echo_pal_and_a_template(tavus: CommandLine, api: httpx.Client) -> None:
    answer = tavus("pal", "create", "--pipeline-mode", "echo", "--face-id", STOCK_FACE, "--template")
    pal = api.get(f"/v2/pals/{answer['pal_id']}").json()
    assert (pal["pipeline_mode"], pal["is_template"]) == ("echo", True)


def test_create_without_a_face_is_refused_as_published(tavus: CommandLine) -> None:
    said = tavus.refused("pal", "create", "--system-prompt", "Answer briefly.")
    assert "Tavus API POST /pals failed with 400" in said


def test_list_shows_pals_from_its_first_page_which_it_calls_zero(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    page = tavus("pal", "list", "--json", "--limit", "100", "--pal-type", "user")
    assert pal_id in [pal["pal_id"] for pal in page["data"]]
    table = tavus.run("pal", "list", "--limit", "3")
    assert table.returncode == 0
    assert "pipecat0" in table.stdout


def test_get_shows_the_pal_that_the_server_has(tavus: CommandLine, api: httpx.Client) -> None:
    pal_id = made(tavus)
    assert tavus("pal", "get", pal_id) == api.get(f"/v2/pals/{pal_id}").json()
    assert tavus("pal", "get", pal_id, "--include-settings")["pal_id"] == pal_id


def test_patch_changes_what_its_options_say(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    patched = tavus("pal", "patch", pal_id, "--path", "/pal_name", "--value", "Day Desk")
    assert patched == tavus("pal", "get", pal_id)
    assert patched["pal_name"] == "Day Desk"


def test_patch_sends_the_operations_of_a_file(tavus: CommandLine) -> None:
    pal_id = made(tavus, "--layers-file", tavus.file(LAYERS))
    operations = [
        {"op": "remove", "path": "/layers/stt/hotwords"},
        {"op": "add", "path": "/layers/perception", "value": {"perception_model": "off"}},
        {"op": "copy", "from": "/system_prompt", "path": "/greeting"},
    ]
    patched = tavus("pal", "patch", pal_id, "--path", "/", "--patch-file", tavus.file(operations))
    assert "hotwords" not in patched["layers"]["stt"]
    assert patched["layers"]["perception"] == {"perception_model": "off"}
    assert patched["greeting"] == "Answer briefly."


def test_patch_that_changes_nothing_prints_null_and_is_no_error(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    assert tavus("pal", "patch", pal_id, "--path", "/pal_name", "--value", "Night Desk") is None


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["--op", "remove", "--path", "/layers/stt/hotwords"], 400, id="its parent is missing"),
        pytest.param(["--op", "add", "--path", "/greeting"], 422, id="no value, which it leaves out when it is null"),
        pytest.param(["--path", "/pipeline_mode", "--value", "half"], 400, id="a value that is none of the allowed"),
        pytest.param(["--op", "test", "--path", "/pal_name", "--value", "Day Desk"], 422, id="a test that fails"),
    ],
)
def test_patch_that_is_refused_ends_with_the_status(tavus: CommandLine, words: list[str], status: int) -> None:
    pal_id = made(tavus)
    assert f"failed with {status}" in tavus.refused("pal", "patch", pal_id, *words)


def test_delete_deletes(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    assert tavus("pal", "delete", pal_id) is None
    assert f"Tavus API GET /pals/{pal_id} failed with 400" in tavus.refused("pal", "get", pal_id)
    assert "failed with 400" in tavus.refused("pal", "delete", pal_id)


def test_preview_finds_the_pal_and_prints_links(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    assert pal_id in tavus("pal", "preview", pal_id, "--json")["test_url"]


def test_knowledge_is_kept_on_the_pal(tavus: CommandLine, api: httpx.Client) -> None:
    pal_id = made(tavus)
    tavus("pal", "knowledge", "add", pal_id, "--document-tag", "house", "--document-tag", "rates")
    tavus("pal", "knowledge", "remove", pal_id, "--document-tag", "rates")
    tavus("pal", "knowledge", "settings", pal_id, "--rag-n-chunks", "4", "--no-rag-observability")
    shown = tavus("pal", "knowledge", "list", pal_id)
    assert shown["document_tags"] == ["house"]
    assert shown["knowledge_base"] == {"rag_n_chunks": 4, "enable_rag_observability_app_messages": False}
    tavus("pal", "knowledge", "replace", pal_id, "--document-tag", "night")
    assert api.get(f"/v2/pals/{pal_id}").json()["document_tags"] == ["night"]


def test_perception_is_attached_and_detached_as_a_capability(tavus: CommandLine, api: httpx.Client) -> None:
    pal_id = made(tavus)
    tavus("pal", "capabilities", "attach", pal_id, "perception", "--visual-query", "Is anybody there?")
    assert perception(api, pal_id) == {"perception_model": "raven-1", "visual_awareness_queries": ["Is anybody there?"]}
    tavus("pal", "capabilities", "patch", pal_id, "perception", "--perception-model", "raven-0")
    assert perception(api, pal_id) == {"perception_model": "raven-0"}
    tavus("pal", "capabilities", "detach", pal_id, "perception")
    assert perception(api, pal_id) == {"perception_model": "off"}


def perception(api: httpx.Client, pal_id: str) -> Any:
    return api.get(f"/v2/pals/{pal_id}").json()["layers"]["perception"]


def test_faces_are_listed_all_and_stock(tavus: CommandLine) -> None:
    for words in ([], ["--stock"]):
        page = tavus("face", "list", "--json", *words)
        assert STOCK_FACE in [face["face_id"] for face in page["data"]]
        assert page["total_count"] >= len(page["data"]) > 0
    assert "completed" in tavus.run("face", "list").stdout


def test_voices_are_listed(tavus: CommandLine) -> None:
    page = tavus("resource", "list", "voices", "--limit", "3")
    assert all(voice["voice_name"] for voice in page["data"])
    assert page["total_count"] >= len(page["data"]) > 0


def test_what_needs_documents_is_not_there_yet(tavus: CommandLine) -> None:
    pal_id = made(tavus)
    for words in (["pal", "options", pal_id], ["document", "list"]):
        assert "failed with 404" in tavus.refused(*words)
