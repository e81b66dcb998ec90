"""Trying remedies until the patch would succeed, or nobody can tell what was meant."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from palace.errors import ClientError, Detail
from palace.json_patch import Json, Limits, format_pointer
from palace.mending.case import ADDED_PARENT, REPLACE_TO_ADD, Case, Operation, Remedy, overlap, written_by
from palace.mending.kept import shows_secret
from palace.mending.places import list_above
from palace.mending.remedies import ABOUT_SEVERAL_MEMBERS, is_about_form, remedy_for
from palace.mending.shapes import Tokens
from palace.mending.whole import array_of_operations
from palace.resource import Document, Resource
from palace.vocabulary import AmbiguousAlias, Words, canonical_patch

MOST_ATTEMPTS = 24
"""For one request, all explorations together: explaining must not become a way to keep a server busy."""
MOST_DETAILS = 60
"""Problems looked at for one request."""
LONGEST_OP = 64
MOST_HEADER_CHARACTERS = 4000
LENIENT = frozenset((REPLACE_TO_ADD, ADDED_PARENT))
"""Remedies that change nothing but the way there: the member that was named gets the value that was sent."""

Attempt = Callable[[Json], Awaitable[ClientError | None]]
"""A complete check of a patch that stores nothing; None when the patch would succeed."""


@dataclass(frozen=True, slots=True)
class Mend:
    """What was done to one operation of the patch as it was sent."""

    operation: int
    name: str
    sent: Operation
    instead: tuple[Operation, ...]


@dataclass(slots=True)
class _Step:
    """One operation on its way, and the index of the one it comes from; None when the client sent no operations."""

    origin: int | None
    operation: Json


@dataclass
class _Walk:
    """A patch on its way to one that succeeds."""

    resource: Resource
    before: Document
    limits: Limits
    sent: Sequence[Json]
    steps: list[_Step]
    found: list[Detail] = field(default_factory=list)
    mends: list[Mend] = field(default_factory=list)
    beyond_repair: set[int | None] = field(default_factory=set)
    left_out: list[Tokens] = field(default_factory=list)
    """places that the operations beyond repair wrote, which are no longer tried"""
    left_out_now: list[Tokens] = field(default_factory=list)
    """those of this round: the problems of one error do not follow from each other"""
    set_aside: list[_Step] = field(default_factory=list)
    is_stuck: bool = False
    treated: int = 0
    """problems looked at so far, of any attempt"""

    @property
    def patch(self) -> list[Json]:
        return [step.operation for step in self.steps]

    def take(self, error: ClientError) -> bool:
        """Note the problems of an error and apply the remedies there are; False when the patch stays as it is."""
        patch = self.patch
        slots = [[step] for step in self.steps]
        documents: dict[int, Json] = {}
        self.left_out += self.left_out_now
        self.left_out_now = []
        for detail in error.details[:MOST_DETAILS]:
            self.treated += 1
            index = _blamed(detail, patch, self.resource, self.limits)
            if index is None or index >= len(slots):
                if not self._may_follow(detail, None):
                    self._note(detail, None)
                self.is_stuck = True
            elif detail.code == "mixed_conferencing":
                self._set_aside(detail, slots[index])
                slots[index] = []
            elif is_about_form(detail.code) and (len(slots[index]) != 1 or slots[index][0] is not self.steps[index]):
                self._note(detail, self.steps[index].origin)
            elif len(slots[index]) == 1:
                case = Case(
                    self.resource, self.limits, self.before, patch, index, slots[index][0].operation, detail, documents
                )
                slots[index] = self._treated(case, slots[index][0])
            else:  # Replaced by several, or none: the next one tells whether the problem is still there.
                self._note(detail, self.steps[index].origin)
        self.steps = [step for slot in slots for step in slot]
        return not self.is_stuck and self.treated < MOST_DETAILS and self.patch != patch

    def _treated(self, case: Case, step: _Step) -> list[_Step]:
        remedy = remedy_for(case)
        if self._is_on_the_way(case, step.origin, remedy):
            self._add_nearest(step.origin, remedy.nearest)
        elif not self._may_follow(case.detail, step.operation) and not self._is_own_doing(case, step.origin):
            self._note(case.detail, step.origin, remedy)
        if remedy.operations is None:
            self._leave_out(step)
            return []
        if step.origin is not None:
            self.mends.append(Mend(step.origin, remedy.name, case.operation, remedy.operations))
        return self._replaced(step, remedy, case)

    def _is_on_the_way(self, case: Case, origin: int | None, remedy: Remedy) -> bool:
        """Whether only a remedy led here: the client sent no such pointer, and need not be told of it."""
        if remedy.operations is None or case.detail.code == "mixed_conferencing":
            return False
        if case.detail.at not in {"path", "from"} and (case.detail.code, case.place) != ("unknown_field", case.tokens):
            return False
        if origin is None:
            return remedy.name in LENIENT
        told = [detail.code for detail in self.found if detail.operation == origin]
        return bool(told) and told[-1] != "mixed_conferencing"

    def _is_own_doing(self, case: Case, origin: int | None) -> bool:
        """Whether a problem came with a remedy: what is missing was removed by one, a test was made whole and fails."""
        if case.detail.code == "test_failed":
            return any(detail.operation == origin for detail in self.found)
        return case.operation.get("op") == "remove" and self._op_sent(origin, case.detail) in {"add", "replace"}

    def _add_nearest(self, origin: int | None, nearest: tuple[str, ...]) -> None:
        """Tell the places that come to light on the way with the problem that the client knows of."""
        for index, detail in enumerate(self.found):
            if origin is not None and detail.operation == origin and not detail.nearest:
                self.found[index] = replace(detail, nearest=nearest)
                return

    def _replaced(self, step: _Step, remedy: Remedy, case: Case) -> list[_Step]:
        operations = list(remedy.operations or ())
        if case.detail.at in {"op", "path", "patch", "from"} or remedy.name == "reworded":
            operations = self._in_words_used_inside(operations)
        return [_Step(step.origin, operation) for operation in operations]

    def _in_words_used_inside(self, operations: list[Operation]) -> list[Json]:
        """Names that a remedy brought to light were not translated yet."""
        try:
            translated: list[Json] = canonical_patch(operations, self.resource.aliases)
        except AmbiguousAlias:
            return list(operations)
        return translated

    def _note(self, detail: Detail, origin: int | None, remedy: Remedy | None = None) -> None:
        nearest = tuple(place for place in (remedy.nearest if remedy else ()) if place != detail.pointer)
        noted = replace(detail, operation=origin, op=self._op_sent(origin, detail), nearest=nearest)
        known = [(other.operation, other.code, other.pointer) for other in self.found]
        if (origin, detail.code, detail.pointer) not in known and len(known) < MOST_DETAILS:
            self.found.append(noted)

    def _op_sent(self, origin: int | None, detail: Detail) -> str | None:
        """The operation's `op` as the client sent it, not as a remedy put it."""
        if origin is None:
            return None
        sent = self.sent[origin]
        op = sent.get("op") if isinstance(sent, dict) else None
        return op if isinstance(op, str) and len(op) <= LONGEST_OP else detail.op

    def _set_aside(self, detail: Detail, slot: list[_Step]) -> None:
        """Operations that would be right in a patch of their own: no patch has them all, but each may have more."""
        for step in slot:
            self._note(detail, step.origin)
            self.beyond_repair.add(step.origin)
            self.set_aside.append(step)

    def _leave_out(self, step: _Step) -> None:
        self.beyond_repair.add(step.origin)
        self.left_out_now += [list_above(place) for place in written_by(step.operation, self.limits)]

    def _may_follow(self, detail: Detail, operation: Json) -> bool:
        """Whether the problem may be there only because an operation beyond repair was left out."""
        if not self.left_out or is_about_form(detail.code):
            return False
        if detail.code in ABOUT_SEVERAL_MEMBERS:
            return True
        places = written_by(operation, self.limits)
        return any(overlap(place, left) for place in places for left in self.left_out)


