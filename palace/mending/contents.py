"""Remedies for documents that are not valid: unknown names, wrong words, wrong kinds."""

from typing import Any

from palace.json_patch import Json, format_pointer
from palace.mending.case import NO_REMEDY, Case, Remedy, pointers
from palace.mending.fitting import repointed
from palace.mending.kept import kept_members
from palace.mending.likeness import clearly_meant, ends_as, plain
from palace.mending.places import ABSENT, Found, list_above, value_of
from palace.mending.shapes import Tokens
from palace.mending.values import changed, converted, inside, put, value_way
from palace.vocabulary import NO_ALIASES, AmbiguousAlias, canonical_document

OFF = "off"


# --- Names ------------------------------------------------------------------------------------------------------------


def unknown_field(case: Case) -> Remedy:
    """A member that the model does not have: under its own name, in its own place, or left to the server."""
    if case.place == case.tokens:
        return repointed(case)
    way = value_way(case)
    if not way:
        return NO_REMEDY
    found = case.find(case.place)
    if found.is_servers:
        return changed(case, way, ABSENT, "dropped")
    if found.clear is None:
        return Remedy(nearest=pointers(found.near))
    return _moved_inside(case, way, found.clear, found)


def _moved_inside(case: Case, way: Tokens, place: Tokens, found: Found) -> Remedy:
    near = pointers(found.near)
    value = value_of(case.operation["value"], way)
    without = inside(case.operation["value"], way, lambda _old: ABSENT)
    if place[: len(case.tokens)] != case.tokens:
        if case.is_written_elsewhere(place):
            return Remedy(nearest=near)
        elsewhere = {"op": "add", "path": format_pointer(place), "value": value}
        return Remedy(({**case.operation, "value": without}, elsewhere), "repointed", near)
    goal = place[len(case.tokens) :]
    if value_of(without, goal) is not ABSENT:  # Both names are there: which one was meant?
        return Remedy(nearest=near)
    renamed = _renamed(without, case.operation["value"], way, goal, value)
    return NO_REMEDY if renamed is ABSENT else Remedy(({**case.operation, "value": renamed},), "renamed", near)


def _renamed(without: Json, original: Json, way: Tokens, goal: Tokens, value: Json) -> Json:
    """The value under its new name, in the order it was sent in where only the name changes."""
    if way[:-1] != goal[:-1]:
        return put(without, goal, value)
    rename = {way[-1]: goal[-1]}
    return inside(original, way[:-1], lambda old: {rename.get(name, name): inner for name, inner in old.items()})


# --- Values -----------------------------------------------------------------------------------------------------------


def wrong_type(case: Case) -> Remedy:
    """A value of another kind than the model takes."""
    way, shape = value_way(case), case.shape_at(case.place)
    if way is None or shape is None:
        return NO_REMEDY
    value = value_of(case.operation["value"], way)
    if _is_element(case) and isinstance(value, list) and value and not way:
        elements = [{**case.operation, "value": each} for each in value]
        return Remedy(tuple(elements), "one_by_one") if case.tokens[-1] == "-" else NO_REMEDY
    new = converted(value, shape, case.limits)
    if new is ABSENT:
        return Remedy(nearest=_end_of_list(case, way, shape.item is not None))
    if isinstance(new, list) and not way and new == [value] and _appends(case):
        return Remedy(nearest=_end_of_list(case, way, True))
    try:
        return changed(case, way, canonical_document(new, _aliases_below(case)), "converted")
    except AmbiguousAlias:
        return NO_REMEDY


def _is_element(case: Case) -> bool:
    return list_above(case.tokens) != case.tokens and list_above(case.place) != case.place


def _appends(case: Case) -> bool:
    """Whether `add` of one element to a list that has some may have meant one more, or only this one."""
    there = value_of(case.document, case.tokens)
    return case.operation["op"] == "add" and isinstance(there, list) and bool(there)


def _end_of_list(case: Case, way: Tokens, is_list: bool) -> tuple[str, ...]:
    is_one_more = is_list and not way and case.operation["op"] == "add"
    return (format_pointer((*case.tokens, "-")),) if is_one_more else ()


def _aliases_below(case: Case) -> Any:
    known = case.resource.aliases
    for token in case.place:
        known = known.below.get(token, NO_ALIASES)
    return known


def null(case: Case) -> Remedy:
    """A null where none may be: the default, which comes by itself. Not for objects, which would lose all they hold."""
    way, shape = value_way(case), case.shape_at(case.place)
    if way is None or shape is None or not shape.kinds or "object" in shape.kinds:
        return NO_REMEDY
    if list_above(case.place) != case.place:
        return NO_REMEDY
    if way:
        return changed(case, way, ABSENT, "null_to_default")
    if value_of(case.document, case.tokens) is ABSENT:
        return Remedy((), "null_to_default")
    return Remedy(({"op": "remove", "path": case.operation["path"]},), "null_to_default")


def not_allowed(case: Case) -> Remedy:
    """A word that is none of those allowed: another spelling of one, or a slip."""
    way, allowed = value_way(case), case.detail.facts.get("allowed", ())
    if way is None or not allowed:
        return kept_members(case)
    value = value_of(case.operation["value"], way)
    if value is False and OFF in allowed:  # YAML reads a bare `off` as false.
        return changed(case, way, OFF, "respelled")
    meant = _word_meant(value, allowed) if isinstance(value, str) else None
    return changed(case, way, meant, "respelled") if meant is not None else NO_REMEDY


def _word_meant(word: str, allowed: Any) -> str | None:
    same = [other for other in allowed if plain(other) == plain(word)]
    if len(same) > 1:  # `time-based` and `timebased`
        same = [other for other in same if other == word.strip().lower()]
    return same[0] if same else clearly_meant(word.strip(), allowed) or ends_as(word.strip(), allowed)


def trimmed(case: Case) -> Remedy:
    """A text that fails as it is, but may be right without the spaces around it."""
    way = value_way(case)
    value = value_of(case.operation["value"], way) if way is not None else None
    if way is None or not isinstance(value, str) or value.strip() in {"", value}:
        return NO_REMEDY
    return changed(case, way, value.strip(), "trimmed")


def missing(case: Case) -> Remedy:
    """A member that must be there: the only word it may be, or members that lie beside it instead of in it."""
    *parent, name = case.place or ("",)
    way = tuple(parent[len(case.tokens) :])
    shape, above = case.shape_at(case.place), case.shape_at(parent)
    if case.operation.get("op") not in {"add", "replace"} or shape is None or above is None:
        return NO_REMEDY
    holder = value_of(case.operation["value"], way)
    if len(parent) < len(case.tokens) or not isinstance(holder, dict) or name in holder:
        return NO_REMEDY
    if len(shape.allowed) == 1:
        return changed(case, way, {name: shape.allowed[0], **holder}, "filled_in")
    beside = {key: value for key, value in holder.items() if key in shape.members and key not in above.members}
    if not beside or not shape.required <= beside.keys():
        return NO_REMEDY
    rest = {key: value for key, value in holder.items() if key not in beside}
    return changed(case, way, {**rest, name: beside}, "nested")
