"""What holds for every document: undoing, telling changed from unchanged, diffs, merge patches, equality."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from palace.json_patch import PatchError, apply_patch, diff, equal, merge_patch, parse_pointer
from tests.json_patch.strategies import documents, documents_with_fitting_patches, documents_with_patches, values

few = settings(max_examples=100)


def plain_equal(a: Any, b: Any) -> bool:
    """JSON equality as the RFC describes it, written for reading."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(plain_equal(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(plain_equal, a, b))
    return bool(a == b)


def plain_merge(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = plain_merge(result.get(name), value)
    return result


@st.composite
def similar_documents(draw: st.DrawFn) -> tuple[Any, Any]:
    """A document and what a patch made of it, as values that share nothing."""
    document, patch = draw(documents_with_fitting_patches())
    return document, json.loads(json.dumps(apply_patch(document, patch).document))


@few
@given(similar_documents())
def test_a_diff_leads_from_one_document_to_the_other(pair: tuple[Any, Any]) -> None:
    before, after = pair
    texts = json.dumps(before), json.dumps(after)
    patch = diff(before, after)
    assert equal(apply_patch(before, patch).document, after)
    assert (patch == []) == equal(before, after)
    assert len(json.dumps(patch)) <= len(json.dumps([{"op": "replace", "path": "", "value": after}])) + 8 * len(patch)
    assert (json.dumps(before), json.dumps(after)) == texts


@few
@given(documents, documents)
def test_a_diff_of_strangers_leads_from_one_to_the_other(before: Any, after: Any) -> None:
    assert equal(apply_patch(before, diff(before, after)).document, after)


@few
@given(documents_with_fitting_patches())
def test_changed_says_whether_the_document_differs(case: tuple[Any, list[dict[str, Any]]]) -> None:
    document, patch = case
    for end in range(len(patch) + 1):
        applied = apply_patch(document, patch[:end])
        assert applied.changed == (not plain_equal(document, applied.document))
        assert not apply_patch(applied.document, [{"op": "replace", "path": "", "value": applied.document}]).changed


@few
@given(documents_with_patches())
def test_touched_pointers_are_pointers_each_named_once(case: tuple[Any, list[dict[str, Any]]]) -> None:
    document, patch = case
    try:
        applied = apply_patch(document, patch)
    except PatchError:
        return
    assert len(set(applied.touched)) == len(applied.touched)
    assert all(parse_pointer(pointer) is not None for pointer in applied.touched)
    if not applied.touched:
        assert not applied.changed
    idle = [step for step in patch if step["op"] == "test" or (step["op"] == "move" and step["from"] == step["path"])]
    assert bool(applied.touched) == (len(idle) < len(patch))


@few
@given(documents, values)
def test_a_merge_patch_does_what_the_rfc_writes_down(document: Any, patch: Any) -> None:
    texts = json.dumps(document), json.dumps(patch)
    assert equal(merge_patch(document, patch), plain_merge(document, patch))
    assert (json.dumps(document), json.dumps(patch)) == texts


@few
@given(values, values)
def test_equality_is_the_one_of_the_rfc(a: Any, b: Any) -> None:
    assert equal(a, b) == plain_equal(a, b) == equal(b, a)
    assert equal(a, json.loads(json.dumps(a)))


@few
@given(similar_documents())
def test_equality_of_similar_documents_is_the_one_of_the_rfc(pair: tuple[Any, Any]) -> None:
    assert equal(*pair) == plain_equal(*pair)
