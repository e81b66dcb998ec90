"""The same random patches, given to us and to `jsonpatch`: the same verdict, and the same document."""

import json
from typing import Any

import jsonpatch
import jsonpointer
from hypothesis import event, given, settings

from palace.json_patch import PatchError, apply_patch, compile_patch, equal
from tests.json_patch.strategies import documents_with_fitting_patches, documents_with_patches

Case = tuple[Any, list[dict[str, Any]]]


def verdict_of_jsonpatch(document: Any, patch: list[dict[str, Any]]) -> tuple[bool, Any]:
    try:
        return True, jsonpatch.apply_patch(document, patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        return False, None


def prove_agreement(document: Any, patch: list[dict[str, Any]]) -> None:
    """Both refuse the patch, or both make the same of it; ours can be undone, and no input is changed."""
    before = json.dumps([document, patch])
    allowed, expected = verdict_of_jsonpatch(document, patch)
    try:
        applied = apply_patch(document, patch)
    except PatchError as error:
        event(error.problems[0].code)
        assert not allowed, error
        assert json.dumps([document, patch]) == before
        return
    event("applied")
    assert allowed
    assert equal(applied.document, expected)
    after = json.dumps(applied.document)
    undone = apply_patch(applied.document, compile_patch(applied.inverse)).document
    assert json.dumps(undone, sort_keys=True) == json.dumps(document, sort_keys=True)
    assert json.dumps(applied.document) == after
    assert json.dumps([document, patch]) == before


@settings(max_examples=200)
@given(documents_with_patches())
def test_both_libraries_agree_on_patches_that_fit_or_do_not(case: Case) -> None:
    prove_agreement(*case)


@settings(max_examples=200)
@given(documents_with_fitting_patches())
def test_both_libraries_agree_on_long_patches_that_fit(case: Case) -> None:
    prove_agreement(*case)
