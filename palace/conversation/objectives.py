"""What the PAL is to reach, step by step, and what it is never to do (contract 3.4, 4.3)."""

from typing import Any

from palace.conversation.commands import CallBack
from palace.conversation.script import Objective
from palace.conversation.stage import Stage

TAKEN = "Noted. Go on talking."
PENDING = "Noted; a person still has to confirm it. Go on talking."


def activate(stage: Stage, objective: Objective | None) -> None:
    """This is what the PAL is to reach from now on; None when everything is reached."""
    stage.state.objective = objective.name if objective else None
    if objective is not None:
        stage.emit("conversation.objective.activated", {"objective_name": objective.name})


def complete(stage: Stage, arguments: dict[str, Any]) -> str:
    """The model thinks that the present objective is reached. Returns what it is told."""
    state = stage.state
    objective = stage.script.objective(state.objective)
    if objective is None or state.pending is not None:
        return "error: no objective is open."
    given = arguments.get("output_variables") or {}
    known = given if isinstance(given, dict) else {}
    missing = [name for name in objective.variables if known.get(name) in (None, "")]
    if missing:
        return f"error: {objective.name} is not reached yet; find out: {', '.join(missing)}."
    follows = objective.next
    if objective.next_if:
        follows = next((name for name in objective.next_if if name == arguments.get("next")), None)
        if follows is None:
            return f"error: next must be one of: {', '.join(objective.next_if)}."
    variables = {name: known[name] for name in objective.variables}
    if objective.is_manual:
        state.pending = {"output_variables": variables, "next": follows}
        facts = {"objective_name": objective.name, "output_variables": variables}
        stage.emit("conversation.objective.pending", facts)
        return PENDING
    _reach(stage, objective, variables, follows)
    return TAKEN


def confirm(stage: Stage, name: str) -> None:
    """A person confirmed the objective that is pending; another name changes nothing."""
    state = stage.state
    objective = stage.script.objective(state.objective)
    if objective is None or state.pending is None or name not in ("", objective.name):
        return
    pending, state.pending = state.pending, None
    _reach(stage, objective, pending["output_variables"], pending["next"])


def _reach(stage: Stage, objective: Objective, variables: dict[str, Any], follows: str | None) -> None:
    facts = {"objective_name": objective.name, "output_variables": variables}
    stage.state.reached[objective.name] = variables
    stage.emit("conversation.objective.completed", facts)
    if objective.callback_url:
        body = {"event_type": "conversation.objective.completed", "message_type": "conversation", **facts}
        body["conversation_id"] = stage.script.conversation_id
        stage.do(CallBack(objective.callback_url, {**body, "properties": facts}))
    activate(stage, stage.script.objective(follows))


def touch(stage: Stage, arguments: dict[str, Any]) -> str:
    """The model noticed that a guardrail is touched. Returns what it is told."""
    name = arguments.get("guardrail_name")
    guardrail = next((one for one in stage.script.guardrails if one.name == name), None)
    if guardrail is None:
        return f"error: there is no guardrail {str(name)[:100]!r}."
    reason = str(arguments.get("reason") or "")
    facts = {
        "guardrail": guardrail.name,
        "guardrail_name": guardrail.name,
        "guardrail_uuid": guardrail.id,
        "reason": reason,
    }
    if guardrail.is_told:
        stage.emit("conversation.guardrail.triggered", facts)
    if guardrail.callback_url:
        body = {"event_type": "conversation.guardrail.triggered", "message_type": "conversation"}
        body["conversation_id"] = stage.script.conversation_id
        facts = {"guardrail": guardrail.name, "guardrail_uuid": guardrail.id, "reason": reason}
        stage.do(CallBack(guardrail.callback_url, {**body, "properties": facts}))
    return f"Noted. Keep to it: {guardrail.prompt}"
