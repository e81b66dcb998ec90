"""Actions after a conversation: each tool of the PAL that waits for its end is called once (contract 6)."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import orjson

from palace.conversation.commands import NoteCall, Report
from palace.conversation.foreign import object_of
from palace.conversation.prompt import CHARACTERS_PER_TOKEN
from palace.conversation.script import Script, script_of
from palace.engines import Answer, Ask, LanguageModel, ModelDown
from palace.jobs.runner import JobFailed, Store, Work
from palace.resource import Document, Services
from palace.storage import Job, Transaction
from palace.talking import Deliver, Given, ModelOf, Place, keep
from palace.talking.given import Pinned, given_of
from palace.tool_delivery import BadArguments, Delivered

EXECUTED = "application.post_call_action_executed"
FILL_IN = "The conversation below is over. Call the tool {name} once, with arguments that follow from it."
NO_CALL = "The model did not call the tool."
SPEAKERS = {"user": "Person", "assistant": "PAL", "tool": "Result of a tool"}


@dataclass(frozen=True, slots=True)
class _Call:
    """The one call of a tool: `arguments` are JSON as far as they are known, `done` is what became of it."""

    tool: Pinned
    tool_call_id: str
    at: float
    arguments: str = ""
    done: Delivered | None = None
    problem: str | None = None


async def act(job: Job, services: Services) -> Store:
    """Fill in the arguments, call the tool, and keep what came of it. Raises JobFailed while the model is down.

    When the process dies between the call and the commit, the tool is called once more, under the same id.
    """
    kept = await services.store.reading.conversations.get(job.document)
    if kept is None:
        return _nothing
    script, given = script_of(kept.script), given_of(kept.given)
    call = _call(job, given, services)
    try:
        call = replace(call, arguments=await _arguments(job, call.tool.document, script, given, services))
        done = await Deliver(services).delivered(call.tool, call.arguments, call.tool_call_id, script)
        call = replace(call, done=done, problem=done.problem)
    except BadArguments as error:
        call = replace(call, problem=error.text)
    return _kept(job, call, services)


def give_up(job: Job, problem: str, services: Services) -> Store:
    """Keep that it came to nothing, and why."""

    async def store(tx: Transaction) -> bool:
        kept = await tx.conversations.get(job.document)
        if kept is None:
            return False
        call = replace(_call(job, given_of(kept.given), services), problem=problem)
        return await _kept(job, call, services)(tx)

    return store


def _call(job: Job, given: Given, services: Services) -> _Call:
    tool = given.tools[orjson.loads(job.input)["tool_id"]]
    return _Call(tool, f"post_call_{job.id}_{tool.id}", services.clock.now().timestamp())


async def _nothing(_tx: Transaction) -> bool:
    return False


# --- Arguments --------------------------------------------------------------------------------------------------------


async def _arguments(job: Job, tool: Document, script: Script, given: Given, services: Services) -> str:
    """The arguments as JSON: a model fills in those that are not fixed. Raises JobFailed, BadArguments."""
    parameters = tool["parameters"]
    properties = parameters.get("properties") or {}
    fixed = {name for name, one in properties.items() if isinstance(one, Mapping) and "const" in one}
    open_ones = {name: one for name, one in properties.items() if name not in fixed}
    if not open_ones:
        return "{}"
    required = [name for name in parameters.get("required", ()) if name in open_ones]
    schema = {**parameters, "properties": open_ones, "required": required}
    lines = await services.store.reading.conversations.logged(job.document, "line")
    said = _said([orjson.loads(line.body) for line in lines], script.context_tokens * CHARACTERS_PER_TOKEN)
    model = await ModelOf(services.models, services)(given)
    try:
        return _without(fixed, await _filled_in(model, tool, schema, said))
    except ModelDown as error:
        raise JobFailed(error.text, is_temporary=True) from error
    finally:
        await model.close()


def _said(lines: Sequence[Document], most: int) -> str:
    """What was said, the newest part of it that has room."""
    spoken = (line for line in lines if line["role"] in SPEAKERS and line["content"])
    return "\n".join(f"{SPEAKERS[line['role']]}: {line['content']}" for line in spoken)[-most:]


async def _filled_in(model: LanguageModel, tool: Document, schema: Document, said: str) -> str:
    name = tool["name"]
    function = {"name": name, "description": tool["description"], "parameters": schema}
    messages = [
        {"role": "system", "content": FILL_IN.format(name=name)},
        {"role": "user", "content": said},
    ]
    choice = {"tool_choice": {"type": "function", "function": {"name": name}}}
    async for item in model.stream(Ask(messages, [{"type": "function", "function": function}], choice)):
        if isinstance(item, Answer):
            wish = next((one for one in item.wishes if one.name == name), None)
            if wish is not None:
                return wish.arguments or "{}"
    raise BadArguments(NO_CALL)


def _without(fixed: AbstractSet[str], arguments: str) -> str:
    """The arguments without those that the model has no say in."""
    said = object_of(arguments)
    if said is None or not fixed & said.keys():
        return arguments
    return orjson.dumps({name: value for name, value in said.items() if name not in fixed}).decode()


# --- What is kept -----------------------------------------------------------------------------------------------------


def _kept(job: Job, call: _Call, services: Services) -> Store:
    """An event of the conversation, told to its `callback_url`, and a row among its calls."""
    name, done = call.tool.document["name"], call.done
    sent = done.request if done else {}
    status, output = (done.status, done.output) if done else ("error", call.problem or "")
    told = {
        "tool_id": call.tool.id,
        "tool_name": name,
        "status": status,
        "request": {**sent, "body": sent.get("body") or call.arguments},
        "response": output,
    }
    noted = {
        "tool_call_id": call.tool_call_id,
        "tool_id": call.tool.id,
        "name": name,
        "arguments": call.arguments,
        "status": status,
        "output": output,
        "request": {**sent, "response_status": done.response_status, "attempts": done.attempts} if done else None,
        "problem": call.problem,
        "at": call.at,
        "ms": done.ms if done else 0.0,
    }
    services.meter.count(f"tool_calls/{status}")

    async def store(tx: Transaction) -> bool:
        record = await tx.get(job.object_kind, job.id, job.owner)
        kept = await tx.conversations.get(job.document)
        if record is None or kept is None:
            return False
        await tx.conversations.put(job.document, kept.number, None, kept.state)
        place, commands = (
            Place(job.document, job.id, job.owner),
            (Report(EXECUTED, "application", told), NoteCall(noted)),
        )
        await keep(tx, place, kept.number + 1, commands, NO_SEQ, given_of(kept.given), services)
        return True

    return store


NO_SEQ = 0
"""What happens after the end is behind no app message."""
ACT_AFTERWARDS = Work(act, give_up)
