"""Actions after a conversation: each tool of the PAL that waits for its end is called once (contract 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from palace.conversation.commands import NoteCall, Report
from palace.conversation.script import Script, script_of
from palace.engines import Answer, Ask, LanguageModel, ModelDown
from palace.jobs.runner import JobFailed, Store, Work
from palace.resource import Document, Services
from palace.storage import Job, Transaction
from palace.talking import Deliver, Given, ModelOf, Place, keep
from palace.talking.given import given_of
from palace.tool_delivery import BadArguments

EXECUTED = "application.post_call_action_executed"
FILL_IN = "The conversation below is over. Call the tool {name} once, with arguments that follow from it."
NO_CALL = "The model did not call the tool."
SPEAKERS = {"user": "Person", "assistant": "PAL", "tool": "Result of a tool"}


async def act(job: Job, services: Services) -> Store:
    """Fill in the arguments, call the tool, and keep what came of it. Raises JobFailed while the model is down.

    When the process dies between the call and the commit, the tool is called once more, under the same id.
    """
    kept = await services.store.reading.conversations.get(job.document)
    if kept is None:
        return _nothing
    script, given = script_of(kept.script), given_of(kept.given)
    tool = given.tools[orjson.loads(job.input)["tool_id"]]
    call_id = f"post_call_{job.id}_{tool.id}"
    deliver = Deliver(services)
    try:
        arguments = await _arguments(job, tool.document, given, services)
        done = await deliver.delivered(tool, arguments, call_id, script)
    except BadArguments as error:
        return _kept(job, tool.id, tool.document["name"], script, {"problem": str(error)}, services)
    facts = {
        "request": {**done.request, "body": done.request.get("body") or ""},
        "response": done.output,
        "response_status": done.response_status,
        "status": done.status,
        "ms": done.ms,
        "problem": done.problem,
        "tool_call_id": call_id,
    }
    return _kept(job, tool.id, tool.document["name"], script, facts, services)


def give_up(job: Job, problem: str, services: Services) -> Store:
    """Keep that it came to nothing, and why."""

    async def store(tx: Transaction) -> bool:
        kept = await tx.conversations.get(job.document)
        if kept is None:
            return False
        tool = given_of(kept.given).tools[orjson.loads(job.input)["tool_id"]]
        facts = {"problem": problem}
        return await _kept(job, tool.id, tool.document["name"], script_of(kept.script), facts, services)(tx)

    return store


async def _nothing(_tx: Transaction) -> bool:
    return False


# --- Arguments --------------------------------------------------------------------------------------------------------


async def _arguments(job: Job, tool: Document, given: Given, services: Services) -> str:
    """The arguments as JSON: a model fills in those that are not fixed. Raises JobFailed, BadArguments."""
    parameters = tool["parameters"]
    properties = parameters.get("properties") or {}
    open_ones = {name: one for name, one in properties.items() if not (isinstance(one, Mapping) and "const" in one)}
    if not open_ones:
        return "{}"
    required = [name for name in parameters.get("required", ()) if name in open_ones]
    schema = {**parameters, "properties": open_ones, "required": required}
    lines = await services.store.reading.conversations.logged(job.document, "line")
    model = await ModelOf(services.models, services)(given)
    try:
        return await _filled_in(model, tool, schema, [orjson.loads(line.body) for line in lines])
    except ModelDown as error:
        raise JobFailed(error.text, is_temporary=True) from error
    finally:
        await model.close()


async def _filled_in(model: LanguageModel, tool: Document, schema: Document, lines: Sequence[Document]) -> str:
    said = "\n".join(
        f"{SPEAKERS[line['role']]}: {line['content']}" for line in lines if line["role"] in SPEAKERS and line["content"]
    )
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


# --- What is kept -----------------------------------------------------------------------------------------------------


def _kept(job: Job, tool_id: str, name: str, script: Script, facts: Mapping[str, Any], services: Services) -> Store:
    """An event of the conversation, told to its `callback_url`, and a row among its calls."""
    said = {
        "tool_id": tool_id,
        "tool_name": name,
        "status": facts.get("status", "error"),
        "request": facts.get("request", {"body": ""}),
        "response": facts.get("response", facts.get("problem")),
    }
    commands = (
        Report(EXECUTED, "application", said),
        NoteCall({**said, "name": name, "tool_call_id": facts.get("tool_call_id"), "problem": facts.get("problem")}),
    )

    async def store(tx: Transaction) -> bool:
        record = await tx.get(job.object_kind, job.id, job.owner)
        kept = await tx.conversations.get(job.document)
        if record is None or kept is None:
            return False
        await tx.conversations.put(job.document, kept.number, None, kept.state)
        place = Place(job.document, script.conversation_id, job.owner)
        url = given_of(kept.given).callback_url
        await keep(tx, place, kept.number + 1, commands, NO_SEQ, url, services)
        return True

    return store


NO_SEQ = 0
"""What happens after the end is behind no app message."""
ACT_AFTERWARDS = Work(act, give_up)
