"""One event at a time: what a conversation makes of it."""

from palace.conversation.calls import fail_calls, has_calls_out, model_answered, tool_answered, waited_long_enough
from palace.conversation.commands import Close, Command, Report, StopModel
from palace.conversation.events import (
    AtWork,
    ContextAdded,
    ContextReplaced,
    EchoAsked,
    EndAsked,
    Event,
    InterruptAsked,
    Joined,
    Left,
    Lost,
    LostTouch,
    ModelAnswered,
    ModelFailed,
    ModelSpoke,
    ObjectiveConfirmed,
    Said,
    SensitivitySet,
    TimeCame,
    ToolAnswered,
)
from palace.conversation.foreign import cleaned
from palace.conversation.objectives import activate, confirm
from palace.conversation.prompt import BETWEEN_PARTS
from palace.conversation.script import Script
from palace.conversation.stage import Stage
from palace.conversation.state import Line, State
from palace.conversation.turns import (
    ask,
    break_off,
    echo,
    go_on,
    greet,
    interrupt,
    is_busy,
    is_engaging,
    listen,
    model_failed,
    model_spoke,
    said,
)

MAX_CALL = "max_call_duration reached"
LEFT = "participant_left_timeout reached"
ABSENT = "participant_absent_timeout reached"
IDLE = "idle_end_behavior reached"
TOO_SLOW = "The model did not finish in time."
NO_ANSWER = "No answer came in time: nobody knows whether the call was carried out."
MOST_ADDED = 100_000
"""characters of context that clients have added; beyond that, the oldest pieces are forgotten"""
AWAY = "away "
"""With the person's name behind it: the timer of somebody who may have left."""
UNKNOWN_OUTCOME = "The server was stopped meanwhile: nobody knows whether the call was carried out."


def opened(script: Script, at: float) -> tuple[State, list[Line], list[Command]]:
    """A conversation that has just been created: the PAL is there and waits for people."""
    state = State()
    lines: list[Line] = []
    stage = Stage(script, state, lines, at)
    prompt = "\n\n".join(part for part in (script.prompt, script.context) if part.strip())
    if prompt:
        stage.remember("system", prompt)
    for timer, seconds in (("call", script.max_call_seconds), ("absent", script.absent_seconds)):
        if seconds > 0:
            stage.wake_in(timer, seconds)
    _tell_twice(stage, "joined")
    for name, member in (("replica", "replica_id"), ("pal", "face_id")):
        stage.do(Report(f"system.{name}_joined", "system", {member: script.face_id}))
    return state, lines, stage.commands


def react(script: Script, state: State, lines: list[Line], event: Event) -> list[Command]:
    """What is to be done about an event. `state` and `lines` are changed; after the end nothing happens any more."""
    if state.is_over:
        return []
    stage = Stage(script, state, lines, event.at)
    what = cleaned(event.what)
    match what:
        case Joined():
            _joined(stage, what)
        case Left():
            _left(stage, what)
        case LostTouch():
            if what.participant in state.people:
                stage.wake_in(AWAY + what.participant, what.seconds)
        case Said():
            said(stage, what)
        case EchoAsked():
            echo(stage, what)
        case InterruptAsked():
            interrupt(stage)
        case ContextReplaced():
            state.context, state.added = what.context[:MOST_ADDED], []
        case ContextAdded():
            _add_context(stage, what)
        case SensitivitySet():
            state.pause_sensitivity = what.pause or state.pause_sensitivity
            state.interrupt_sensitivity = what.interrupt or state.interrupt_sensitivity
        case ToolAnswered():
            tool_answered(stage, what)
        case ObjectiveConfirmed():
            confirm(stage, what.objective_name)
        case ModelSpoke():
            model_spoke(stage, what)
        case ModelAnswered():
            reason = model_answered(stage, what)
            if reason:
                end(stage, reason)
        case ModelFailed():
            model_failed(stage, what)
        case Lost():
            _lost(stage)
        case AtWork():
            _at_work(stage, what.seconds)
        case TimeCame():
            _time_came(stage, what.timer)
        case EndAsked():
            end(stage, what.reason)
    return stage.commands


# --- Coming and going -------------------------------------------------------------------------------------------------


def _joined(stage: Stage, what: Joined) -> None:
    """A person is there, unless so many are as may be (contract 13.4); one who was away is back."""
    state, most = stage.state, stage.script.most_people
    stage.forget(AWAY + what.participant)
    if what.participant in state.people or (most and len(state.people) >= most):
        return
    state.people.append(what.participant)
    stage.forget("left", "absent")
    if not state.was_joined:
        state.was_joined = True
        if not stage.script.is_echo:
            activate(stage, stage.script.first_objective)
        greet(stage)
    elif len(state.people) == 1:
        listen(stage)


