"""API keys inside a PAL: shown as a mask, kept when the mask comes back, found nowhere else."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.wire import MERGE_PATCH, add, document, expect, patch, refused, remove, replace
from tests.rows import everything
from tests.serving import KEY, Palace, start_palace

NewPal = Callable[..., str]
MASK = "********"
LLM_SECRET = "sk-llm-2f6b1c9d7e"
TTS_SECRET = "el-tts-8a4e5f3b1c"
OWN_OPERATIONS = {"fix", "corrected_patch"}
PROMPT = "A prompt that no log may hold: 51d7c0aa"
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": LLM_SECRET}
LAYERS = {"llm": LLM, "tts": {"tts_engine": "elevenlabs", "api_key": TTS_SECRET}}


@pytest.fixture
def pal(new_pal: NewPal) -> str:
    return new_pal(layers=LAYERS)


def test_a_secret_is_shown_as_eight_asterisks(api: httpx.Client, pal: str) -> None:
    layers = document(api, pal)["layers"]
    assert layers["llm"] == LLM | {"api_key": MASK}
    assert layers["tts"]["api_key"] == MASK
    listed = api.get("/v2/pals?sort=desc&limit=1").json()["data"][0]
    assert listed["layers"] == layers


KEEPING: list[Any] = [
    pytest.param([replace("/layers/llm/api_key", MASK)], 304, id="the mask in its place"),
    pytest.param([replace("/layers/llm", LLM | {"api_key": MASK})], 304, id="the layer as it was read"),
    pytest.param([replace("/layers/llm/api_key", LLM_SECRET)], 304, id="the same secret again"),
    pytest.param([expect("/layers/llm/api_key", MASK)], 304, id="a test of the mask"),
    pytest.param([replace("/layers/llm", LLM | {"api_key": MASK, "model": "n"})], 200, id="another model"),
    pytest.param([remove("/layers/llm"), add("/layers/llm", LLM | {"api_key": MASK})], 304, id="there and back"),
    pytest.param(
        [{"op": "copy", "from": "/layers/llm/api_key", "path": "/layers/tts/api_key"}], 304, id="one mask on another"
    ),
]


@pytest.mark.parametrize(("operations", "status"), KEEPING)
def test_the_stored_secret_is_kept(api: httpx.Client, pal: str, operations: list[Any], status: int) -> None:
    answer = patch(api, pal, *operations)
    assert answer.status_code == status, answer.text
    assert document(api, pal)["layers"]["llm"]["api_key"] == MASK
    for place, secret in (("llm", LLM_SECRET), ("tts", TTS_SECRET)):
        assert patch(api, pal, replace(f"/layers/{place}/api_key", secret)).status_code == 304


def test_another_secret_is_a_change_although_it_looks_the_same(api: httpx.Client, pal: str) -> None:
    before = document(api, pal)
    answer = patch(api, pal, replace("/layers/llm/api_key", "sk-other"))
    assert answer.status_code == 200
    assert answer.json() == before | {"updated_at": answer.json()["updated_at"]}
    assert patch(api, pal, replace("/layers/llm/api_key", LLM_SECRET)).status_code == 200


def test_a_whole_document_that_was_read_can_be_written_back(api: httpx.Client, pal: str) -> None:
    before = document(api, pal)
    assert patch(api, pal, replace("", before)).status_code == 304
    merge = {"layers": before["layers"]}
    assert api.patch(f"/v2/pals/{pal}", json=merge, headers={"content-type": MERGE_PATCH}).status_code == 304


REFUSED: list[Any] = [
    pytest.param([replace("/layers/llm/base_url", "https://thief.example.org")], id="another address"),
    pytest.param([replace("/layers/llm/base_url", "https://llm.example.org/v1/")], id="a slash more"),
    pytest.param(
        [replace("/layers/llm", LLM | {"api_key": MASK, "base_url": "https://thief.example.org"})],
        id="another address with the mask",
    ),
    pytest.param([replace("/layers/llm/api_key", "*" * 7)], id="seven asterisks"),
    pytest.param([replace("/layers/llm/api_key", "*" * 9)], id="nine asterisks"),
    pytest.param([replace("/layers/llm", {"model": "m", "base_url": LLM["base_url"]})], id="the secret left out"),
    pytest.param([remove("/layers/llm/api_key")], id="the secret removed"),
    pytest.param([remove("/layers/llm/base_url")], id="the address removed"),
    pytest.param([expect("/layers/llm/api_key", LLM_SECRET)], id="a test of the secret"),
    pytest.param(
        [{"op": "move", "from": "/layers/llm/base_url", "path": "/layers/llm/endpoint"}], id="the address moved away"
    ),
]


@pytest.mark.parametrize("operations", REFUSED)
def test_a_stored_secret_goes_nowhere_else(api: httpx.Client, pal: str, operations: list[Any]) -> None:
    before = document(api, pal)
    answer = patch(api, pal, *operations)
    assert answer.status_code in (400, 422), answer.text
    refused(answer, answer.status_code)
    assert LLM_SECRET not in answer.text
    assert document(api, pal) == before


def test_another_address_comes_with_the_secret_for_it(api: httpx.Client, pal: str) -> None:
    llm = LLM | {"base_url": "https://new.example.org", "api_key": "sk-new"}
    answer = patch(api, pal, replace("/layers/llm", llm))
    assert (answer.status_code, answer.json()["layers"]["llm"]) == (200, llm | {"api_key": MASK})


def test_a_mask_means_nothing_where_no_secret_is_stored(api: httpx.Client, new_pal: NewPal, pal: str) -> None:
    other = new_pal()
    for operation in (add("/layers/llm", LLM | {"api_key": MASK}), add("/layers/tts", {"api_key": MASK})):
        details = refused(patch(api, other, operation), 400)
        assert (details[0]["code"], details[0]["operation"]) == ("mask", 0)
    patch(api, pal, remove("/layers/tts"))
    refused(patch(api, pal, add("/layers/tts", {"api_key": MASK})), 400)
    refused(patch(api, pal, add("/layers/tts", {}), {"op": "copy", "from": "/layers/llm/api_key",
                                                     "path": "/layers/tts/api_key"}), 400)  # fmt: skip
    body = {"system_prompt": "x", "layers": {"tts": {"api_key": "***"}}}
    refused(api.post("/v2/personas", json=body), 400)


@pytest.mark.parametrize("op", ["copy", "move"])
def test_copy_and_move_carry_the_mask_never_the_secret(api: httpx.Client, pal: str, op: str) -> None:
    answer = patch(api, pal, {"op": op, "from": "/layers/tts/api_key", "path": "/greeting"})
    assert answer.status_code == 200
    assert answer.json()["greeting"] == MASK
    assert TTS_SECRET not in answer.text


def test_a_secret_that_was_removed_does_not_come_back(api: httpx.Client, pal: str) -> None:
    assert patch(api, pal, replace("/layers/tts", {"tts_engine": "elevenlabs"})).status_code == 200
    assert "api_key" not in document(api, pal)["layers"]["tts"]
    refused(patch(api, pal, add("/layers/tts/api_key", MASK)), 400)


MISTAKEN: list[Any] = [
    pytest.param([replace("/layers/llm/api_kye", "sk-sent")], id="a misspelt pointer"),
    pytest.param([replace("/layers/llm/api_key", ["sk-sent"])], id="in a list"),
    pytest.param([replace("/layers/llm", LLM | {"api_key": "sk-sent", "modle": "m"})], id="inside a layer"),
    pytest.param([add("/layers/lm", {}), replace("/layers/llm/api_key", "sk-sent")], id="beside the mistake"),
]


@pytest.mark.parametrize("operations", MISTAKEN)
def test_an_error_repeats_no_secret_also_where_it_could_offer_a_patch(
    api: httpx.Client, pal: str, operations: list[Any]
) -> None:
    answer = patch(api, pal, *operations)
    assert answer.status_code in (400, 422)
    assert "sk-sent" not in answer.text
    assert "corrected_patch" not in answer.json()
    without = [operation | {"value": MASK} for operation in operations if operation["path"] == "/layers/llm/api_kye"]
    if without:
        assert patch(api, pal, *without).json()["corrected_patch"] == [replace("/layers/llm/api_key", MASK)]


# --- Nowhere else -----------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Palace]:
    with start_palace(tmp_path / "data", PALACE_LOG_LEVEL="debug") as palace:
        yield palace


def without_own_operations(body: Any) -> Any:
    """An answer without the client's own operations, put right: those may hold the secret that it has just sent."""
    if isinstance(body, list):
        return [without_own_operations(item) for item in body]
    if isinstance(body, dict):
        return {name: without_own_operations(item) for name, item in body.items() if name not in OWN_OPERATIONS}
    return body


