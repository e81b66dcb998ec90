"""Is this a document that may be stored? Its model, its rules, and the names it claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from palace.json_patch import Operation, equal
from palace.resource import MOST_PROBLEMS, READ_ONLY_TIMES, Document, Problem, Resource, value_at
from palace.storage import NameTaken, Transaction
from palace.validation import problems_of, refuse


@dataclass(frozen=True, slots=True)
class Judged:
    """A valid document: as its model, and `stored` as it will be kept."""

    model: BaseModel
    stored: Document

    def repeats(self, resource: Resource, before: Document) -> bool:
        """Whether it has the very members of the stored document `before`, with their values."""
        return equal(self.stored, resource.written_in(before))

    def is_same_as(self, resource: Resource, before: Document) -> bool:
        """Whether it says the same as the stored document `before`, once both have their defaults filled in.

        Filling in defaults takes a second validation, so it is done only where presence alone makes the difference.
        """
        if _contradict(self.stored, before):
            return False
        fields = resource.written_in(before)
        try:
            return equal(self.model.model_dump(), resource.model.model_validate(fields).model_dump())
        except ValidationError:  # A rule became stricter after `before` was stored.
            return False


def _contradict(one: Document, other: Document) -> bool:
    """Whether some member that both have, at any depth, differs."""
    for name, value in one.items():
        if name not in other or value is other[name]:
            continue
        counterpart = other[name]
        if isinstance(value, dict) and isinstance(counterpart, dict):
            if _contradict(value, counterpart):
                return True
        elif not equal(value, counterpart):
            return True
    return False


def judge(
    resource: Resource, fields: Document, found: Sequence[Problem] = (), operations: Sequence[Operation] = ()
) -> Judged:
    """The valid document that `fields` make. Raises a ClientError that tells every problem, those in `found` first."""
    problems = list(found)
    model: BaseModel | None = None
    try:
        model = resource.model.model_validate(fields)
    except ValidationError as error:
        problems += [_worded(resource, problem) for problem in problems_of(error)]
    else:
        problems += islice(resource.rules(model), MOST_PROBLEMS)
    if problems or model is None:
        raise refuse(problems, operations)
    model.__pydantic_fields_set__.update(resource.members)
    model.__pydantic_fields_set__.difference_update(name for name in resource.sparse if getattr(model, name) is None)
    return Judged(model, model.model_dump(exclude_unset=True))


def _worded(resource: Resource, problem: Problem) -> Problem:
    """The problem, where the API has words of its own for a member that is missing."""
    text = resource.wording.missing.get(str(problem.pointer[-1])) if problem.code == "missing" else None
    return problem if text is None else replace(problem, text=text, form="bare")


def writable(resource: Resource, before: Document, after: Any) -> tuple[Document, list[Problem]]:
    """What the client may write of `after`, and a problem for each member of the server's that would change."""
    if not isinstance(after, dict):
        raise refuse([Problem((), "wrong_type", "Invalid input type.")])
    fields = dict(after)
    changed = [name for name in resource.read_only if not equal(fields.pop(name, None), before[name])]
    return fields, [Problem((name,), "read_only", "Read-only field.") for name in changed]


def framed(resource: Resource, fields: Document, owner: int, told: Mapping[str, Any]) -> Document:
    """The whole document: the id first, then what the client may write, then what the server writes.

    `told` has the id, the times, and facts that are known.
    """
    document = {resource.id_member: told[resource.id_member], **fields}
    for stamp in resource.stamps:
        fact = told.get(stamp.name, stamp.initial)
        document[stamp.name] = fact if stamp.value is None else stamp.value(fields, owner)
    for name in READ_ONLY_TIMES:
        document[name] = told[name]
    return document


async def move_claims(
    resource: Resource,
    tx: Transaction,
    id: str,
    owner: int,
    before: Document,
    after: Document,
    operations: Sequence[Operation] = (),
) -> None:
    """Give back the names that `after` no longer has and take the new ones. Raises a ClientError for a taken one."""
    for claim in resource.claims:
        old, new = value_at(before, claim.pointer), value_at(after, claim.pointer)
        if old == new:
            continue
        if old:
            await tx.release(claim.scope_of(owner), old, resource.kind, id)
        try:
            if new:
                await tx.claim(claim.scope_of(owner), new, resource.kind, id)
        except NameTaken as error:
            problem = Problem(claim.pointer, "taken", claim.problem, form="bare" if claim.status == 409 else "field")
            refusal = refuse([problem], operations)
            refusal.status = claim.status
            raise refusal from error
