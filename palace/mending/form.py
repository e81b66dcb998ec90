"""Remedies for operations that are not well formed: other names for `op`, pointers without a slash, no value."""

from collections.abc import Mapping

from palace.json_patch import Json, format_pointer, parse_pointer
from palace.json_patch.errors import PatchError
from palace.json_patch.pointer import END_OF_ARRAY
from palace.mending.case import NO_REMEDY, Case, Operation, Remedy
from palace.mending.likeness import clearly_meant
from palace.mending.places import ABSENT, list_above, tokens_of, value_of
from palace.mending.shapes import Shape, Tokens
from palace.mending.whole import from_text, is_document, member_wise

OPS = ("add", "remove", "replace", "copy", "move", "test")
VALUED = frozenset(("add", "replace", "test"))
SOURCED = frozenset(("copy", "move"))

OTHER_OPS: Mapping[str, str] = {
    **dict.fromkeys(("set", "update", "put", "upsert", "change", "modify", "edit", "patch", "assign"), "replace"),
    **dict.fromkeys(("overwrite", "write", "merge"), "replace"),
    **dict.fromkeys(("create", "new", "insert", "append", "push", "prepend", "unshift"), "add"),
    **dict.fromkeys(("delete", "del", "unset", "erase", "drop"), "remove"),
    **dict.fromkeys(("rename", "mv"), "move"),
    **dict.fromkeys(("duplicate", "clone", "cp"), "copy"),
    **dict.fromkeys(("assert", "check", "expect", "equals"), "test"),
}
IN_LISTS: Mapping[str, str] = {"append": END_OF_ARRAY, "push": END_OF_ARRAY, "prepend": "0", "unshift": "0"}
OTHER_KEYS: Mapping[str, tuple[str, ...]] = {
    "op": ("operation", "action", "operator", "method", "type"),
    "path": ("pointer", "key", "field", "target", "property", "location", "name"),
    "value": ("val", "newvalue", "data", "content", "values"),
    "from": ("source", "src", "frompath"),
}


def well_formed(case: Case) -> Remedy:
    """The operation with everything put right that is wrong with its form."""
    sent: Json = case.sent
    if isinstance(sent, str):
        sent = from_text(sent, case.limits)
    if isinstance(sent, list) and sent and all(isinstance(item, dict) and "op" in item for item in sent):
        return Remedy(tuple(sent), "flattened")
    if not isinstance(sent, dict):
        return NO_REMEDY
    if not _has_any(sent, "op") and not _has_any(sent, "path") and is_document(sent, case.resource, case.before):
        return Remedy(tuple(member_wise(sent, (), case.resource, case.before)), "made_operations")
    operation = _with_keys(sent)
    word = _op_meant(operation)
    if word is None or "path" not in operation:
        return NO_REMEDY
    pointer = _pointer(operation["path"], case)
    if pointer is None:
        return NO_REMEDY
    operation = {"op": word, "path": pointer} | {key: operation[key] for key in operation if key not in ("op", "path")}
    said = str(case.operation.get("op", "")).strip().lower()
    if said in ("merge", "extend") or said in IN_LISTS:
        return _expanded(operation, said, case)
    if word in SOURCED:
        return _sourced(operation, case)
    if word in VALUED and "value" not in operation:
        return _without_value(operation, case)
    return _if_another(operation, case)


def _if_another(operation: Operation, case: Case) -> Remedy:
    """The remedy, unless it would be what was sent: then something else is wrong, which is beyond repair."""
    return Remedy((operation,), "reworded") if operation != case.sent else NO_REMEDY


def _has_any(sent: Operation, key: str) -> bool:
    return key in _with_keys(sent)


def _with_keys(sent: Operation) -> Operation:
    """The operation with its members under their own names, where those are missing."""
    operation = dict(sent)
    spelled = {str(key).strip().lower().replace("_", ""): key for key in sent}
    for key, others in OTHER_KEYS.items():
        if key in operation:
            continue
        found = next((spelled[other] for other in (key, *others) if other in spelled), None)
        if found is not None and found in operation and (key != "op" or isinstance(operation[found], str)):
            operation = {(key if name == found else name): value for name, value in operation.items()}
    return operation


def _op_meant(operation: Operation) -> str | None:
    if "op" not in operation:
        return "replace" if "value" in operation and "from" not in operation else None
    if not isinstance(operation["op"], str):
        return None
    word = operation["op"].strip().lower()
    if word in OPS:
        return word
    return OTHER_OPS.get(word) or ("add" if word == "extend" else clearly_meant(word, OPS))


def _pointer(sent: Json, case: Case) -> str | None:
    """A JSON Pointer for what was sent as one, or None."""
    if isinstance(sent, list) and sent and all(isinstance(token, str | int) for token in sent):
        return format_pointer(sent)
    if not isinstance(sent, str):
        return None
    try:
        parse_pointer(sent, case.limits)
    except PatchError:
        tokens = tokens_of(sent)
        return format_pointer(tokens) if tokens and len(sent) <= case.limits.pointer_characters else None
    return sent


def _sourced(operation: Operation, case: Case) -> Remedy:
    if "from" not in operation:
        return NO_REMEDY
    source = _pointer(operation["from"], case)
    return _if_another({**operation, "from": source}, case) if source is not None else NO_REMEDY


def _expanded(operation: Operation, said: str, case: Case) -> Remedy:
    """Words that mean several operations, or one at the end or the beginning of an array."""
    tokens, value = parse_pointer(operation["path"], case.limits), operation.get("value", ABSENT)
    there = value_of(case.before, tokens)
    if value is ABSENT:
        return NO_REMEDY
    if said == "merge" and isinstance(value, dict):
        return Remedy(tuple(member_wise(value, tokens, case.resource, case.before)), "made_operations")
    if said == "merge":
        return Remedy((operation,), "reworded")
    if list_above(tokens) != tokens:
        return Remedy((operation,), "reworded")
    if not isinstance(there, list) and not _is_list(case.shape_at(tokens)):
        return NO_REMEDY
    place = format_pointer((*tokens, IN_LISTS.get(said, END_OF_ARRAY)))
    values = value if isinstance(value, list) and said == "extend" else [value]
    return Remedy(tuple({"op": "add", "path": place, "value": each} for each in values), "reworded")


def _is_list(shape: Shape | None) -> bool:
    return shape is not None and shape.kinds == {"array"}


def _without_value(operation: Operation, case: Case) -> Remedy:
    """Clients that leave out nulls mean null; where null is no value, they mean nothing at all (contract 2.5).

    Not for objects: who forgot the value of a layer did not ask for its removal.
    """
    tokens: Tokens = parse_pointer(operation["path"], case.limits)
    shape = case.shape_at(tokens)
    if shape is None or not shape.kinds or "object" in shape.kinds:
        return NO_REMEDY
    if shape.is_nullable:
        return Remedy(({**operation, "value": None},), "null_for_missing_value")
    if operation["op"] == "test":
        return NO_REMEDY
    return Remedy(({"op": "remove", "path": operation["path"]},), "remove_for_missing_value")
