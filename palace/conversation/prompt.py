"""What the model is given: the prompt, what it is to reach and to keep, and as much of the talk as has room."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from palace.conversation.commands import Purpose
from palace.conversation.foreign import object_of
from palace.conversation.script import Objective, Script
from palace.conversation.state import Line, State

Message = dict[str, Any]

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
"""Both are what English comes to on average: nobody else's tokenizer is asked, so the budget is an estimate."""

LEAST_CHARACTERS = 2000
"""So much of what was said or answered last the model is given, whatever its budget."""

COMPLETE_OBJECTIVE = "complete_objective"
REPORT_GUARDRAIL = "report_guardrail"
END_CALL = "end_call"
NO_RESULT_YET = "There is no result yet. Go on without it; do not make one up."
LATE = "_result"
"""What the id of a late result ends with (contract 2.3)."""

BETWEEN_PARTS = "\n\n"
"""of the system's text"""
NOT_IN_A_NAME = re.compile("[^a-zA-Z0-9_-]")
LONGEST_NAME = 64
"""of a function, in OpenAI's form"""

ASKED_FOR: Mapping[Purpose, str] = {
    "greeting": "The person has just come in. Greet them and open the conversation, in one or two sentences.",
    "filler": "You are just doing what you called for. Say so in one short, natural sentence, and nothing else.",
    "idle": "The person has said nothing for a while. Take up the conversation again in one short sentence.",
}

GO_ON = "Go on: say what is new in what you know, or finish what you were saying."
"""for a reply after the PAL's own words"""


def messages_for(script: Script, state: State, lines: Sequence[Line], purpose: Purpose) -> list[Message]:
    """The messages of one request, in the form of OpenAI's chat completions, within the budget of the script.

    The system's text always stands first and whole; of the talk the newest part is kept.
    """
    first: Message = {"role": "system", "content": system_text(script, state)}
    talk = list(_spoken(lines))
    is_own = not talk or talk[-1][-1]["role"] == "assistant"
    wanted = ASKED_FOR.get(purpose, GO_ON if is_own else "")
    last: list[Message] = [{"role": "system", "content": wanted}] if wanted else []
    room = script.context_tokens - sum(map(tokens_of, (first, *last)))
    return [first, *_newest(talk, room), *last]


def tokens_of(message: Message) -> int:
    """About how many tokens a message has."""
    texts = [str(message.get("content") or ""), *(str(call["function"]) for call in message.get("tool_calls", ()))]
    return TOKENS_PER_MESSAGE + sum(map(len, texts)) // CHARACTERS_PER_TOKEN


