"""The public test suites, wherever they lie beside the repository; `test_operations.py` holds a table of our own."""

import json
from pathlib import Path
from typing import Any

import pytest

from palace.json_patch import Conflict, InvalidPatch, PatchError, apply_patch, equal, merge_patch, parse_pointer

SUITES = Path(__file__).parents[3] / "shared" / "conformance"


def cases(*files: str) -> list[Any]:
    """The cases of the files that exist, each with the file's name and its number.

    Without those about duplicate members: they only mean something as raw text, and test_read_json.py has their like.
    """
    found = []
    for file in files:
        path = SUITES / file
        if path.exists():
            content = json.loads(path.read_text())
            listed = content["cases"] if isinstance(content, dict) else content
            found += [
                pytest.param(case, id=f"{path.stem}-{number}")
                for number, case in enumerate(listed)
                if "'op' members" not in case.get("error", "") and "duplicate" not in case.get("comment", "")
            ]
    return found


def rfc6901() -> dict[str, Any]:
    path = SUITES / "rfc" / "rfc6901_section5.json"
    return json.loads(path.read_text()) if path.exists() else {"doc": {}, "pointers": []}


@pytest.mark.parametrize("case", cases("json-patch-tests/tests.json", "json-patch-tests/spec_tests.json"))
def test_the_suite_of_the_json_patch_community_passes(case: dict[str, Any]) -> None:
    before = json.dumps(case["doc"])
    if "error" in case:
        with pytest.raises(PatchError):
            apply_patch(case["doc"], case["patch"])
    else:
        applied = apply_patch(case["doc"], case["patch"])
        assert equal(applied.document, case.get("expected", case["doc"]))
        assert equal(apply_patch(applied.document, applied.inverse).document, json.loads(before))
    assert json.dumps(case["doc"]) == before


@pytest.mark.parametrize("case", cases("rfc6902-js/spec.json"))
def test_the_examples_of_rfc_6902_pass_as_another_project_uses_them(case: dict[str, Any]) -> None:
    if len([result for result in case["results"] if result]) > 1:
        for operation in case["patch"]:
            with pytest.raises(PatchError):
                apply_patch(case["input"], [operation])
    elif any(case["results"]):
        kind = InvalidPatch if case["results"] == ["InvalidOperationError"] else Conflict
        with pytest.raises(kind):
            apply_patch(case["input"], case["patch"])
    else:
        assert equal(apply_patch(case["input"], case["patch"]).document, case["output"])


@pytest.mark.parametrize("case", cases("rfc/rfc7396_appendixA.json"))
def test_the_examples_of_rfc_7396_pass(case: dict[str, Any]) -> None:
    assert merge_patch(case["target"], case["patch"]) == case["expected"]


@pytest.mark.parametrize(("pointer", "value"), rfc6901()["pointers"])
def test_the_examples_of_rfc_6901_pass(pointer: str, value: Any) -> None:
    document = rfc6901()["doc"]
    apply_patch(document, [{"op": "test", "path": pointer, "value": value}])
    assert parse_pointer(pointer) == tuple(
        token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]
    )
