"""Remedies for what is the server's to write, and for what the client did not mean to lose: secrets."""

from collections.abc import Iterable, Mapping
from typing import Any

from palace.json_patch import Json, format_pointer
from palace.mending.case import NO_REMEDY, Case, Operation, Remedy, overlap, written_by
from palace.mending.places import ABSENT, tokens_of, value_of
from palace.mending.shapes import Tokens
from palace.mending.values import changed, put, value_way, with_value
from palace.resource import Resource


def read_only(case: Case) -> Remedy:
    """What only the server writes: it is left out, or in a whole document left as it is.

    Not for members that say what the object is (`is_published`): who writes another value there wants something. And
    not in a document without its id: whoever sends a part of a PAL may mean that the rest stays.
    """
    name, value = case.place[0] if case.place else "", case.operation.get("value")
    if case.operation.get("op") in {"move", "test"}:
        return NO_REMEDY
    if case.tokens[:1] == (name,):
        return NO_REMEDY if name in case.resource.stamped else Remedy((), "dropped")
    if case.tokens or not isinstance(value, dict) or case.resource.id_member not in value:
        return NO_REMEDY
    if name in case.resource.stamped and name in value:
        return NO_REMEDY
    return with_value(case, {**value, name: case.before[name]}, "kept")


def kept_secret(case: Case) -> Remedy:
    """An object that was replaced without its secret: the mask keeps the stored one while its address stays."""
    for secret in case.resource.secrets:
        way, masked = secret.pointer[len(case.tokens) :], value_of(case.before, secret.pointer)
        if not way or secret.pointer[: len(case.tokens)] != case.tokens or not _is_mask(masked):
            continue
        if case.operation.get("op") not in {"add", "replace"} or case.place != secret.pointer[:-1]:
            continue
        holder = value_of(case.operation["value"], way[:-1])
        if (
            isinstance(holder, dict)
            and not holder.get(way[-1])
            and _same_address(case, secret.pointer, secret.bound_to)
        ):
            return with_value(case, put(case.operation["value"], way, masked), "kept_secret")
    return _secret_without_address(case)


def _secret_without_address(case: Case) -> Remedy:
    """The address of a secret was taken away: the secret, which goes nowhere else, goes too."""
    for secret in case.resource.secrets:
        is_address = case.tokens[:-1] == secret.pointer[:-1] and case.tokens[-1] in secret.bound_to
        is_gone = case.operation.get("op") == "remove" or case.operation.get("value") == ""
        if is_address and is_gone and _is_mask(value_of(case.result, secret.pointer)):
            if case.is_written_elsewhere(secret.pointer):
                return NO_REMEDY
            removal = {"op": "remove", "path": format_pointer(secret.pointer)}
            return Remedy((case.operation, removal), "removed_secret")
    return NO_REMEDY


def mask(case: Case) -> Remedy:
    """Asterisks of another length than the mask, where it would be accepted."""
    way = value_way(case)
    for secret in case.resource.secrets:
        masked = value_of(case.before, secret.pointer)
        if way is None or case.place != secret.pointer or not _is_mask(masked):
            continue
        if value_of(case.operation["value"], way) != masked and _same_address(case, secret.pointer, secret.bound_to):
            return changed(case, way, masked, "kept_secret")
    return _secret_without_address(case)


def shows_secret(resource: Resource, operations: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the operations holds a secret, and not only its mask, at the place of one."""
    for operation in operations:
        tokens = tokens_of(str(operation.get("path", "")))
        for secret in resource.secrets:
            if secret.pointer[: len(tokens)] == tokens:
                value = value_of(operation.get("value"), secret.pointer[len(tokens) :])
                if value not in (ABSENT, None, "") and not _is_mask(value):
                    return True
    return False


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and value != "" and not value.strip("*")


def _same_address(case: Case, pointer: Tokens, bound_to: Tokens) -> bool:
    """Whether the members that the secret is bound to stay as they are."""
    places = [(*pointer[:-1], name) for name in bound_to]
    return all(value_of(case.before, place) == value_of(case.result, place) for place in places)


def kept_members(case: Case) -> Remedy:
    """An object with a secret that was replaced by one without its address: only the members named are written.

    A custom model without `base_url` and `api_key` can only mean the ones that are stored.
    """
    value: Any = case.operation.get("value")
    for secret in case.resource.secrets:
        parent, names = secret.pointer[:-1], {*secret.bound_to, secret.pointer[-1]}
        if case.tokens != parent or case.place[:-1] != parent or not isinstance(value, dict):
            continue
        stored = value_of(case.before, parent)
        is_bound = isinstance(stored, dict) and any(stored.get(name) for name in secret.bound_to)
        if is_bound and _is_mask(stored.get(secret.pointer[-1])) and not names & value.keys():
            steps = [_add((*parent, name), inner) for name, inner in value.items()]
            return Remedy(tuple(steps), "member_by_member")
    return NO_REMEDY


def _add(place: Tokens, value: Json) -> Operation:
    return {"op": "add", "path": format_pointer(place), "value": value}


def excluded(case: Case) -> Remedy:
    """A member beside another that it excludes: the stored one goes, where the patch writes only one of the two."""
    pair = [case.place, tuple(str(case.detail.facts.get("excludes", "")).split("/")[1:])]
    written = [place for place in pair if _is_written(case, place)]
    if len(written) != 1 or written[0] != case.tokens:
        return NO_REMEDY
    other = pair[1] if written[0] == pair[0] else pair[0]
    if value_of(case.document, other) is ABSENT:
        return NO_REMEDY
    return Remedy(({"op": "remove", "path": format_pointer(other)}, case.operation), "made_way")


def _is_written(case: Case, place: Tokens) -> bool:
    others = [other for index, other in enumerate(case.patch) if index != case.index]
    places = [case.tokens, *(written for other in others for written in written_by(other, case.limits))]
    return any(overlap(place, written) for written in places)
