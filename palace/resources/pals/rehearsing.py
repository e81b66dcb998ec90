"""Rehearsals of a PAL: asked for, listed, read. What is rehearsed is pinned at once, and played as a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, ValidationError

from palace import verbs
from palace.call import Call, Reply
from palace.clock import timestamp
from palace.conversation.script import stored_script
from palace.errors import NoSuchDraft
from palace.judging import judge
from palace.masks import Refs, load_refs
from palace.mending import with_nearest
from palace.rehearsal.suite import MOST_PLAYS, MOST_RUNS
from palace.resource import Document, Endpoint, Parameter, Problem, Resource, Services, value_at
from palace.resources.conversations.casting import parts_of, script
from palace.resources.conversations.request import NewConversation
from palace.resources.pals.gates import tag_of
from palace.resources.rehearsal_suites import OWN, REHEARSAL_SUITE
from palace.resources.rehearsals import JOB, KIND, MOST_KEPT, REHEARSAL
from palace.revisions.history import state_at
from palace.storage import Listing, Record, Transaction
from palace.talking.given import Given, Pinned
from palace.validation import Model, as_object, problems_of, refuse
from palace.verbs.deleting import erase
from palace.verbs.writing import New, Outcome

JOB_BYTES = 7
"""of the number of a job, which fits an integer of the store"""
LLM = ("layers", "llm")

Id = Annotated[str, StringConstraints(min_length=1)]


class NewRehearsal(Model):
    """What is to be rehearsed, and with what."""

    suite_id: Id | None = None
    """An id of /v2/rehearsal-suites."""
    suite: dict[str, Any] | None = None
    """A suite that is not stored, in the form of Create Suite."""
    revision: Annotated[int, Field(ge=1)] | None = None
    """The PAL as of this revision."""
    draft: bool = False
    """The draft of the PAL. Without `revision` and `draft` it is the PAL as it is live."""
    runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] | None = None
    """How often each visitor comes, in place of what the suite says."""
    conversation_id: Id | None = None
    """Say again what the visitor of this conversation said, and tell what differs. Of a suite only its tools count."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a PAL."""

    revision: int
    draft: int | None
    etag: str
    document: Document
    refs: Refs


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def start(resource: Resource, call: Call, services: Services) -> Reply:
    """Begin a rehearsal: 200 with its id. Raises InvalidId, NoSuchDraft, NoSuchRevision, InvalidDocument and kin."""
    new, account, now = _valid(call.body), call.account.id, services.clock.now()
    async with services.store.reading.snapshot() as tx:
        record = await tx.get(resource.kind, call.ids["id"], account)
        if record is None:
            raise resource.unknown()
        version = await _version(tx, record, new)
        suite = await _suite(tx, new, account)
        held = await _held(tx, new.conversation_id, account) if new.conversation_id else None
        tools, parts = await parts_of(version.document, tx, account)
    runs = 1 if suite is None or held else _runs(new, suite)
    given = Given(Pinned(resource.kind, record.id, version.revision, version.document, version.refs), tools)
    body = {
        "pal_id": record.id,
        "pal_revision": version.revision,
        "pal_draft": version.draft,
        "pal_etag": version.etag,
        "parts_tag": tag_of(parts),
        "suite_id": new.suite_id,
        "suite_tag": tag_of(suite) if suite is not None and not held else None,
        "conversation_id": new.conversation_id,
        "runs": runs,
    }

    async def begin(made: New, tx: Transaction, services: Services) -> Outcome:
        if await tx.get(resource.kind, record.id, account) is None:  # Deleted since it was read.
            raise resource.unknown()
        outcome = await made.store(tx, services)
        chat = NewConversation(pal_id=record.id, chat=True)
        by = script(chat, given, version.document["default_face_id"], parts, made.id, now.timestamp())
        wanted = {
            "script": orjson.loads(stored_script(by)),
            "suite": suite,
            "held": held,
            "runs": runs,
            "pal": record.id,
            "llm": value_at(version.document, LLM),
            "refs": {place: ref for place, ref in version.refs.items() if place.startswith("/layers/llm/")},
        }
        job = int.from_bytes(services.ids.random_bytes(JOB_BYTES))  # Never one that a reset took back.
        await tx.jobs.add(job, JOB, outcome.record.seq, timestamp(now), orjson.dumps(wanted))
        await _forget_old(tx, call, record.id, services)
        return outcome

    call = replace(call, body=body)
    return await verbs.create(REHEARSAL, call, services, store=begin, answer=receipt)


