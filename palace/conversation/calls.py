"""The tools that the model calls, when their results count, and what the PAL says about it (contract 5)."""

from collections.abc import Iterator
from dataclasses import replace

from palace.conversation.commands import CallTool, NoteCall
from palace.conversation.events import ModelAnswered, ToolAnswered, Wish
from palace.conversation.foreign import object_of
from palace.conversation.objectives import complete, touch
from palace.conversation.prompt import COMPLETE_OBJECTIVE, END_CALL, LATE, is_own
from palace.conversation.script import Tool
from palace.conversation.stage import Stage
from palace.conversation.state import OpenCall
from palace.conversation.turns import QUIET, ask, end_turn, give_up, go_on, note_tokens, note_waiting, speak

SOFT_SECONDS = 8.0
"""So long the PAL waits for results of tools that the client answers; then it goes on, and takes them later."""
ADDRESS_SECONDS = 150.0
"""So long a result over HTTPS may take: an address has 60 seconds, twice. Then whoever made the call is gone."""
MOST_CALLS = 8
"""in one round"""
MOST_OPEN = 64
"""calls that have no result; the oldest falls out of the context then"""
LONGEST_ID = 40
"""of a call, in OpenAI's form"""
DISPATCHED = "The call was dispatched; its result is not awaited."
TOO_MANY = f"error: not carried out, because {MOST_CALLS} calls at once are the most."
NOT_AN_OBJECT = "error: the arguments are not a JSON object. Call it again with one."
ENDED_BY_PAL = "end_call_tool"


def model_answered(stage: Stage, what: ModelAnswered) -> str:
    """The model is done: the PAL says what it wrote, and calls what it wants called. Returns why to end, if it must."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return ""
    state.thinking = None
    stage.forget("model")
    note_tokens(stage, what, thinking)
    text = what.text.strip() or (thinking.text.strip() if state.is_speaking else "")
    if what.wishes and thinking.may_call:
        return _take(stage, text, what)
    if text:
        stage.remember("assistant", text, inference_id=what.inference_id)
        speak(stage, text, what.inference_id)
    go_on(stage)
    return ""


def _take(stage: Stage, text: str, what: ModelAnswered) -> str:
    """Carry out what the model wishes, as far as the tools' settings say, and go on when nothing is awaited."""
    state, script = stage.state, stage.script
    wishes = list(_with_ids(stage, what.wishes))
    called = [tool for wish in wishes if not is_own(script, wish.name) and (tool := script.tool(wish.name)) is not None]
    text = _spoken_beside(called, text, was_heard=state.is_speaking)
    rows = [{"id": wish.id, "name": wish.name, "arguments": wish.arguments} for wish in wishes]
    stage.remember("assistant", text, inference_id=what.inference_id, tool_calls=rows)
    if text:
        speak(stage, text, what.inference_id)
    for number, wish in enumerate(wishes):
        told = _carry_out(stage, wish) if number < MOST_CALLS else TOO_MANY
        if told:
            stage.remember("tool", told, tool_call_id=wish.id)
        if told.startswith("error:") or (is_own(script, wish.name) and not text):
            state.needs_answer = True
    if any(wish.name == END_CALL for wish in wishes[:MOST_CALLS]):
        end_turn(stage)
        return ENDED_BY_PAL
    if state.is_waiting and state.turn is not None:
        state.turn.waiting_since = stage.now
    is_silent = not text and (state.is_waiting or not state.needs_answer)
    if is_silent and any(tool.on_call == "generate_filler" for tool in called):
        ask(stage, "filler")
    else:
        go_on(stage)
    return ""


def _with_ids(stage: Stage, wishes: tuple[Wish, ...]) -> Iterator[Wish]:
    """Each call under an id of its own: models leave them out, or give the same one again."""
    taken = {call["id"] for line in stage.lines for call in line.get("tool_calls", ())}
    for wish in wishes:
        is_good = wish.id and wish.id not in taken and len(wish.id) <= LONGEST_ID and not wish.id.endswith(LATE)
        id = wish.id if is_good else "call_" + stage.new_inference().replace("-", "")
        taken.add(id)
        yield replace(wish, id=id)


