"""Whose turn it is: greeting, hearing, thinking, speaking, being interrupted, and what happens in silence."""

import re
from typing import Any

from palace.conversation.commands import AskModel, NoteTurn, Purpose, StopModel
from palace.conversation.events import EchoAsked, ModelAnswered, ModelFailed, ModelSpoke, Said
from palace.conversation.prompt import functions_for, messages_for
from palace.conversation.stage import Stage, uuid_of
from palace.conversation.state import Thinking, Turn

MODEL_SECONDS = 120.0
"""After that long an answer does not come any more; the model's own time limits are shorter."""
MOST_ROUNDS = 6
"""So often the model may call tools in one turn; then it has to speak."""
IDLE_SECONDS = {"patient": 30.0, "eager": 12.0}
IDLE_END_SECONDS = 30.0
MOST_IDLE_TURNS = 2
MODEL_DOWN = "I am sorry, I cannot think of an answer just now. Please say that again in a moment."
A_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff1f\uff01]\s*\S")
QUIET = ("silent", "static_filler")


# --- Hearing ----------------------------------------------------------------------------------------------------------


def said(stage: Stage, what: Said) -> None:
    """A person said something: whatever the PAL is doing, it answers that now."""
    state = stage.state
    interrupt(stage)
    begin_turn(stage)
    state.idle_turns = 0
    state.utterance_id = stage.new_inference()
    stage.utter("user", what.text, state.utterance_id)
    stage.remember("user", what.text)
    if not stage.script.is_echo:
        ask(stage, "reply")


def begin_turn(stage: Stage) -> None:
    """What follows belongs to a new turn."""
    stage.forget("idle")
    stage.state.turn_idx += 1
    stage.state.turn_began = stage.state.seq
    stage.state.turn = Turn(stage.now)


def interrupt(stage: Stage) -> None:
    """Stop what the PAL is thinking and saying; only what it has said stays in its memory (contract 3.6)."""
    state, thinking = stage.state, stage.state.thinking
    for call in state.calls.values():
        call.is_late = True
    stage.forget("tools")
    if thinking is not None:
        stage.do(StopModel(thinking.inference_id))
        stage.forget("model")
        state.thinking = None
        if state.is_speaking:
            speech = thinking.text
            _stream(stage, speech, thinking.inference_id, final=True, interrupted=True)
            stage.utter("pal", speech, thinking.inference_id, interrupted=True)
            stage.remember("assistant", speech, inference_id=thinking.inference_id, interrupted=True)
            _fall_silent(stage, thinking.inference_id, interrupted=True)
    end_turn(stage, interrupted=thinking is not None)


# --- Thinking ---------------------------------------------------------------------------------------------------------


def ask(stage: Stage, purpose: Purpose) -> None:
    """Have the model write what the PAL says next."""
    state, turn = stage.state, stage.state.turn
    if turn is not None and purpose != "filler":
        turn.rounds += 1
        turn.asked_at = turn.asked_at or stage.now
    may_call = purpose == "reply" and (turn is None or turn.rounds <= MOST_ROUNDS)
    inference_id = stage.new_inference()
    state.thinking = Thinking(inference_id, purpose, stage.now)
    stage.wake_in("model", MODEL_SECONDS)
    messages = messages_for(stage.script, state, stage.lines, purpose)
    stage.do(AskModel(inference_id, purpose, messages, functions_for(stage.script, state) if may_call else ()))


