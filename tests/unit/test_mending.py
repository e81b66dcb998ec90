"""Explain and mend: what is told about a patch that fails, and what to send instead. Tables in `tests/data/mends`."""

import asyncio
import json
from copy import deepcopy
from typing import Any

import pytest

from palace.errors import ClientError
from palace.json_patch import DEFAULT_LIMITS
from palace.mending import Mend, explain, mend_leniently, mended_header
from palace.mending.explain import MOST_ATTEMPTS
from palace.resources.pals import PAL
from palace.vocabulary import Words, canonical_patch
from tests.mends import Row, StoredPal, is_said, rows

ROWS = list(rows())
WORDS = {"pals": Words(False, PAL.aliases), "personas": Words(True, PAL.aliases)}
SECRET = "sk-stored"


def explained(pal: StoredPal, patch: Any) -> ClientError:
    """What is told about a patch that fails."""

    async def told() -> ClientError:
        error = await pal.attempt(patch)
        assert error is not None, "the patch succeeds as it is"
        return await explain(PAL, pal.document, patch, error, pal.attempt, DEFAULT_LIMITS)

    return asyncio.run(told())


def leniently(pal: StoredPal, *patch: dict[str, Any]) -> tuple[Any, list[Mend]] | None:
    """What `Prefer: handling=lenient` makes of a patch that fails."""

    async def mended() -> tuple[Any, list[Mend]] | None:
        error = await pal.attempt(list(patch))
        assert error is not None, "the patch succeeds as it is"
        return await mend_leniently(PAL, pal.document, list(patch), error, pal.attempt, DEFAULT_LIMITS)

    return asyncio.run(mended())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_failing_patch_is_explained_and_mended_where_it_can_be(row: Row) -> None:
    pal, words = StoredPal(row.members), WORDS[row.family]
    patch = canonical_patch(row.patch, PAL.aliases)
    sent, before = deepcopy(patch), deepcopy(pal.document)
    plain = asyncio.run(pal.attempt(patch))
    assert plain is not None
    error = explained(pal, patch)
    body = error.body(words, "r-1")
    assert (type(error), error.status, error.text) == (type(plain), row.status, plain.text)
    for expected in row.details:
        assert any(is_said(expected, detail) for detail in body["details"]), (expected, body["details"])
    assert body.get("corrected_patch") == row.corrected, body["details"]
    assert (patch, pal.document) == (sent, before)
    assert SECRET not in json.dumps(body)


@pytest.mark.parametrize("row", [row for row in ROWS if row.corrected is not None], ids=lambda row: row.name)
def test_the_corrected_patch_succeeds(row: Row) -> None:
    pal = StoredPal(row.members)
    assert asyncio.run(pal.attempt(canonical_patch(row.corrected, PAL.aliases))) is None


def test_the_tables_are_large_enough_and_say_why_a_patch_is_not_mended() -> None:
    assert len(ROWS) >= 36
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert [row.name for row in ROWS if (row.corrected is None) != bool(row.why)] == []


def test_an_operation_that_is_right_has_no_detail_and_stays_as_it_was() -> None:
    fine = {"op": "replace", "path": "/pal_name", "value": "Day Desk"}
    error = explained(StoredPal(ROWS[0].members), [fine, {"op": "replace", "path": "/greting", "value": "x"}])
    assert [detail.operation for detail in error.details] == [1]
    assert error.corrected_patch is not None
    assert error.corrected_patch[0] == fine


def test_what_follows_from_an_operation_beyond_repair_is_not_told() -> None:
    patch = [
        {"op": "add", "path": "/layers/tts", "value": {"colour": 1}},
        {"op": "replace", "path": "/layers/tts/tts_engine", "value": "cartesia"},
        {"op": "replace", "path": "/greting", "value": "x"},
    ]
    error = explained(StoredPal(ROWS[0].members), patch)
    assert [(detail.operation, detail.code) for detail in error.details] == [
        (1, "not_found"),
        (0, "unknown_field"),
        (2, "not_found"),
    ]
    assert error.corrected_patch is None


NONSENSE: list[Any] = [None, 5, True, "x", "[", [], {}, {"a": []}, [None], [[]], [{}], [{"op": []}], [[[]]]]
NONSENSE.append([{"op": "copy", "from": "/tool_ids/9", "path": ""}])
NONSENSE.append([{"op": "move", "from": "", "path": "/layers/stt/x"}, {"op": "add", "path": "b"}])


@pytest.mark.parametrize("sent", NONSENSE, ids=str)
def test_anything_can_be_explained(sent: Any) -> None:
    pal = StoredPal(ROWS[0].members)
    error = asyncio.run(pal.attempt(sent))
    if error is not None:
        told = asyncio.run(explain(PAL, pal.document, sent, error, pal.attempt, DEFAULT_LIMITS))
        assert told.corrected_patch is None
        assert told.details