def _spoken_beside(tools: list[Tool], text: str, *, was_heard: bool) -> str:
    """What the PAL says next to its calls: what people have heard was said, whatever the tools want."""
    if was_heard or not tools:
        return text
    fixed = next((tool.static_filler for tool in tools if tool.on_call == "static_filler"), "")
    return fixed if any(tool.on_call in QUIET for tool in tools) else text


def _carry_out(stage: Stage, wish: Wish) -> str:
    """Make a call. Returns what the model is told at once, nothing when the result is still to come."""
    tool, arguments = stage.script.tool(wish.name), object_of(wish.arguments)
    if wish.name == END_CALL:
        _tell(stage, replace(wish, arguments="{}"))
        return "The call ends."
    if tool is None and not is_own(stage.script, wish.name):
        return f"error: there is no tool {wish.name[:100]!r}."
    if arguments is None:
        return NOT_AN_OBJECT
    if tool is None:
        return (complete if wish.name == COMPLETE_OBJECTIVE else touch)(stage, arguments)
    is_forgotten = tool.on_resolve == "fire_and_forget"
    if tool.is_api:
        stage.do(CallTool(wish.id, tool.tool_id, arguments))
        stage.wake_in("calls", ADDRESS_SECONDS)
    else:
        _tell(stage, wish)
        if not is_forgotten and tool.on_resolve != "add_to_context":
            stage.wake_in("tools", SOFT_SECONDS)
    if tool.is_api or not is_forgotten:
        calls = stage.state.calls
        calls[wish.id] = OpenCall(wish.name, stage.now, tool.on_resolve, tool.tool_id, wish.arguments, is_forgotten)
        while len(calls) > MOST_OPEN:
            del calls[next(iter(calls))]
    return DISPATCHED if is_forgotten else ""


def _tell(stage: Stage, wish: Wish) -> None:
    """Have the client make a call."""
    facts = {"name": wish.name, "arguments": wish.arguments or "{}", "tool_call_id": wish.id}
    stage.emit("conversation.tool_call", facts, inference_id=stage.state.utterance_id)


# --- Results ----------------------------------------------------------------------------------------------------------


def tool_answered(stage: Stage, *answers: ToolAnswered) -> None:
    """Results have come. What the PAL does with one is up to its tool; one that nobody asked for is dropped."""
    state = stage.state
    is_news = False
    for what in answers:
        call = state.calls.get(what.tool_call_id)
        if call is None or (what.by_client and _is_api(stage, call)):
            continue
        del state.calls[what.tool_call_id]
        _note(stage, what, call)
        if call.on_resolve == "fire_and_forget":
            continue
        text = f"error: {what.output}" if what.is_error else what.output
        stage.remember("tool", text, tool_call_id=what.tool_call_id + (LATE if call.is_late else ""))
        if what.is_error or call.on_resolve == "generate_response":
            state.needs_answer = is_news = True
        elif call.on_resolve == "response_in_result":
            state.to_say += [what.output] if what.output.strip() else []
            is_news = True
    if not any(_is_api(stage, call) for call in state.calls.values()):
        stage.forget("calls")
    if not state.is_waiting:
        note_waiting(stage)
    if is_news:
        go_on(stage)


def has_calls_out(stage: Stage) -> bool:
    """Whether the server has to bring the result of a call."""
    return any(_is_api(stage, call) for call in stage.state.calls.values())


def fail_calls(stage: Stage, problem: str) -> None:
    """No call over HTTPS gets a result any more."""
    ids = [id for id, call in stage.state.calls.items() if _is_api(stage, call)]
    tool_answered(stage, *(ToolAnswered(id, problem, is_error=True) for id in ids))


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


def waited_long_enough(stage: Stage) -> None:
    """Go on without the results that clients have not sent yet."""
    for id, call in stage.state.calls.items():
        if not call.is_late and call.on_resolve != "add_to_context" and not _is_api(stage, call):
            give_up(stage, id, call)
            stage.state.needs_answer = True
    if not stage.state.is_waiting:
        note_waiting(stage)
    go_on(stage)


def _is_api(stage: Stage, call: OpenCall) -> bool:
    tool = stage.script.tool(call.name)
    return tool is not None and tool.is_api
