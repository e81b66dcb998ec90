"""How a PAL joins meetings: its user name, and the layer that is patched alone (contract 2.7, 2.8, 3.6)."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.errors import BadRequest, Detail
from palace.json_patch import Operation, equal
from palace.resource import Document, Problem, Resource, Services, value_at
from palace.resources.pals.layers import LONGEST_USERNAME, USERNAME_PATTERN, Conferencing

CONFERENCING = ("layers", "conferencing")
CONFERENCING_DOMAIN = "tavusinvite.com"
RESERVED_USERNAME = re.compile(r"bot\d+", re.ASCII)
USERNAME_SCOPE = "conferencing_username"
TAKEN = "Username is already taken."


def conferencing_rules(conferencing: Conferencing, face: str | None) -> Iterator[Problem]:
    """What must hold of the layer and of the face that it needs."""
    if not face:
        yield Problem(("default_face_id",), "missing", "default_face_id is required for conferencing.")
    problem = username_problem(conferencing.username) if conferencing.username else None
    if problem:
        yield Problem(("layers", "conferencing", "username"), "reserved", problem)


def username_problem(username: str) -> str | None:
    """Why a well-formed or malformed user name cannot be had, whoever holds it; None when it could."""
    if not 2 <= len(username) <= LONGEST_USERNAME or not re.fullmatch(USERNAME_PATTERN.strip("^$"), username):
        return (
            f"Username must have 2 to {LONGEST_USERNAME} letters, digits, dots, hyphens or underscores, "
            "and begin and end with a letter or digit."
        )
    if RESERVED_USERNAME.fullmatch(username.lower()):
        return "Username is reserved."
    return None


def refuse_mixed_conferencing(operations: tuple[Operation, ...], before: Document) -> None:
    """Raises BadRequest when conferencing is patched together with other members (contract 2.7)."""
    writes = [operation for operation in operations if operation.op != "test"]
    mixed = [write.position for write in writes if write.tokens[:2] != CONFERENCING]
    over = [write.position for write in writes if _changes_conferencing_from_above(write, before)]
    if not over and (not mixed or len(mixed) == len(writes)):
        return
    text = "layers.conferencing must be patched separately from other fields: send two requests."
    details = [
        Detail("mixed_conferencing", text, operations[index].path, operation=index, op=operations[index].op, at="path")
        for index in mixed
    ]
    raise BadRequest(f"Bad Request. {text}", details)


def _changes_conferencing_from_above(write: Operation, before: Document) -> bool:
    """Whether the operation writes all layers, or all of the PAL, and the conferencing layer with them."""
    depth = len(write.tokens)
    if write.tokens != CONFERENCING[:depth] or depth == len(CONFERENCING):
        return False
    return not equal(value_at(write.value, CONFERENCING[depth:]), value_at(before, CONFERENCING))


async def check_username(resource: Resource, call: Call, services: Services) -> Reply:
    """`{"available": true}`, or false and the reason (contract 2.8)."""
    del resource
    username = call.query.get("username", "")
    if not username:
        text = "Missing data for required field."
        raise BadRequest(f"Bad Request. {{'username': ['{text}']}}", [Detail("missing", text)])
    reason = username_problem(username)
    if reason is None and await services.store.reading.is_claimed(USERNAME_SCOPE, username.lower()):
        reason = TAKEN
    answer: dict[str, Any] = {"available": reason is None}
    return Reply(200, orjson.dumps(answer if reason is None else {**answer, "reason": reason}))
