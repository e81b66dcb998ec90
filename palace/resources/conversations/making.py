"""Creating a conversation: checked, cast, and begun in one transaction (contract 2)."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from palace import verbs
from palace.call import Call, Reply
from palace.clock import parse_moment, timestamp
from palace.conversation import opened
from palace.conversation.script import Script, stored_script
from palace.conversation.state import stored_state
from palace.errors import ClientError
from palace.mending import with_nearest
from palace.resource import Problem, Resource, Services
from palace.resources.conversations.casting import cast, script
from palace.resources.conversations.request import NewConversation, rules
from palace.storage import Record, Transaction
from palace.talking import Given, Place, keep
from palace.talking.tokens import meeting_token
from palace.talking.words import words_of
from palace.validation import problems_of, refuse
from palace.verbs.writing import New, Outcome

PATH = "/c"
"""Under which the pages of conversations stand."""
RECEIPT = (
    "conversation_id",
    "conversation_name",
    "conversation_url",
    "status",
    "callback_url",
    "created_at",
    "pal_id",
    "persona_id",
    "face_id",
    "replica_id",
)


class TooManyConversations(ClientError):
    """400: the account has as many conversations going on as it may (contract 22, A15)."""

    code = "too_many_conversations"

    def __init__(self) -> None:
        super().__init__("User has reached maximum concurrent conversations")


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """Begin a conversation: 200 with how to come in. Raises InvalidDocument and its kin, TooManyConversations."""
    new = _valid(call.body)
    async with services.store.reading.snapshot() as tx:
        given, face, parts = await cast(new, tx, call.account.id)
    now = services.clock.now()
    name = new.conversation_name or f"New Conversation {int(now.timestamp() * 1000)}"
    body = {
        "conversation_name": name,
        "callback_url": new.callback_url,
        "pal_id": given.pal.id,
        "face_id": face,
    }
    facts = {"status": "ended" if new.test_mode else "active", "pal_revision": given.pal.revision}

    async def begin(made: New, tx: Transaction, services: Services) -> Outcome:
        if not new.test_mode:
            await _refuse_too_many(tx, call.account.id, services)
        url = f"{services.url}{PATH}/{made.id}"
        outcome = await replace(made, facts={**made.facts, "conversation_url": url}).store(tx, services)
        found_by = [*words_of([name]), made.id]
        await tx.conversations.add_words(outcome.record.seq, call.account.id, found_by)
        if not new.test_mode:
            by = script(new, given, face, parts, made.id, now.timestamp())
            await _begin(tx, outcome.record, by, given, services)
        return outcome

    answer = partial(receipt, new, services)
    return await verbs.create(resource, replace(call, body=body), services, facts=facts, store=begin, answer=answer)


def _valid(body: Any) -> NewConversation:
    """What was sent, if it is valid. Raises InvalidDocument and its kin."""
    if not isinstance(body, dict):
        raise refuse([Problem((), "wrong_type", "Invalid input type.")])
    sent = dict(body)
    if "enable_dynamic_greeting" in sent:  # What older pages call it (contract 22, A7).
        sent.setdefault("dynamic_greeting", sent.pop("enable_dynamic_greeting"))
    try:
        new = NewConversation.model_validate(sent)
    except ValidationError as error:
        raise with_nearest(refuse(problems_of(error)), NewConversation) from error
    problems = list(rules(new))
    if problems:
        raise refuse(problems)
    return new


async def _refuse_too_many(tx: Transaction, account: int, services: Services) -> None:
    most = services.settings.most_conversations
    if most and await tx.conversations.active(account) >= most:
        raise TooManyConversations


async def _begin(tx: Transaction, record: Record, by: Script, given: Given, services: Services) -> None:
    """The first step: the PAL is there."""
    state, _, commands = opened(by, by.started_at)
    wake_at = state.wake_at
    due = None if wake_at is None else timestamp(datetime.fromtimestamp(wake_at, UTC))
    await tx.conversations.add(record.seq, due, stored_state(state), stored_script(by), given.stored())
    place = Place(record.seq, record.id, record.owner)
    await keep(tx, place, 0, commands, state.seq, given, services)


def receipt(new: NewConversation, services: Services, outcome: Outcome) -> Reply:
    """What Create Conversation answers with; only here, and only where it is needed, is the token (contract 13.3)."""
    said: dict[str, Any] = {name: outcome.document[name] for name in RECEIPT}
    if new.is_private:
        began = int(parse_moment(outcome.document["created_at"]).timestamp())
        ends = began + new.properties.participant_absent_timeout
        url = outcome.document["conversation_url"]
        said["meeting_token"] = meeting_token(services.meeting_key, outcome.record.id, url, began, ends)
    return Reply(200, orjson.dumps(said), outcome.headers)