def model_spoke(stage: Stage, what: ModelSpoke) -> None:
    """The model has come further: clients see it grow."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return
    thinking.text = what.text
    if thinking.first_token_at is None:
        thinking.first_token_at = stage.now
    if _is_held_back(stage, what.text):
        return
    if not state.is_speaking:
        _begin_speaking(stage, what.inference_id)
    _stream(stage, what.text, what.inference_id)


def _is_held_back(stage: Stage, text: str) -> bool:
    """Where a tool may want the PAL to be quiet, its first sentence waits: it may stand next to a call of that tool."""
    return any(tool.on_call in QUIET for tool in stage.script.tools) and not A_SENTENCE.search(text)


def model_failed(stage: Stage, what: ModelFailed) -> None:
    """No model can answer: the conversation goes on, and everybody is told."""
    state, thinking = stage.state, stage.state.thinking
    if thinking is None or thinking.inference_id != what.inference_id:
        return
    facts = {"reason": what.reason, "problem": what.problem}
    stage.emit("conversation.model_unavailable", facts, inference_id=what.inference_id)
    if thinking.purpose == "filler":
        state.thinking = None
        stage.forget("model")
        return
    if state.is_speaking:
        interrupt(stage)
        return
    state.thinking = None
    stage.forget("model")
    if thinking.purpose != "idle":
        speak(stage, MODEL_DOWN, what.inference_id, is_streamed=False)
    end_turn(stage)


def note_tokens(stage: Stage, what: ModelAnswered) -> None:
    """What an answer cost, and when it came."""
    turn = stage.state.turn
    if turn is not None:
        turn.prompt_tokens += what.prompt_tokens
        turn.completion_tokens += what.completion_tokens
        turn.first_token_at = turn.first_token_at or what.first_token_at or stage.now
        turn.last_token_at = stage.now


# --- Speaking ---------------------------------------------------------------------------------------------------------


def speak(stage: Stage, text: str, inference_id: str, *, is_streamed: bool = True) -> None:
    """The PAL says this, all of it."""
    if not stage.state.is_speaking:
        _begin_speaking(stage, inference_id)
    stage.utter("pal", text, inference_id)
    if is_streamed:
        _stream(stage, text, inference_id, final=True)
    _fall_silent(stage, inference_id)


def say(stage: Stage, text: str, *, is_streamed: bool = False) -> None:
    """The PAL says a line that no model wrote, and remembers that it did."""
    inference_id = stage.new_inference()
    stage.remember("assistant", text, inference_id=inference_id)
    speak(stage, text, inference_id, is_streamed=is_streamed)


def _begin_speaking(stage: Stage, inference_id: str) -> None:
    state = stage.state
    state.is_speaking, state.spoke_at = True, stage.now
    if state.turn is not None and state.turn.first_sentence_at is None:
        state.turn.first_sentence_at = stage.now
    if not stage.script.is_chat:
        stage.emit("conversation.started_speaking", {"role": "pal"}, inference_id=inference_id)


def _fall_silent(stage: Stage, inference_id: str, *, interrupted: bool = False) -> None:
    state = stage.state
    duration = round(stage.now - (state.spoke_at or stage.now), 3)
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
    """Say the text of an echo once its last piece is there (contract 3.3)."""
    state = stage.state
    if not state.echoed and not state.is_speaking:
        interrupt(stage)
    state.echoed += what.text
    if not what.done:
        return
    text, state.echoed = state.echoed, ""
    if text:
        inference_id = uuid_of(what.inference_id) if what.inference_id else stage.new_inference()
        stage.remember("assistant", text, inference_id=inference_id)
        speak(stage, text, inference_id)
    end_turn(stage)


# --- Greeting, silence, and the end of a turn -------------------------------------------------------------------------


def greet(stage: Stage) -> None:
    """Open the conversation, once."""
    state, script = stage.state, stage.script
    if state.was_greeted or script.is_echo:
        return
    state.was_greeted = True
    if script.greeting:
        say(stage, script.greeting)
        end_turn(stage)
    elif script.is_greeting_dynamic:
        ask(stage, "greeting")


def end_turn(stage: Stage, *, interrupted: bool = False) -> None:
    """Nothing more is said by itself, until it has been silent for long."""
    state, turn = stage.state, stage.state.turn
    if turn is not None:
        stage.do(NoteTurn(_ledger(stage, turn, interrupted=interrupted)))
        state.turn = None
    seconds = IDLE_SECONDS.get(stage.script.idle_engagement)
    if state.people and not state.is_over:
        if seconds is not None and state.idle_turns < MOST_IDLE_TURNS:
            stage.wake_in("idle", seconds)
        elif stage.script.ends_when_idle:
            stage.wake_in("idle", IDLE_END_SECONDS)


def _ledger(stage: Stage, turn: Turn, *, interrupted: bool) -> dict[str, Any]:
    """How long after it was received each part of the turn came, in milliseconds; null for what did not."""
    times = {
        "context_built_ms": turn.asked_at,
        "first_token_ms": turn.first_token_at,
        "first_sentence_ms": turn.first_sentence_at,
        "last_token_ms": turn.last_token_at,
        "delivered_ms": stage.now,
    }
    spans = {name: None if at is None else round((at - turn.received_at) * 1000, 1) for name, at in times.items()}
    return {
        "turn_idx": stage.state.turn_idx,
        "received_at": turn.received_at,
        **spans,
        "tools_ms": round(turn.tool_seconds * 1000, 1),
        "rounds": turn.rounds,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "interrupted": interrupted,
    }
