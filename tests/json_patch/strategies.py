"""Random documents and patches: small alphabets, so that pointers hit, miss and nearly hit."""

from typing import Any

from hypothesis import strategies as st

from palace.json_patch import PatchError, apply_patch, format_pointer

NAMES = ("a", "b", "0", "1", "-", "", "~", "/", "~1", "é", "__class__")
TOKENS = (*NAMES, "2", "01", "+1", "-1", "1e0", " 1", "\u0661")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, -1, 2**53, 2**53 + 1, 2**64 - 1, -(2**63)]),
    st.sampled_from([0.0, 1.0, -0.0, 0.1, 1e300, float(2**53)]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
names = st.sampled_from(NAMES)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
documents = st.one_of(
    st.dictionaries(names, values, max_size=5),
    st.lists(values, max_size=5),
    st.lists(st.integers(0, 2), max_size=6),
    values,
)


def pointers_into(document: Any) -> list[tuple[str | int, ...]]:
    """Every place in the document, and the end of every array."""
    found: list[tuple[str | int, ...]] = []
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for place, value in pending:
        found.append(place)
        if isinstance(value, dict):
            pending.extend(((*place, name), child) for name, child in value.items())
        elif isinstance(value, list):
            pending.extend(((*place, index), child) for index, child in enumerate(value))
            found.append((*place, "-"))
    return found


def value_at(document: Any, place: tuple[str | int, ...]) -> Any:
    for token in place:
        document = document[token] if token != "-" or isinstance(document, dict) else None
    return document


@st.composite
def operations(draw: st.DrawFn, document: Any) -> dict[str, Any]:
    """An operation of which most fit the document."""
    places = pointers_into(document)
    place = draw(st.sampled_from(places))
    target = place + tuple(draw(st.lists(st.sampled_from(TOKENS), max_size=2))) if draw(st.booleans()) else place
    operation: dict[str, Any] = {"op": draw(st.sampled_from(["add", "remove", "replace", "copy", "move", "test"]))}
    operation["path"] = format_pointer(target)
    if operation["op"] in ("copy", "move"):
        operation["from"] = format_pointer(draw(st.sampled_from(places)))
    elif operation["op"] == "test" and target == place and draw(st.booleans()):
        operation["value"] = value_at(document, place)
    elif operation["op"] != "remove":
        operation["value"] = draw(values)
    return operation


@st.composite
def documents_with_patches(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]]]:
    """A document and up to six operations chosen for it, as it was before the first of them."""
    document = draw(documents)
    return document, draw(st.lists(operations(document), max_size=6))


@st.composite
def documents_with_fitting_patches(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]]]:
    """A document and up to sixteen operations, each chosen for what the earlier ones made of it, and fitting."""
    document = draw(documents)
    patch: list[dict[str, Any]] = []
    now = document
    for _ in range(draw(st.integers(0, 16))):
        operation = draw(operations(now))
        try:
            now = apply_patch(now, [operation]).document
        except PatchError:
            continue
        patch.append(operation)
    return document, patch
