"""The same random patches, given to us and to `jsonpatch`: the same verdict, and the same document."""

import json
from importlib.metadata import version
from typing import Any

import jsonpatch
import jsonpointer
import pytest
from hypothesis import event, given, settings

from palace.json_patch import PatchError, apply_patch, compile_patch, equal
from tests.json_patch.strategies import documents_with_patches

STRICT_SINCE = (1, 40)
"""Earlier releases take 1 for true, and some texts for indexes that are none."""


def verdict_of_jsonpatch(document: Any, patch: list[dict[str, Any]]) -> tuple[bool, Any]:
    try:
        return True, jsonpatch.apply_patch(document, patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        return False, None


@pytest.mark.skipif(
    tuple(map(int, version("jsonpatch").split(".")[:2])) < STRICT_SINCE, reason="an older jsonpatch is not strict"
)
@settings(max_examples=500, deadline=None)
@given(documents_with_patches())
def test_both_libraries_agree_and_ours_can_be_undone(case: tuple[Any, list[dict[str, Any]]]) -> None:
    document, patch = case
    before = json.dumps(case)
    allowed, expected = verdict_of_jsonpatch(document, patch)
    try:
        applied = apply_patch(document, patch)
    except PatchError as error:
        event(error.problems[0].code)
        assert not allowed, error
        assert json.dumps(case) == before
        return
    event("applied")
    assert allowed
    assert equal(applied.document, expected)
    after = json.dumps(applied.document)
    assert json.dumps(apply_patch(applied.document, compile_patch(applied.inverse)).document, sort_keys=True) == (
        json.dumps(document, sort_keys=True)
    )
    assert json.dumps(applied.document) == after
    assert json.dumps(case) == before
