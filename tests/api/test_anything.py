"""Random bodies: the server answers each with a documented status, and a refused one changes nothing."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.wire import DOCUMENTED, MERGE_PATCH, document, send, text_of
from tests.serving import STOCK_FACE

EXAMPLES = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])

PLACES = [
    "",
    "/",
    "/pal_name",
    "/persona_name",
    "/system_prompt",
    "/layers",
    "/layers/llm",
    "/layers/llm/api_key",
    "/layers/llm/model",
    "/layers/llm/extra_body",
    "/layers/llm/extra_body/a",
    "/layers/conversational_flow",
    "/layers/conversational_flow/replica_interruptibility",
    "/layers/conferencing",
    "/layers/conferencing/username",
    "/layers/tts",
    "/layers/stt/hotwords",
    "/document_tags",
    "/document_tags/-",
    "/document_tags/0",
    "/memories/-",
    "/pal_id",
    "/updated_at",
    "/default_face_id",
    "/layers/transport",
    "/layers/perception/visual_tools",
    "/languages/1",
]
WORDS = ["********", "tavus-llama-4", "full", "echo", "low", "off", "raven-1", STOCK_FACE, "some-name", "a", ""]
NAMES = [
    "llm",
    "tts",
    "stt",
    "model",
    "api_key",
    "base_url",
    "username",
    "conversational_flow",
    "pal_interruptibility",
    "replica_interruptibility",
    "pal_name",
    "persona_name",
    "layers",
    "default_face_id",
    "system_prompt",
    "op",
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
pointers = st.sampled_from(PLACES) | st.text(max_size=12) | st.lists(st.text(max_size=4), max_size=4).map("/".join)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "copy", "move", "test"]), "path": pointers},
    optional={"value": anything, "from": pointers},
)
likely = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "copy", "move", "test"]), "path": st.sampled_from(PLACES)}
    | {"value": anything, "from": st.sampled_from(PLACES)}
)
patches = st.lists(operations, max_size=4) | st.lists(likely, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def pal(api: httpx.Client) -> str:
    body = {"default_face_id": STOCK_FACE, "pipeline_mode": "echo", "layers": {"llm": {}, "stt": {"hotwords": "a"}}}
    made: str = api.post("/v2/pals", json=body).json()["pal_id"]
    return made


def judge(api: httpx.Client, pal: str, method: str, path: str, body: bytes, media: str) -> None:
    before = document(api, pal)
    answer = send(api, method, path, body, media)
    assert answer.status_code in DOCUMENTED, answer.text
    after = document(api, pal)
    if answer.status_code >= 400:
        text_of(answer)
    if answer.status_code != 200 or method != "PATCH":
        assert after == before
    else:
        assert after == answer.json()
        assert after["pal_id"] == pal
        again = send(
            api, "PATCH", path, json.dumps([{"op": "replace", "path": "", "value": after}]).encode(), "application/json"
        )
        assert again.status_code == 304, again.text
    if answer.status_code == 200 and method == "POST":
        made = answer.json()["pal_id"]
        assert document(api, made)["pal_id"] == made


@EXAMPLES
@given(body=patches)
def test_a_random_patch_is_carried_out_or_refused_as_documented(api: httpx.Client, pal: str, body: Any) -> None:
    judge(api, pal, "PATCH", f"/v2/pals/{pal}", json.dumps(body).encode(), "application/json")


@EXAMPLES
@given(body=anything, media=st.sampled_from(["application/json", MERGE_PATCH]))
def test_random_json_as_a_patch_is_answered_as_documented(api: httpx.Client, pal: str, body: Any, media: str) -> None:
    judge(api, pal, "PATCH", f"/v2/pals/{pal}", json.dumps(body).encode(), media)


@EXAMPLES
@given(body=st.dictionaries(st.sampled_from(NAMES), anything, max_size=5) | anything)
def test_random_json_as_a_new_pal_is_answered_as_documented(api: httpx.Client, pal: str, body: Any) -> None:
    if isinstance(body, dict):
        body = {"default_face_id": STOCK_FACE, "pipeline_mode": "echo"} | body
    judge(api, pal, "POST", "/v2/pals", json.dumps(body).encode(), "application/json")


@EXAMPLES
@given(body=st.binary(max_size=60), method=st.sampled_from(["PATCH", "POST"]))
def test_random_bytes_are_answered_as_documented(api: httpx.Client, pal: str, body: bytes, method: str) -> None:
    judge(api, pal, method, f"/v2/pals/{pal}" if method == "PATCH" else "/v2/pals", body, "application/json")
