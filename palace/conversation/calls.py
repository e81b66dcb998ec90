"""The tools that the model calls, when their results count, and what the PAL says about it (contract 5)."""

import json
from typing import Any

from palace.conversation.commands import CallTool, NoteCall
from palace.conversation.events import ModelAnswered, ToolAnswered, Wish
from palace.conversation.objectives import complete, touch
from palace.conversation.prompt import COMPLETE_OBJECTIVE, END_CALL, LATE, NO_RESULT_YET, REPORT_GUARDRAIL
from palace.conversation.script import Tool
from palace.conversation.stage import Stage
from palace.conversation.state import OpenCall, Thinking
from palace.conversation.turns import QUIET, ask, end_turn, note_tokens, say, speak

SOFT_SECONDS = 8.0
"""So long the PAL waits for results of tools that the client answers; then it goes on, and takes them later."""
MOST_CALLS = 8
"""in one round"""
DISPATCHED = "The call was dispatched; its result is not awaited."
OWN = (COMPLETE_OBJECTIVE, REPORT_GUARDRAIL, END_CALL)
ENDED_BY_PAL = "end_call_tool"


def model_answered(stage: Stage, what: ModelAnswered) -> str:
    """The model is done: the PAL says what it wrote, and calls what it wants called. Returns why to end, if it must."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return ""
    state.thinking = None
    stage.forget("model")
    note_tokens(stage, what)
    if thinking.purpose == "idle":
        state.idle_turns += 1
    if what.wishes and thinking.purpose != "filler":
        return _take(stage, what, thinking)
    text = what.text.strip()
    if text:
        stage.remember("assistant", text, inference_id=what.inference_id)
        speak(stage, text, what.inference_id)
    if not _is_waiting(stage):
        end_turn(stage)
    return ""


def _take(stage: Stage, what: ModelAnswered, thinking: Thinking) -> str:
    """Carry out what the model wishes, as far as the tools' settings say, and go on when nothing is awaited."""
    called = [(wish, tool) for wish in what.wishes if (tool := stage.script.tool(wish.name)) is not None]
    text = _spoken_beside([tool for _, tool in called], what.text.strip(), was_heard=stage.state.is_speaking)
    rows = [{"id": wish.id, "name": wish.name, "arguments": wish.arguments} for wish in what.wishes]
    stage.remember("assistant", text, inference_id=what.inference_id, tool_calls=rows)
    if text:
        speak(stage, text, what.inference_id)
    for number, wish in enumerate(what.wishes):
        if number >= MOST_CALLS:
            _result(stage, wish.id, f"error: not carried out, because {MOST_CALLS} calls at once are the most.")
        elif wish.name not in OWN or stage.script.tool(wish.name) is not None:
            _call(stage, wish)
        else:
            _result(stage, wish.id, _own(stage, wish))
    if any(wish.name == END_CALL for wish in what.wishes):
        return ENDED_BY_PAL
    if _is_waiting(stage):
        if not text and any(tool.on_call == "generate_filler" for _, tool in called):
            ask(stage, "filler")
    elif _needs_answer(stage, what.wishes, has_spoken=bool(text)):
        ask(stage, "reply")
    else:
        end_turn(stage)
    del thinking
    return ""


def _spoken_beside(tools: list[Tool], text: str, *, was_heard: bool) -> str:
    """What the PAL says next to its calls: what people have heard was said, whatever the tools want."""
    if was_heard or not tools:
        return text
    fixed = next((tool.static_filler for tool in tools if tool.on_call == "static_filler"), "")
    return fixed if any(tool.on_call in QUIET for tool in tools) else text


def _call(stage: Stage, wish: Wish) -> None:
    """Have a tool called, by the client or over HTTPS; a call that cannot be made is told to the model at once."""
    tool = stage.script.tool(wish.name)
    arguments = _arguments(wish)
    if tool is None:
        _result(stage, wish.id, f"error: there is no tool {wish.name!r}.")
        return
    if arguments is None:
        _result(stage, wish.id, "error: the arguments are not a JSON object. Call it again with one.")
        return
    is_awaited = tool.on_resolve != "fire_and_forget" or tool.is_api
    if tool.is_api:
        stage.do(CallTool(wish.id, tool.tool_id, arguments))
    else:
        facts = {"name": wish.name, "arguments": wish.arguments or "{}", "tool_call_id": wish.id}
        stage.emit("conversation.tool_call", facts, inference_id=stage.state.utterance_id)
    if is_awaited:
        call = OpenCall(wish.name, stage.now, tool.on_resolve, tool.tool_id, wish.arguments)
        call.is_late = tool.on_resolve == "fire_and_forget"
        stage.state.calls[wish.id] = call
        if not tool.is_api and tool.on_resolve != "add_to_context":
            stage.wake_in("tools", SOFT_SECONDS)
    if tool.on_resolve == "fire_and_forget":
        _result(stage, wish.id, DISPATCHED)