def _left(stage: Stage, what: Left) -> None:
    state = stage.state
    if what.participant not in state.people:
        return
    state.people.remove(what.participant)
    stage.forget(AWAY + what.participant)
    if not state.people:
        stage.forget("idle")
        if stage.script.left_seconds <= 0:
            end(stage, LEFT)
        else:
            stage.wake_in("left", stage.script.left_seconds)


def _add_context(stage: Stage, what: ContextAdded) -> None:
    """One more piece of context. That a job is completed is news: the PAL tells it as soon as it is free."""
    state = stage.state
    state.added = _newest([*state.added, what.context])
    if what.job_status == "completed" and state.people and not stage.script.is_echo:
        state.needs_answer = True
        go_on(stage)


def _newest(pieces: list[str]) -> list[str]:
    """The newest pieces of context that are MOST_ADDED together: the state is written anew with each step."""
    kept: list[str] = []
    room = MOST_ADDED
    for piece in reversed(pieces):
        room -= len(piece) + len(BETWEEN_PARTS)
        if room < 0 and kept:
            break
        kept.append(piece[:MOST_ADDED])
    return kept[::-1]


# --- Time -------------------------------------------------------------------------------------------------------------


def _time_came(stage: Stage, timer: str) -> None:
    """A timer that was set is over; one that was forgotten meanwhile means nothing."""
    state = stage.state
    due = state.timers.get(timer)
    if due is None or due > stage.now:
        return
    stage.forget(timer)
    match timer:
        case "call":
            end(stage, MAX_CALL)
        case "absent":
            end(stage, ABSENT)
        case "left":
            end(stage, LEFT)
        case "tools":
            waited_long_enough(stage)
        case "model":
            if state.thinking is not None:
                stage.do(StopModel(state.thinking.inference_id))
                model_failed(stage, ModelFailed(state.thinking.inference_id, "timeout", TOO_SLOW))
        case "calls":
            fail_calls(stage, NO_ANSWER)
        case "work":
            if state.thinking is not None:  # Whoever is only slow is still at it.
                stage.do(StopModel(state.thinking.inference_id))
            _lost(stage)
        case "idle":
            _silent_for_long(stage)
        case _ if timer.startswith(AWAY):
            _left(stage, Left(timer.removeprefix(AWAY)))


def _silent_for_long(stage: Stage) -> None:
    state = stage.state
    if is_busy(state) or not state.people:
        return
    if is_engaging(stage):
        state.idle_turns += 1
        ask(stage, "idle")
    elif stage.script.ends_when_idle:
        end(stage, IDLE)


def _at_work(stage: Stage, seconds: float) -> None:
    """What is under way is being carried out, as far as something is."""
    if stage.state.thinking is not None or has_calls_out(stage):
        stage.wake_in("work", seconds)
    else:
        stage.forget("work")


def _lost(stage: Stage) -> None:
    """Whoever was at work is gone: what was thought is thought anew, and calls that were on their way are unknown."""
    state, thinking = stage.state, stage.state.thinking
    break_off(stage)
    if thinking is not None and thinking.purpose == "reply":
        state.rounds -= 1  # It is the same round that is thought anew.
    fail_calls(stage, UNKNOWN_OUTCOME)
    if thinking is None or state.thinking is not None:
        return
    if thinking.purpose == "filler":
        go_on(stage)
    else:
        ask(stage, thinking.purpose)


# --- The end ----------------------------------------------------------------------------------------------------------


def end(stage: Stage, reason: str) -> None:
    """It is over: everybody is told, and then nothing happens any more."""
    state, script = stage.state, stage.script
    interrupt(stage)
    state.status, state.shutdown_reason = "ended", reason
    state.timers.clear()
    state.calls.clear()
    state.people.clear()
    stage.emit("system.shutdown", {"shutdown_reason": reason, "reason": reason}, in_turn=False)
    both = {"replica_id": script.face_id, "face_id": script.face_id}
    stage.do(Report("system.shutdown", "system", {**both, "shutdown_reason": reason, "reason": reason}))
    stage.do(Report("application.transcription_ready", "application", {**both, "transcript": list(stage.lines)}))
    stage.do(Close(reason))


def _tell_twice(stage: Stage, what: str) -> None:
    """That the PAL is there, in both vocabularies."""
    stage.emit(f"system.replica_{what}", {"replica_id": stage.script.face_id}, in_turn=False)
    stage.emit(f"system.pal_{what}", {"face_id": stage.script.face_id}, in_turn=False)