def _valid(body: Any) -> NewRehearsal:
    """What was sent, if it is valid. Raises InvalidDocument and its kin."""
    try:
        new = NewRehearsal.model_validate(as_object(body, "suite_id"))
    except ValidationError as error:
        raise with_nearest(refuse(problems_of(error)), NewRehearsal) from error
    problems = []
    if new.suite_id is None and new.suite is None and new.conversation_id is None:
        problems.append(
            Problem(("suite_id",), "missing", "Missing data for required field: or suite, or conversation_id.")
        )
    for one, other in (("suite", "suite_id"), ("draft", "revision"), ("runs", "conversation_id")):
        if getattr(new, one) and getattr(new, other):
            text = f"Cannot be used together with {other}."
            problems.append(Problem((one,), "exclusive", text, facts={"excludes": f"/{other}"}))
    if problems:
        raise refuse(problems)
    return new


async def _version(tx: Transaction, record: Record, new: NewRehearsal) -> Version:
    """The state that is asked for. Raises NoSuchDraft, NoSuchRevision."""
    if new.revision is not None:
        state = await state_at(tx, record.seq, new.revision)
        return Version(state.revision.number, None, state.revision.etag, state.document, state.refs)
    if new.draft:
        draft = await tx.open_draft(record.seq)
        if draft is None:
            raise NoSuchDraft("There are no changes that wait to be published.")
        document, refs = orjson.loads(draft.body), load_refs(draft.secrets)
        return Version(draft.base_revision, draft.number, draft.etag, document, refs)
    return Version(record.revision, None, record.etag, orjson.loads(record.body), load_refs(record.secrets))


async def _suite(tx: Transaction, new: NewRehearsal, account: int) -> Document | None:
    """What the suite says, as it would be stored. Raises InvalidDocument and its kin."""
    if new.suite is not None:
        return judge(REHEARSAL_SUITE, new.suite).stored
    if new.suite_id is None:
        return None
    record = await tx.get(REHEARSAL_SUITE.kind, new.suite_id, account)
    if record is None:
        raise refuse([Problem(("suite_id",), "unknown_reference", "Invalid suite_id", form="bare")])
    return REHEARSAL_SUITE.written_in(orjson.loads(record.body))


def _runs(new: NewRehearsal, suite: Document) -> int:
    """How often each visitor comes. Raises InvalidDocument where that would be too many talks."""
    if new.runs is None:
        runs: int = suite["runs"]
        return runs
    count = len(suite["visitors"])
    if count * new.runs > MOST_PLAYS:
        most = MOST_PLAYS // count
        text = f"Visitors times runs must be at most {MOST_PLAYS}: for the {count} of this suite at most {most} runs."
        raise refuse([Problem(("runs",), "out_of_range", text, facts={"maximum": most})])
    return new.runs


async def _held(tx: Transaction, id: str, account: int) -> Document:
    """The lines and the calls of a conversation. Raises ClientError where there is none."""
    record = await tx.get("conversation", id, account)
    if record is None:
        raise refuse([Problem(("conversation_id",), "unknown_reference", "Invalid conversation_id", form="bare")])
    lines = [orjson.loads(one.body) for one in await tx.conversations.logged(record.seq, "line")]
    calls = [orjson.loads(one.body) for one in await tx.conversations.logged(record.seq, "call")]
    return {"lines": lines, "calls": calls}


async def _forget_old(tx: Transaction, call: Call, pal: str, services: Services) -> None:
    """Erase what is older than the newest rehearsals of a PAL."""
    for record in await _all(tx, call, pal, MOST_KEPT):
        await erase(tx, call, record, services)


async def _all(tx: Transaction, call: Call, pal: str, after: int) -> list[Record]:
    """The rehearsals of a PAL behind the newest ones."""
    listing = Listing("own", "newest", MOST_KEPT, after, labels={"pal": [pal]})
    found = await tx.links.search(KIND, call.account.id, listing)
    records = [await tx.get(KIND, orjson.loads(body)["rehearsal_id"], call.account.id) for body in found.bodies]
    return [record for record in records if record is not None]


def receipt(outcome: Outcome) -> Reply:
    """What Start Rehearsal answers with."""
    said = {name: outcome.document[name] for name in ("rehearsal_id", "status", "pal_etag", "suite_tag")}
    return Reply(200, orjson.dumps(said), outcome.headers)