def _blamed(detail: Detail, patch: list[Json], resource: Resource, limits: Limits) -> int | None:
    """The operation to mend: the last one that writes what the problem is between, else the one that is blamed."""
    between = [str(detail.facts["excludes"])] if "excludes" in detail.facts and detail.operation is None else []
    if detail.code in {"mask", "custom_llm"}:
        for secret in resource.secrets:
            if detail.pointer in (format_pointer(secret.pointer), format_pointer(secret.pointer[:-1])):
                members = (*secret.bound_to, secret.pointer[-1])
                between += [format_pointer((*secret.pointer[:-1], member)) for member in members]
    places = [tuple(pointer.split("/")[1:]) for pointer in between]
    for index in range(len(patch) - 1, -1, -1) if places else ():
        written = written_by(patch[index], limits)
        if any(place[: len(other)] == other for place in places for other in written):
            return index
    return detail.operation


# --- What the rest of the server calls --------------------------------------------------------------------------------


async def explain(
    resource: Resource, before: Document, sent: Json, error: ClientError, attempt: Attempt, limits: Limits
) -> ClientError:
    """The same error with every problem of the patch, what was meant where that is clear, and a patch that succeeds.

    `sent` is the patch in the vocabulary used inside, `before` the stored document, `error` what `attempt(sent)` gave.
    Nothing is changed or stored; `corrected_patch` is there only when an attempt of it succeeded. An operation with a
    secret is not repeated: errors are logged, and kept under idempotency keys.
    """
    operations, are_sent = array_of_operations(sent, resource, before, limits)
    steps = [_Step(index if are_sent else None, operation) for index, operation in enumerate(operations)]
    walk = _Walk(resource, before, limits, operations if are_sent else (), steps)
    attempts = MOST_ATTEMPTS
    first: ClientError | None = error
    if operations is not sent:
        walk.found.extend(error.details)
        walk.steps = [_Step(step.origin, inner) for step, inner in _translated(steps, resource)]
        first, attempts = (await attempt(walk.patch), attempts - 1) if steps else (error, 0)
    is_mended, attempts = await _explore(walk, first, attempt, attempts)
    if walk.set_aside:
        await _explore_rest(walk, attempt, attempts)
    details = _with_fixes(walk) if is_mended else walk.found
    details = [replace(detail, fix=None) if shows_secret(resource, detail.fix or ()) else detail for detail in details]
    is_whole = is_mended and not walk.beyond_repair and not shows_secret(resource, walk.patch)
    return error.explained(details, tuple(walk.patch) if is_whole else None)


