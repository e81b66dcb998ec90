"""Whose turn it is: greeting, hearing, thinking, speaking, being interrupted, and what happens in silence."""

import re
from typing import Any

from palace.conversation.commands import AskModel, NoteTurn, Purpose, StopModel
from palace.conversation.events import EchoAsked, ModelAnswered, ModelFailed, ModelSpoke, Said
from palace.conversation.prompt import NO_RESULT_YET, functions_for, messages_for
from palace.conversation.stage import Stage, uuid_of
from palace.conversation.state import OpenCall, State, Thinking, Turn

MODEL_SECONDS = 120.0
"""After that long an answer does not come any more; the model's own time limits are shorter."""
MOST_ROUNDS = 6
"""So often the model may call tools in one turn; then it has to speak."""
IDLE_SECONDS = {"patient": 30.0, "eager": 12.0}
IDLE_END_SECONDS = 30.0
MOST_IDLE_TURNS = 2
MODEL_DOWN = "I am sorry, I cannot think of an answer just now. Please say that again in a moment."
LONGEST_ECHO = 100_000
"""characters; what pieces bring beyond that is not said"""
A_SENTENCE = re.compile(r"[.!?]\s+\S|[\u2026\u3002\uff1f\uff01]\s*\S")
QUIET = ("silent", "static_filler")


# --- Hearing ----------------------------------------------------------------------------------------------------------


def said(stage: Stage, what: Said) -> None:
    """A person said something: whatever the PAL is doing, it answers that now."""
    state = stage.state
    interrupt(stage)
    _begin_turn(stage)
    stage.forget("absent")
    state.was_greeted = True
    state.idle_turns = 0
    state.utterance_id = stage.new_inference()
    stage.utter("user", what.text, state.utterance_id)
    stage.remember("user", what.text)
    if stage.script.is_echo:
        end_turn(stage)
    else:
        ask(stage, "reply")


def _begin_turn(stage: Stage) -> None:
    """What follows belongs to a new turn."""
    stage.state.turn_idx += 1
    stage.state.turn_began = stage.state.seq
    stage.state.rounds = 0
    stage.state.turn = Turn(stage.now)


def interrupt(stage: Stage) -> None:
    """Stop what the PAL is thinking and saying, and wait for nothing any more."""
    state = stage.state
    if state.thinking is not None:
        stage.do(StopModel(state.thinking.inference_id))
    for id, call in state.calls.items():
        give_up(stage, id, call)
    state.echoed = state.echo_id = ""
    break_off(stage)
    end_turn(stage, interrupted=True)


def give_up(stage: Stage, id: str, call: OpenCall) -> None:
    """Go on without this result; it is taken later."""
    if not call.is_late:
        call.is_late = True
        stage.remember("tool", NO_RESULT_YET, tool_call_id=id)


def break_off(stage: Stage) -> None:
    """What the model writes is not said any further; only what was said stays in the PAL's memory (contract 3.6)."""
    state, thinking = stage.state, stage.state.thinking
    state.thinking = None
    stage.forget("model")
    if thinking is not None and state.is_speaking:
        speech = thinking.text
        _stream(stage, speech, thinking.inference_id, final=True, interrupted=True)
        stage.utter("pal", speech, thinking.inference_id, interrupted=True)
        stage.remember("assistant", speech, inference_id=thinking.inference_id, interrupted=True)
        _fall_silent(stage, thinking.inference_id, interrupted=True)


# --- Thinking ---------------------------------------------------------------------------------------------------------


def ask(stage: Stage, purpose: Purpose) -> None:
    """Have the model write what the PAL says next."""
    state, turn = stage.state, stage.state.turn
    if purpose == "reply":
        state.rounds += 1
    if turn is not None and turn.asked_at is None:
        turn.asked_at = stage.now
    may_call = purpose == "reply" and state.rounds <= MOST_ROUNDS
    inference_id = stage.new_inference()
    state.thinking = Thinking(inference_id, purpose, stage.now, may_call)
    stage.forget("idle")
    stage.wake_in("model", MODEL_SECONDS)
    messages = messages_for(stage.script, state, stage.lines, purpose)
    stage.do(AskModel(inference_id, purpose, messages, functions_for(stage.script, state) if may_call else ()))