def test_explaining_tries_a_bounded_number_of_times() -> None:
    pal = StoredPal(ROWS[0].members)
    patch = [{"op": "replace", "path": f"/layers/llm/headers/h{n}", "value": "x"} for n in range(100)]
    pal.attempts = 0
    assert explained(pal, patch).corrected_patch is None
    assert pal.attempts <= MOST_ATTEMPTS + 1


def test_problems_of_one_error_are_all_told() -> None:
    patch = [{"op": "merge", "path": "/a"}, {"op": "add", "path": "b"}, {"op": "add", "path": "/tool_ids/x"}]
    told = [(detail.operation, detail.code) for detail in explained(StoredPal(ROWS[0].members), patch).details]
    assert told == [(0, "unknown_op"), (1, "invalid_pointer"), (1, "missing_value"), (2, "missing_value")]


# --- Lenient ----------------------------------------------------------------------------------------------------------


def test_lenient_handling_adds_what_is_absent_and_the_layers_around_it() -> None:
    mended = leniently(
        StoredPal(ROWS[0].members),
        {"op": "replace", "path": "/pal_name", "value": "Day Desk"},
        {"op": "replace", "path": "/layers/stt/hotwords", "value": "Wren House"},
        {"op": "replace", "path": "/layers/tts/voice_settings/speed", "value": 1.1},
    )
    assert mended is not None
    patch, mends = mended
    assert patch == [
        {"op": "replace", "path": "/pal_name", "value": "Day Desk"},
        {"op": "add", "path": "/layers/stt/hotwords", "value": "Wren House"},
        {"op": "add", "path": "/layers/tts", "value": {"voice_settings": {"speed": 1.1}}},
    ]
    assert json.loads(mended_header(mends, WORDS["pals"])) == [
        {
            "operation": 1,
            "mend": "replace_to_add",
            "from": {"op": "replace", "path": "/layers/stt/hotwords"},
            "to": [{"op": "add", "path": "/layers/stt/hotwords"}],
        },
        {
            "operation": 2,
            "mend": "added_parent",
            "from": {"op": "replace", "path": "/layers/tts/voice_settings/speed"},
            "to": [{"op": "add", "path": "/layers/tts"}],
        },
    ]


NOT_LENIENT: list[Any] = [
    pytest.param({"op": "replace", "path": "/layers/llm/modle", "value": "tavus-gpt-oss"}, id="a misspelt member"),
    pytest.param({"op": "remove", "path": "/layers/stt/hotwords"}, id="remove of an absent member"),
    pytest.param({"op": "replace", "path": "/dynamic_greeting", "value": "true"}, id="a value of another kind"),
    pytest.param({"op": "replace", "path": "/layers/tts/tts_engine", "value": "Cartesia"}, id="a layer and a word"),
    pytest.param({"op": "test", "path": "/layers/stt/hotwords", "value": "x"}, id="a test of an absent member"),
    pytest.param({"op": "set", "path": "/greeting", "value": "x"}, id="another word for replace"),
    pytest.param({"op": "replace", "path": "/layers/llm/headers/x-teem", "value": "x"}, id="a name like one there is"),
]


@pytest.mark.parametrize("operation", NOT_LENIENT)
def test_lenient_handling_does_nothing_else(operation: dict[str, Any]) -> None:
    pal = StoredPal(ROWS[0].members | {"layers": {"stt": {}, "llm": {"headers": {"x-team": "a"}}}})
    assert leniently(pal, operation) is None


def test_the_header_speaks_the_words_of_the_route_in_ascii_and_shows_no_value() -> None:
    sent = {"op": "replace", "path": "/layers/conversational_flow/pal_interruptibility", "value": "secret"}
    mend = Mend(0, "replace_to_add", sent, (sent | {"op": "add", "path": "/pal_name/é\n\x7f"},))
    header = mended_header([mend], WORDS["personas"])
    assert header.isascii()
    assert header.isprintable()
    assert "secret" not in header
    [said] = json.loads(header)
    assert said["from"]["path"] == "/layers/conversational_flow/replica_interruptibility"
    assert said["to"][0]["path"] == "/persona_name/é\n\x7f"


def test_the_header_has_a_length_that_servers_take() -> None:
    sent = {"op": "replace", "path": "/layers/stt/hotwords", "value": ""}
    header = mended_header([Mend(n, "replace_to_add", sent, (sent,)) for n in range(500)], WORDS["pals"])
    *told, last = json.loads(header)
    assert len(header) < 4200
    assert last == {"more": 500 - len(told)}
