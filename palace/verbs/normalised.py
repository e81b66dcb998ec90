"""Telling a client what was stored otherwise than it was sent, in a header, so that the body stays as published."""

import json
from typing import Any

import orjson

from palace.call import Call
from palace.resource import Document
from palace.revisions.changes import ABSENT, Change, changes

HEADER = "x-stored-differently"
MOST_MEMBERS = 20
LONGEST_VALUE = 200


def stored_differently(sent: Document, stored: Document, call: Call) -> dict[str, str]:
    """The header `x-stored-differently`, or nothing: a JSON list of `{pointer, how, stored}` in ASCII.

    `how` is `defaulted` (was absent), `left_out` (stands for absence), `coerced` (another type) or `normalised`.
    What is absent at the root is not listed: every document has all those members.
    """
    if orjson.dumps(sent) == orjson.dumps(stored):  # As it mostly is; a walk costs more.
        return {}
    found = [change for change in changes(sent, stored) if change.before is not ABSENT or len(change.tokens) > 1]
    if not found:
        return {}
    listed: list[dict[str, Any]] = [_entry(change, call) for change in found[:MOST_MEMBERS]]
    if len(found) > MOST_MEMBERS:
        listed.append({"more": len(found) - MOST_MEMBERS})
    return {HEADER: json.dumps(listed, separators=(",", ":"))}


def _entry(change: Change, call: Call) -> dict[str, Any]:
    entry: dict[str, Any] = {"pointer": call.words.pointer(change.pointer), "how": _how(change)}
    if change.after is not ABSENT and len(json.dumps(change.after)) <= LONGEST_VALUE:
        entry["stored"] = call.words.value(change.after, change.tokens)
    return entry


def _how(change: Change) -> str:
    if change.before is ABSENT:
        return "defaulted"
    if change.after is ABSENT:
        return "left_out"
    return "normalised" if type(change.before) is type(change.after) else "coerced"