def _translated(steps: list[_Step], resource: Resource) -> list[tuple[_Step, Json]]:
    try:
        inner = canonical_patch([step.operation for step in steps], resource.aliases)
    except AmbiguousAlias:
        inner = [step.operation for step in steps]
    return list(zip(steps, inner, strict=True))


async def _explore(walk: _Walk, error: ClientError | None, attempt: Attempt, attempts: int) -> tuple[bool, int]:
    """Whether what is left of the patch succeeds in the end, and how many attempts are left."""
    while error is not None and attempts > 0:
        if not walk.take(error):
            return False, attempts
        error = await attempt(walk.patch)
        attempts -= 1
    return error is None, attempts


async def _explore_rest(walk: _Walk, attempt: Attempt, attempts: int) -> None:
    """Tell what is wrong with the operations that were set aside, too."""
    steps = walk.set_aside
    rest = _Walk(walk.resource, walk.before, walk.limits, walk.sent, steps, found=walk.found)
    if attempts > 0:
        await _explore(rest, await attempt(rest.patch), attempt, attempts - 1)


def _with_fixes(walk: _Walk) -> list[Detail]:
    """The problems in the order of the operations behind the first one, each with what to send instead."""
    details = []
    for detail in walk.found:
        origin = detail.operation
        if origin is None or origin in walk.beyond_repair or detail.fix is not None:
            details.append(detail)
            continue
        fix = tuple(step.operation for step in walk.steps if step.origin == origin)
        details.append(replace(detail, fix=fix))
    first, *others = details
    return [first, *sorted(others, key=lambda detail: -1 if detail.operation is None else detail.operation)]


async def mend_leniently(
    resource: Resource, before: Document, sent: Json, error: ClientError, attempt: Attempt, limits: Limits
) -> tuple[Json, list[Mend]] | None:
    """A patch that succeeds and differs from the one sent in safe ways only, and how; None when there is none.

    Safe is to write a member that is absent, and to make the objects around it: what was named gets what was sent.
    """
    if not isinstance(sent, list):
        return None
    walk = _Walk(resource, before, limits, sent, [_Step(index, operation) for index, operation in enumerate(sent)])
    refused: ClientError | None = error
    for _ in range(MOST_ATTEMPTS):
        if refused is None:
            return walk.patch, walk.mends
        if not walk.take(refused) or not all(mend.name in LENIENT for mend in walk.mends):
            return None
        if walk.beyond_repair or any(detail.nearest for detail in walk.found):
            return None
        refused = await attempt(walk.patch)
    return None


def mended_header(mends: Sequence[Mend], words: Words) -> str:
    """The header `x-mended`: what was done, as ASCII JSON in the words of the route. Values are left out.

    A list of `{"operation", "mend", "from", "to"}`; when it would become too long, the last entry says `{"more": n}`.
    """
    said: list[Any] = []
    length = 0
    for index, mend in enumerate(mends):
        entry = {
            "operation": mend.operation,
            "mend": mend.name,
            "from": _without_values(words.patch([mend.sent]))[0],
            "to": _without_values(words.patch(list(mend.instead))),
        }
        length += len(json.dumps(entry))
        if length > MOST_HEADER_CHARACTERS:
            said.append({"more": len(mends) - index})
            break
        said.append(entry)
    return json.dumps(said, separators=(",", ":")).replace("\x7f", "\\u007f")


def _without_values(operations: list[Operation]) -> list[Operation]:
    return [
        {key: operation[key] for key in ("op", "path", "from") if isinstance(operation.get(key), str)}
        for operation in operations
    ]