async def list_all(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, total_count}`: the rehearsals of a PAL without their reports. Raises InvalidId."""
    if await services.store.reading.read(resource.kind, call.ids["id"], call.account.id) is None:
        raise resource.unknown()
    query = {**call.query, "pal": call.ids["id"]}
    reply = await verbs.list_page(REHEARSAL, replace(call, query=query), services, style=LIST)
    return replace(reply, is_spelled=True)  # A rehearsal has one spelling, whatever the route.


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """One rehearsal with its report. Raises InvalidId."""
    if await services.store.reading.read(resource.kind, call.ids["id"], call.account.id) is None:
        raise resource.unknown()
    wanted = replace(call, ids={"id": call.ids["rehearsal_id"]}, if_none_match=None)
    reply = await verbs.read(REHEARSAL, wanted, services)
    if orjson.loads(reply.document)["pal_id"] != call.ids["id"]:
        raise REHEARSAL.unknown()
    return replace(reply, is_spelled=True)


async def delete_rehearsals(tx: Transaction, call: Call, services: Services) -> Sequence[Mapping[str, Any]]:
    """Erase the rehearsals of a PAL that is deleted: one that comes back is rehearsed anew."""
    erased = []
    while records := await _all(tx, call, call.ids["id"], 0):  # More than are kept, where several began at once.
        for record in records:
            await erase(tx, call, record, services)
        erased += records
    return [{"kind": KIND, "id": record.id, "what": "deleted"} for record in erased]


# --- The operations ---------------------------------------------------------------------------------------------------

LIST = verbs.ListStyle(default_sort="desc", labels={"pal": "pal"}, left_out=("report",))
NO_PAL = "`Invalid pal_id`: unknown, or not yours"
SHORT: Document = {
    "name": "Greeting",
    "visitors": [{"name": "says hello", "steps": [{"say": "Hello!", "expect": {"matches": ["."]}}]}],
}
TEXT: dict[str, Any] = {"type": "string"}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["rehearsal_id", "status", "pal_etag", "suite_tag"],
    "properties": {
        "rehearsal_id": TEXT,
        "status": {"const": "running"},
        "pal_etag": {**TEXT, "description": "The tag of what is rehearsed: `etag` of a revision or a draft."},
        "suite_tag": {"type": ["string", "null"]},
    },
}
WHOLE: dict[str, Any] = {"$ref": "#/components/schemas/Rehearsal"}
FACTS = {stamp.name: dict(stamp.schema) for stamp in REHEARSAL.stamps if stamp.name not in LIST.left_out}
ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["rehearsal_id", *FACTS],
    "properties": {"rehearsal_id": TEXT, **FACTS},
}
REHEARSAL_ID = Parameter(
    "rehearsal_id", {"type": "string", "minLength": 1, "example": "rh0a1b2c3d4e5"}, "Which one.", True
)
PAGES = tuple(parameter for parameter in verbs.list_parameters(LIST) if parameter.name != "pal")


def _schema() -> dict[str, Any]:
    """The JSON Schema of what is sent."""
    schema = NewRehearsal.model_json_schema()
    schema["properties"]["suite"] = {"anyOf": [{"$ref": "#/components/schemas/RehearsalSuiteFields"}, {"type": "null"}]}
    return schema


PAL_REHEARSALS = (
    Endpoint(
        "POST",
        "/{id}/rehearsals",
        "startPalRehearsal",
        "Rehearse a PAL",
        "Lets the visitors of a suite talk to the PAL as it is live, as of a revision, or as its draft has it; or says "
        "again what a visitor said in a conversation. Tools are answered by the suite. The answer comes at once; read "
        "the rehearsal until its `status` is no longer `running`.",
        start,
        answers={
            200: "It is begun.",
            400: f"{NO_PAL}; or what was sent is not valid.",
            404: "There is no such revision, or no draft.",
        },
        body="object",
        body_schema=_schema(),
        answer_schema=RECEIPT,
        examples={"a suite that is not stored": {"suite": SHORT, "runs": 2}},
        differs=OWN,
    ),
    Endpoint(
        "GET",
        "/{id}/rehearsals",
        "listPalRehearsals",
        "List the rehearsals of a PAL",
        f"Newest first, without their reports. The newest {MOST_KEPT} are kept.",
        list_all,
        answers={200: "One page of rehearsals.", 400: f"A query parameter is not valid; or {NO_PAL}."},
        parameters=PAGES,
        answer_schema=verbs.page_schema(ITEM, LIST),
    ),
    Endpoint(
        "GET",
        "/{id}/rehearsals/{rehearsal_id}",
        "getPalRehearsal",
        "Get a rehearsal of a PAL",
        "The rehearsal, with its report once its `status` is `completed`.",
        read,
        answers={200: "The rehearsal.", 400: f"{NO_PAL}; or `Invalid rehearsal_id`."},
        parameters=(REHEARSAL_ID,),
        answer_schema=WHOLE,
    ),
)
