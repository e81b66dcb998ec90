"""Which members of a PAL a file owns, what it would make of the PAL, and the patches that lead there."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from palace.config_files.references import has_reference, missing_variables, resolved
from palace.json_patch import equal
from palace.resources.pals import PAL
from palace.resources.pals.conferencing import CONFERENCING
from palace.revisions.changes import ABSENT, as_patch, changes
from palace.shown import MASK
from palace.vocabulary import canonical_document

Members = dict[str, Any]
Patch = list[dict[str, Any]]
EMPTY: tuple[Any, ...] = (None, "", [], {})
LONGEST_NAME = 60
_DEFAULTS: Members = {
    name: field.get_default(call_default_factory=True) for name, field in PAL.model.model_fields.items()
}


# --- From a PAL to a file ---------------------------------------------------------------------------------------------


def members_for_file(document: Members) -> Members:
    """The members worth a line in a file: neither those of the server nor those that nobody has set.

    `document` is escaped. A masked secret becomes a reference to an environment variable, named after the PAL.
    """
    prefix = _variable(document.get("pal_name") or document[PAL.id_member])
    kept = {
        name: value
        for name, value in document.items()
        if name not in PAL.read_only and value != _DEFAULTS.get(name, None) and name != "layers"
    }
    layers = _without_empty(document.get("layers") or {})
    members = _without_empty(kept) | ({"layers": layers} if layers else {})
    named: Members = _with_secrets_named(members, prefix)
    return {PAL.id_member: document[PAL.id_member], **named}


def refreshed(declared: Members, document: Members) -> Members:
    """The declared members with the values they have in the PAL; references stay while there is something to refer to.

    `document` is escaped. A member that the PAL does not have any more is declared as null.
    """
    return {name: _refreshed(value, document.get(name)) for name, value in declared.items()}


def _refreshed(declared: Any, current: Any) -> Any:
    if isinstance(declared, dict) and declared and isinstance(current, dict):
        return refreshed(declared, current)
    if isinstance(current, str) and (has_reference(declared) or current == MASK):
        return declared
    if isinstance(declared, list) and _holds_reference(declared):
        return declared
    return current


def _holds_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_reference(member) for member in value.values())
    return any(map(_holds_reference, value)) if isinstance(value, list) else has_reference(value)


def file_name(document: Members) -> str:
    """A name for the PAL's file: its own name in plain letters, and its id."""
    name = _plain(document.get("pal_name") or "").lower()
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:LONGEST_NAME].rstrip("-")
    id = re.sub(r"[^A-Za-z0-9_-]", "_", document[PAL.id_member])
    return f"{slug}-{id}.yaml" if slug else f"{id}.yaml"


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _variable(name: str) -> str:
    words = re.sub(r"[^A-Z0-9]+", "_", _plain(name).upper()).strip("_")[:LONGEST_NAME]
    return words if words[:1].isalpha() else f"PAL_{words}".rstrip("_")


def _without_empty(members: Members) -> Members:
    kept = {name: _without_empty(value) if isinstance(value, dict) else value for name, value in members.items()}
    return {name: value for name, value in kept.items() if value not in EMPTY or isinstance(value, bool | int | float)}


def _with_secrets_named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {
            member: _with_secrets_named(below, name if member == "layers" else f"{name}_{_variable(member)}")
            for member, below in value.items()
        }
    return f"${{env:{name}}}" if value == MASK else value


# --- From a file to a PAL ---------------------------------------------------------------------------------------------


def declared_members(file: Members) -> tuple[str | None, Members]:
    """The id that a file names, None for a PAL to be made, and the members it declares, in the newer vocabulary.

    Raises AmbiguousAlias when one member is declared under two names, ValueError when the id is no text.
    """
    members: Members = dict(canonical_document(file, PAL.aliases))
    id = members.pop(PAL.id_member, None)
    if id is not None and (not isinstance(id, str) or not id):
        raise ValueError(f"{PAL.id_member} must be a text")
    return id, members


def with_declared(current: Any, declared: Any, environment: Mapping[str, str]) -> Any:
    """What becomes of `current`: each declared member is set, null takes one away, everything else stays.

    Mappings are owned member by member, lists as a whole. Both are spelled as files spell them, and so is the result:
    a reference is left where it stands for what is there already. Raises MissingVariables.
    """
    if isinstance(declared, dict) and (declared or not isinstance(current, dict)):
        members = dict(current) if isinstance(current, dict) else {}
        for name, value in declared.items():
            if value is not None:
                members[name] = with_declared(members.get(name), value, environment)
            elif members.get(name) is not None:
                del members[name]
        return members
    if isinstance(declared, dict):
        return current
    is_there = not missing_variables(current, environment) and equal(
        resolved(declared, environment), resolved(current, environment)
    )
    return current if is_there else declared


def member_patches(before: Members, after: Members) -> list[Patch]:
    """The JSON Patches that turn one PAL into the other: none, one, or two when conferencing changes as well.

    The API takes changes of `layers.conferencing` only apart from all others (contract 2.7). They come last, because
    they need a face, unless they take the layer away. No operation replaces a whole PAL or all of its layers.
    """
    found = changes({**before, "layers": before.get("layers") or {}}, {**after, "layers": after.get("layers") or {}})
    conferencing = [change for change in found if change.tokens[:2] == CONFERENCING]
    others = [change for change in found if change.tokens[:2] != CONFERENCING]
    is_taken_away = any(change.tokens == CONFERENCING and change.after is ABSENT for change in conferencing)
    parts = [conferencing, others] if is_taken_away else [others, conferencing]
    return [as_patch(part) for part in parts if part]
