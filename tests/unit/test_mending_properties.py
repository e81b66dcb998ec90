"""Whatever is wrong with a patch: explaining it ends, changes nothing, and a corrected patch always succeeds."""

import asyncio
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from palace.json_patch import DEFAULT_LIMITS
from palace.mending import explain, mend_leniently, mended_header
from palace.mending.explain import MOST_ATTEMPTS
from palace.mending.shapes import named_places
from palace.resources.pals import PAL, Pal
from palace.vocabulary import Words, canonical_patch
from tests.json_patch.strategies import values
from tests.mends import DEFAULT, StoredPal, rows

LEGACY = Words(True, PAL.aliases)
CUSTOM = {"llm": {"model": "m1", "base_url": "https://example.org/v1", "api_key": "sk-stored", "headers": {"X-A": "b"}}}
PALS = [
    StoredPal(deepcopy(DEFAULT)),
    StoredPal(deepcopy(DEFAULT) | {"layers": CUSTOM, "tool_ids": ["t1", "t2"]}),
    StoredPal(deepcopy(DEFAULT) | {"layers": {"tts": {"external_voice_id": "e1", "tts_engine": "elevenlabs"}}}),
    StoredPal(deepcopy(DEFAULT) | {"layers": {"conferencing": {"username": "night.desk"}}, "pipeline_mode": "echo"}),
]
PATHS = ["/" + "/".join(place) for place in named_places(Pal)]
GOOD = [operation for row in rows() if row.corrected for operation in canonical_patch(row.corrected, PAL.aliases)]
MEMBERS = [
    "updated_at",
    "colour",
    "layers",
    "model",
    "stt_engine",
    "temperature",
    "voice_id",
    "pal_id",
    "api_key",
    "op",
]
OPS = ["add", "replace", "replace", "remove", "copy", "move", "test", "set", "append", "merge"]

words = st.one_of(
    st.sampled_from(
        ["", "true", "off", "5", "cartesia", "Tavus Auto", "r4067604db72", "********", '["a"]', '{"a": 1}']
    ),
    st.text(max_size=5),
)
sent_values = st.recursive(
    st.one_of(words, st.none(), st.booleans(), st.integers(-3, 3), st.floats(0, 3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def pointers(draw: st.DrawFn) -> Any:
    """A pointer of the model, most often broken in one way."""
    path = draw(st.sampled_from([*PATHS, "", "/updated_at", "/tool_ids/0", "/tool_ids/-", "/layers/llm/headers/X-A"]))
    place = draw(st.integers(0, max(len(path) - 1, 0)))
    return draw(
        st.sampled_from(
            [
                path,
                path,
                "",
                path[1:].replace("/", "."),
                path[:place] + path[place + 1 :],
                path + "/",
                path + "/0",
                path.upper(),
                path.replace("/layers", ""),
                path.partition("_")[0],
                "/layers" + path,
                path.split("/")[1:],
            ]
        )
    )


@st.composite
def operations(draw: st.DrawFn) -> Any:
    """An operation that was right until something happened to it."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.one_of(st.sampled_from(GOOD), values))
    op = draw(
        st.sampled_from(["add", "replace", "replace", "remove", "copy", "move", "test", "set", "append", "merge"])
    )
    operation = {"op": op, "path": draw(pointers()), "value": draw(sent_values)}
    if op in ("copy", "move"):
        operation["from"] = draw(pointers())
    if draw(st.integers(0, 5)) == 0:
        del operation[draw(st.sampled_from(sorted(operation)))]
    return operation


patches = st.one_of(
    st.lists(operations(), max_size=6), operations(), st.dictionaries(st.sampled_from(PATHS), sent_values, max_size=3)
)


@settings(max_examples=400)
@given(st.sampled_from(PALS), patches)
def test_a_corrected_patch_succeeds_and_nothing_else_is_touched(pal: StoredPal, patch: Any) -> None:
    async def check() -> None:
        error = await pal.attempt(patch)
        if error is None:
            return
        sent, before, attempts = deepcopy(patch), deepcopy(pal.document), pal.attempts
        told = await explain(PAL, pal.document, patch, error, pal.attempt, DEFAULT_LIMITS)
        assert pal.attempts - attempts <= MOST_ATTEMPTS
        assert (patch, pal.document) == (sent, before)
        assert (type(told), told.status, told.text) == (type(error), error.status, error.text)
        assert (told.details[0].code, told.details[0].pointer) == (error.details[0].code, error.details[0].pointer)
        body = told.body(LEGACY, "r-1")
        assert "sk-stored" not in str(body)
        if told.corrected_patch is not None:
            assert await pal.attempt(list(told.corrected_patch)) is None
            assert await pal.attempt(canonical_patch(body["corrected_patch"], PAL.aliases)) is None

    asyncio.run(check())


@settings(max_examples=150)
@given(st.sampled_from(PALS), st.lists(operations(), max_size=4))
def test_a_leniently_mended_patch_succeeds_and_writes_what_was_sent(pal: StoredPal, patch: list[Any]) -> None:
    async def check() -> None:
        error = await pal.attempt(patch)
        if error is None:
            return
        mended = await mend_leniently(PAL, pal.document, patch, error, pal.attempt, DEFAULT_LIMITS)
        if mended is None:
            return
        result, mends = mended
        assert await pal.attempt(result) is None
        assert mends
        assert len(result) >= len(patch)
        assert mended_header(mends, LEGACY).isprintable()
        assert {mend.name for mend in mends} <= {"replace_to_add", "added_parent"}

    asyncio.run(check())