def model_spoke(stage: Stage, what: ModelSpoke) -> None:
    """The model has come further: clients see it grow."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return
    thinking.text = what.text.lstrip() or thinking.text
    if thinking.first_token_at is None:
        thinking.first_token_at = stage.now
    if not state.is_speaking:
        if not thinking.text or _is_held_back(stage, thinking):
            return
        _begin_speaking(stage, what.inference_id)
    if A_SENTENCE.search(thinking.text):
        _note_sentence(stage)
    _stream(stage, thinking.text, what.inference_id)


def _is_held_back(stage: Stage, thinking: Thinking) -> bool:
    """Where a tool may want the PAL to be quiet, its first sentence waits: it may stand next to a call of that tool."""
    may_be_quiet = thinking.may_call and any(tool.on_call in QUIET for tool in stage.script.tools)
    return may_be_quiet and not A_SENTENCE.search(thinking.text)


def model_failed(stage: Stage, what: ModelFailed) -> None:
    """No model can answer: the conversation goes on, and everybody is told."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return
    facts = {"reason": what.reason, "problem": what.problem}
    stage.emit("conversation.model_unavailable", facts, inference_id=what.inference_id)
    was_heard = state.is_speaking
    break_off(stage)
    if thinking.purpose == "filler":
        go_on(stage)
        return
    _say_what_waits(stage)
    if thinking.purpose == "reply" and not was_heard:
        say(stage, MODEL_DOWN, inference_id=what.inference_id)
    end_turn(stage, interrupted=was_heard)


def go_on(stage: Stage) -> None:
    """What comes next: words that wait to be said, the results that are missing, an answer to them, or silence."""
    state = stage.state
    if state.thinking is not None:
        return
    _say_what_waits(stage)
    if state.is_waiting:
        return
    stage.forget("tools")
    if state.needs_answer:
        state.needs_answer = False
        note_waiting(stage)
        ask(stage, "reply")
    else:
        end_turn(stage)


def _say_what_waits(stage: Stage) -> None:
    waiting, stage.state.to_say = stage.state.to_say, []
    for text in waiting:
        say(stage, text, is_streamed=True)


def note_waiting(stage: Stage) -> None:
    """Nothing is awaited any more: so long it took."""
    turn = stage.state.turn
    if turn is not None and turn.waiting_since is not None:
        turn.tool_seconds += stage.now - turn.waiting_since
        turn.waiting_since = None


def note_tokens(stage: Stage, what: ModelAnswered, thinking: Thinking) -> None:
    """What an answer cost, and when it came."""
    turn = stage.state.turn
    if turn is not None:
        turn.prompt_tokens += what.prompt_tokens
        turn.completion_tokens += what.completion_tokens
        if what.asked_at is not None and turn.asked_at == thinking.asked_at:
            turn.asked_at = what.asked_at
        turn.first_token_at = turn.first_token_at or what.first_token_at or thinking.first_token_at or stage.now
        turn.last_token_at = stage.now


# --- Speaking ---------------------------------------------------------------------------------------------------------


def speak(stage: Stage, text: str, inference_id: str, *, is_streamed: bool = True) -> None:
    """The PAL says this, all of it."""
    if not stage.state.is_speaking:
        _begin_speaking(stage, inference_id)
    _note_sentence(stage)
    stage.utter("pal", text, inference_id)
    if is_streamed:
        _stream(stage, text, inference_id, final=True)
    _fall_silent(stage, inference_id)


def say(stage: Stage, text: str, *, inference_id: str = "", is_streamed: bool = False) -> None:
    """The PAL says a line that no model wrote, and remembers that it did."""
    inference_id = inference_id or stage.new_inference()
    stage.remember("assistant", text, inference_id=inference_id)
    speak(stage, text, inference_id, is_streamed=is_streamed)


def _begin_speaking(stage: Stage, inference_id: str) -> None:
    state = stage.state
    state.is_speaking, state.spoke_at = True, stage.now
    if not stage.script.is_chat:
        stage.emit("conversation.started_speaking", {"role": "pal"}, inference_id=inference_id)