def _newest(groups: list[list[Message]], room: int) -> list[Message]:
    """The newest groups of messages that fit; the very last one always does, if need be with its texts cut off."""
    kept: list[list[Message]] = []
    if groups and sum(map(tokens_of, groups[-1])) > room:
        most = max(room * CHARACTERS_PER_TOKEN // len(groups[-1]), LEAST_CHARACTERS)
        groups = [*groups[:-1], [_cut(message, most) for message in groups[-1]]]
    for group in reversed(groups):
        room -= sum(map(tokens_of, group))
        if room < 0 and kept:
            break
        kept.append(group)
    return [message for group in reversed(kept) for message in group]


def _cut(message: Message, most: int) -> Message:
    """The message with the first `most` characters of its text, and a word on the rest."""
    text = message.get("content") or ""
    if len(text) <= most:
        return message
    return {**message, "content": f"{text[:most]}\n[Cut off: these are {most} of {len(text)} characters.]"}


def _spoken(lines: Sequence[Line]) -> Iterator[list[Message]]:
    """The talk in groups that belong together: a call and its results stand next to each other, as models demand.

    The line of the system is left out: what it says now stands in `system_text`.
    """
    results = {line["tool_call_id"]: line["content"] for line in lines if line["role"] == "tool"}
    for line in lines:
        if line["role"] == "tool":
            if line["tool_call_id"].endswith(LATE):
                text = f"The result of call {line['tool_call_id'].removesuffix(LATE)} has come: {line['content']}"
                yield [{"role": "system", "content": text}]
        elif calls := line.get("tool_calls"):
            yield [_with_calls(line, calls), *(_result(call["id"], results) for call in calls)]
        elif line["role"] != "system":
            yield [{"role": line["role"], "content": line["content"]}]


def _with_calls(line: Line, calls: Sequence[Mapping[str, Any]]) -> Message:
    functions = [{"id": call["id"], "type": "function", "function": _called(call)} for call in calls]
    return {"role": "assistant", "content": line["content"] or None, "tool_calls": functions}


def _called(call: Mapping[str, Any]) -> Message:
    """What a call was, in a form that no model's server refuses, however badly the model wrote it."""
    is_well_written = object_of(call["arguments"]) is not None and call["arguments"]
    name = NOT_IN_A_NAME.sub("_", call["name"])[:LONGEST_NAME]
    return {"name": name or "_", "arguments": call["arguments"] if is_well_written else "{}"}


def _result(id: str, results: Mapping[str, str]) -> Message:
    return {"role": "tool", "tool_call_id": id, "content": results.get(id, NO_RESULT_YET)}


# --- The system's text ------------------------------------------------------------------------------------------------


def system_text(script: Script, state: State) -> str:
    """Who the PAL is, what it knows, what it is to reach and to keep."""
    context = script.context if state.context is None else state.context
    parts = [
        script.prompt,
        context,
        *state.added,
        _objective_text(script.objective(state.objective), state),
        _guardrail_text(script),
        f"Speak {script.language}." if script.language else "",
    ]
    return BETWEEN_PARTS.join(part.strip() for part in parts if part.strip())


def _objective_text(objective: Objective | None, state: State) -> str:
    if objective is None or state.pending is not None:
        return ""
    wanted = f" Find out: {', '.join(objective.variables)}." if objective.variables else ""
    text = f"Your present objective is {objective.name}: {objective.prompt}{wanted}"
    return f"{text}\nAs soon as it is reached, and not before, call {COMPLETE_OBJECTIVE}; then go on talking."


def _guardrail_text(script: Script) -> str:
    if not script.guardrails:
        return ""
    rules = "\n".join(f"- {one.name}: {one.prompt}" for one in script.guardrails)
    return f"Keep to these guardrails. When one is touched, call {REPORT_GUARDRAIL} and keep to it:\n{rules}"


# --- What the model may call ------------------------------------------------------------------------------------------


def functions_for(script: Script, state: State) -> list[Message]:
    """The PAL's tools, and those by which the model tells of objectives, guardrails and the end; no name twice."""
    tools = (tool for tool in script.tools if not is_own(script, tool.name))
    own = (one for one in _own(script, state) if is_own(script, one["function"]["name"]))
    return [*(_function(tool.name, tool.description, tool.parameters) for tool in tools), *own]


def is_own(script: Script, name: str) -> bool:
    """Whether a call tells something of the conversation itself. A tool of the PAL goes before, but for ending it."""
    return name == END_CALL or (name in (COMPLETE_OBJECTIVE, REPORT_GUARDRAIL) and script.tool(name) is None)


def _own(script: Script, state: State) -> list[Message]:
    own = []
    objective = script.objective(state.objective)
    if objective is not None and state.pending is None:
        own.append(_function(COMPLETE_OBJECTIVE, "Tell that the present objective is reached.", _reached(objective)))
    if script.guardrails:
        names = [one.name for one in script.guardrails]
        hit = {
            "type": "object",
            "properties": {"guardrail_name": {"type": "string", "enum": names}, "reason": {"type": "string"}},
            "required": ["guardrail_name"],
        }
        own.append(_function(REPORT_GUARDRAIL, "Tell that a guardrail is touched.", hit))
    ending = "End the call, once the person has said goodbye or clearly wants to stop."
    return [*own, _function(END_CALL, ending, {"type": "object", "properties": {}})]


def _function(name: str, description: str, parameters: Mapping[str, Any]) -> Message:
    schema = dict(parameters) or {"type": "object", "properties": {}}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _reached(objective: Objective) -> dict[str, Any]:
    known = {name: {"type": "string"} for name in objective.variables}
    properties: dict[str, Any] = {
        "output_variables": {"type": "object", "properties": known, "required": list(objective.variables)}
    }
    if objective.next_if:
        conditions = "; ".join(f"{name}: {condition}" for name, condition in objective.next_if.items())
        text = f"Which objective follows. {conditions}"
        properties["next"] = {"type": "string", "enum": list(objective.next_if), "description": text}
    required = [name for name in properties if name == "next" or objective.variables]
    return {"type": "object", "properties": properties, "required": required}
