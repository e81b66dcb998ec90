"""Patches that people send, that fail, and what they get: the tables of `tests/data/mends` over HTTP."""

import json
from collections.abc import Callable

import httpx
import pytest

from tests.api.wire import add, document, patch, replace, text_of
from tests.mends import Row, is_said, rows

NewPal = Callable[..., str]
ROWS = list(rows())
LENIENT = {"prefer": "handling=lenient"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_failing_patch_is_explained_and_its_corrected_patch_succeeds(
    api: httpx.Client, new_pal: NewPal, row: Row
) -> None:
    pal = new_pal(**row.members)
    before = document(api, pal)
    path = f"/v2/{row.family}/{pal}"
    answer = api.patch(path, json=row.patch)
    body = answer.json()
    assert answer.status_code == row.status, answer.text
    assert text_of(answer)
    for expected in row.details:
        assert any(is_said(expected, detail) for detail in body["details"]), (expected, body["details"])
    assert body.get("corrected_patch") == row.corrected, body["details"]
    assert "sk-stored" not in answer.text
    assert document(api, pal) == before
    if row.corrected is not None:
        corrected = api.patch(path, json=row.corrected)
        assert corrected.status_code in {200, 304}, corrected.text


def test_a_corrected_patch_says_the_same_again_when_it_is_not_sent(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    operation = replace("/layers/tts/tts_engine", "cartesia")
    answers = [patch(api, pal, operation).json() for _ in range(2)]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]


def test_lenient_handling_applies_safe_mends_at_once_and_says_so(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answer = patch(api, pal, replace("/layers/stt/hotwords", "Wren House"), **LENIENT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["layers"]["stt"] == {"hotwords": "Wren House"}
    assert answer.headers["preference-applied"] == "handling=lenient"
    [mend] = json.loads(answer.headers["x-mended"])
    assert (mend["operation"], mend["mend"]) == (0, "added_parent")
    assert mend["to"] == [{"op": "add", "path": "/layers/stt"}]


def test_lenient_handling_refuses_what_would_be_a_guess(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": {"model": "tavus-gpt-oss"}})
    answer = patch(api, pal, replace("/layers/llm/modle", "tavus-gemma-4"), **LENIENT)
    assert answer.status_code == 422
    assert answer.json()["corrected_patch"] == [replace("/layers/llm/model", "tavus-gemma-4")]
    assert "x-mended" not in answer.headers


def test_lenient_handling_of_a_patch_that_needs_none_says_nothing(api: httpx.Client, new_pal: NewPal) -> None:
    answer = patch(api, new_pal(), add("/layers/stt", {"hotwords": "Wren House"}), **LENIENT)
    assert answer.status_code == 200
    assert "x-mended" not in answer.headers