def _note_sentence(stage: Stage) -> None:
    turn = stage.state.turn
    if turn is not None and turn.first_sentence_at is None:
        turn.first_sentence_at = stage.now


def _fall_silent(stage: Stage, inference_id: str, *, interrupted: bool = False) -> None:
    state = stage.state
    duration = max(0.0, round(stage.now - (state.spoke_at or stage.now), 3))
    state.is_speaking, state.spoke_at = False, None
    if not stage.script.is_chat:
        facts = {"role": "pal", "interrupted": interrupted, "duration": duration}
        stage.emit("conversation.stopped_speaking", facts, inference_id=inference_id)


def _stream(stage: Stage, text: str, inference_id: str, *, final: bool = False, interrupted: bool = False) -> None:
    facts: dict[str, Any] = {
        "role": "pal",
        "speech": text,
        "content_index": 0,
        "final": final,
        "is_interrupted": interrupted,
    }
    stage.emit("conversation.utterance.streaming", facts, inference_id=inference_id, lasts=final)


def echo(stage: Stage, what: EchoAsked) -> None:
    """Say the text of an echo once its last piece is there (contract 3.3); pieces of another one are dropped."""
    state = stage.state
    id = what.inference_id and uuid_of(what.inference_id)
    pieces = state.echoed if id == state.echo_id else ""
    interrupt(stage)
    text = (pieces + what.text)[:LONGEST_ECHO]
    if not what.done:
        state.echoed, state.echo_id = text, id
    elif text:
        say(stage, text, inference_id=id, is_streamed=True)


# --- Greeting, silence, and the end of a turn -------------------------------------------------------------------------


def greet(stage: Stage) -> None:
    """Open the conversation, once; not when a person has opened it already."""
    state, script = stage.state, stage.script
    is_silent = state.was_greeted or script.is_echo
    state.was_greeted = True
    if script.greeting and not is_silent:
        say(stage, script.greeting)
    elif script.is_greeting_dynamic and not is_silent:
        ask(stage, "greeting")
    listen(stage)


def end_turn(stage: Stage, *, interrupted: bool = False) -> None:
    """Nothing more is said by itself, until it has been silent for long."""
    state, turn = stage.state, stage.state.turn
    stage.forget("tools")
    state.needs_answer, state.to_say = False, []
    if turn is not None:
        note_waiting(stage)
        stage.do(NoteTurn(_ledger(stage, turn, interrupted=interrupted)))
        state.turn = None
    listen(stage)


def listen(stage: Stage) -> None:
    """Be told when nobody has said anything for long, as far as that means anything."""
    state, script = stage.state, stage.script
    if not state.people or is_busy(state):
        return
    if is_engaging(stage):
        stage.wake_in("idle", IDLE_SECONDS[script.idle_engagement])
    elif script.ends_when_idle:
        stage.wake_in("idle", IDLE_END_SECONDS)


def is_busy(state: State) -> bool:
    """Whether the PAL is thinking, or waits for a result."""
    return state.thinking is not None or state.turn is not None or state.is_waiting


def is_engaging(stage: Stage) -> bool:
    """Whether the PAL takes up the conversation again when it has been silent."""
    script = stage.script
    return script.idle_engagement in IDLE_SECONDS and not script.is_echo and stage.state.idle_turns < MOST_IDLE_TURNS


def _ledger(stage: Stage, turn: Turn, *, interrupted: bool) -> dict[str, Any]:
    """How long after it was received each part of the turn came, in milliseconds; null for what did not."""
    times = {
        "context_built_ms": turn.asked_at,
        "first_token_ms": turn.first_token_at,
        "first_sentence_ms": turn.first_sentence_at,
        "last_token_ms": turn.last_token_at,
        "delivered_ms": None if interrupted else stage.now,
    }
    spans = {name: None if at is None else round((at - turn.received_at) * 1000, 1) for name, at in times.items()}
    return {
        "turn_idx": stage.state.turn_idx,
        "received_at": turn.received_at,
        **spans,
        "tools_ms": round(turn.tool_seconds * 1000, 1),
        "rounds": stage.state.rounds,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "interrupted": interrupted,
    }