def _arguments(wish: Wish) -> dict[str, Any] | None:
    try:
        arguments = json.loads(wish.arguments or "{}")
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


def _own(stage: Stage, wish: Wish) -> str:
    """Carry out a call by which the model tells something of the conversation itself."""
    arguments = _arguments(wish)
    if arguments is None:
        return "error: the arguments are not a JSON object. Call it again with one."
    if wish.name == COMPLETE_OBJECTIVE:
        return complete(stage, arguments)
    if wish.name == REPORT_GUARDRAIL:
        return touch(stage, arguments)
    facts = {"name": wish.name, "arguments": "{}", "tool_call_id": wish.id}
    stage.emit("conversation.tool_call", facts, inference_id=stage.state.utterance_id)
    return "The call ends."


def _result(stage: Stage, id: str, text: str) -> None:
    stage.remember("tool", text, tool_call_id=id)


# --- Results ----------------------------------------------------------------------------------------------------------


def tool_answered(stage: Stage, what: ToolAnswered) -> None:
    """A result has come. One that nobody waits for is kept for later, one that nobody asked for is dropped."""
    state = stage.state
    call = state.calls.pop(what.tool_call_id, None)
    if call is None:
        return
    _note(stage, what, call)
    if call.on_resolve == "fire_and_forget":
        return
    is_free = state.thinking is None and not state.is_speaking
    if call.is_late:
        _result(stage, what.tool_call_id + LATE, _worded(what))
    elif call.on_resolve == "response_in_result" and not what.is_error:
        _result(stage, what.tool_call_id, what.output)
    else:
        _result(stage, what.tool_call_id, _worded(what))
    if call.on_resolve == "add_to_context" and not what.is_error:
        if not call.is_late:
            _settle(stage)
    elif call.on_resolve == "response_in_result" and not what.is_error and is_free:
        if what.output.strip():
            say(stage, what.output, is_streamed=True)
        _settle(stage)
    elif call.is_late:
        if is_free and not _is_waiting(stage):
            ask(stage, "reply")
    else:
        if state.turn is not None:
            state.turn.tool_seconds += stage.now - call.asked_at
        _settle(stage, needs_answer=True)


def _worded(what: ToolAnswered) -> str:
    return f"error: {what.output}" if what.is_error else what.output


def _note(stage: Stage, what: ToolAnswered, call: OpenCall) -> None:
    """Keep how it was called and what came of it."""
    stage.do(
        NoteCall(
            {
                "tool_call_id": what.tool_call_id,
                "tool_id": call.tool_id or None,
                "name": call.name,
                "arguments": call.arguments,
                "status": "error" if what.is_error else "success",
                "output": what.output,
                "request": what.request,
                "problem": what.problem,
                "at": call.asked_at,
                "ms": round((stage.now - call.asked_at) * 1000, 1),
            }
        )
    )


def _settle(stage: Stage, *, needs_answer: bool = False) -> None:
    """Go on once nothing is awaited any more."""
    state = stage.state
    if state.turn is not None and needs_answer:
        state.turn.needs_answer = True
    if _is_waiting(stage) or state.thinking is not None:
        return
    stage.forget("tools")
    if state.turn is None:
        if needs_answer:
            ask(stage, "reply")
    elif state.turn.needs_answer:
        state.turn.needs_answer = False
        ask(stage, "reply")
    else:
        end_turn(stage)


def waited_long_enough(stage: Stage) -> None:
    """Go on without the results that are not there yet."""
    waiting = [call for call in stage.state.calls.values() if not call.is_late and not _is_api(stage, call)]
    for id, call in stage.state.calls.items():
        if call in waiting:
            call.is_late = True
            _result(stage, id, NO_RESULT_YET)
    if waiting:
        _settle(stage, needs_answer=any(call.on_resolve == "generate_response" for call in waiting))


def _is_api(stage: Stage, call: OpenCall) -> bool:
    tool = stage.script.tool(call.name)
    return tool is not None and tool.is_api


def _is_waiting(stage: Stage) -> bool:
    return any(not call.is_late and call.on_resolve != "add_to_context" for call in stage.state.calls.values())


def _needs_answer(stage: Stage, wishes: tuple[Wish, ...], *, has_spoken: bool) -> bool:
    """Whether the model has to go on at once: something was refused, or it only told of the conversation itself."""
    ids = {wish.id for wish in wishes}
    refused = any(
        line["content"].startswith("error:")
        for line in stage.lines
        if line["role"] == "tool" and line["tool_call_id"] in ids
    )
    only_own = all(wish.name in OWN for wish in wishes)
    return refused or (only_own and not has_spoken)