def test_no_secret_and_no_prompt_is_in_an_answer_a_log_or_a_database_file(own: Palace) -> None:
    answers = []
    with own.client() as api:
        body = {"system_prompt": PROMPT, "layers": LAYERS, "default_face_id": "r4067604db72"}
        answers.append(api.post("/v2/pals", json=body))
        pal = answers[0].json()["pal_id"]
        operations: list[Any] = [
            replace("/layers/llm/api_key", LLM_SECRET),
            replace("/layers/llm/base_url", "https://else.example.org"),
            replace("/layers/llm/api_key", [LLM_SECRET]),
            expect("/layers/llm/api_key", LLM_SECRET),
            add("/layers/llm/key", LLM_SECRET),
            {"op": "copy", "from": "/layers/llm", "path": "/layers/sts"},
            {"op": LLM_SECRET[:3], "path": "/layers/llm/api_key", "value": LLM_SECRET},
        ]
        answers += [patch(api, pal, operation) for operation in operations]
        answers += [api.get(f"/v2/pals/{pal}"), api.get("/v2/pals"), api.post("/v2/pals", json=[body])]
        answers.append(api.post("/v2/pals", content=b'{"layers": {"llm": {"api_key": "' + LLM_SECRET.encode()))
        answers.append(api.post("/v2/pals", json=body | {"layers": {"llm": {"api_key": LLM_SECRET}}}))
        answers.append(api.get(f"/v2/pals?api_key={LLM_SECRET}"))
    assert own.stop() == 0
    shown = "".join(json.dumps(without_own_operations(answer.json())) for answer in answers if answer.content)
    log = own.log.read_text()
    stored = b"".join(everything(own.data).values())
    assert PROMPT.encode() in stored
    for secret in (LLM_SECRET, TTS_SECRET, KEY):
        assert secret not in shown
        assert secret not in log
        assert secret not in own.greeting
        assert secret.encode() not in stored
    assert PROMPT not in log


def test_the_data_folder_is_for_its_owner_only(own: Palace) -> None:
    assert own.data.stat().st_mode & 0o077 == 0
    assert (own.data / "master.key").stat().st_mode & 0o077 == 0
