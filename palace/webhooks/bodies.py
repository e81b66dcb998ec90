"""What callbacks say: the envelope of conversations, and the bodies that have forms of their own. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

MessageType = Literal["system", "application", "canvas", "conversation"]
Body = dict[str, Any]


def envelope(
    event_type: str,
    message_type: MessageType,
    properties: Mapping[str, Any],
    *,
    conversation_id: str,
    url: str,
    timestamp: str,
) -> Body:
    """What the `callback_url` of a conversation is told (contract 4.1). `url` is that very URL, with its query."""
    return {
        "properties": dict(properties),
        "conversation_id": conversation_id,
        "webhook_url": url,
        "event_type": event_type,
        "message_type": message_type,
        "timestamp": timestamp,
    }


def objective_completed(conversation_id: str, objective_name: str, output_variables: Mapping[str, Any]) -> Body:
    """What the `callback_url` of an objective is told (contract 4.3)."""
    return {
        "conversation_id": conversation_id,
        "objective_name": objective_name,
        "output_variables": dict(output_variables),
    }


def guardrail_hit(conversation_id: str, guardrail: str, guardrail_uuid: str) -> Body:
    """What the `callback_url` of a guardrail is told."""
    return {
        "conversation_id": conversation_id,
        "properties": {"guardrail": guardrail, "guardrail_uuid": guardrail_uuid},
    }


def face_trained(face_id: str, problem: str | None) -> Body:
    """What the `callback_url` of a face is told when its training ends: well, or with a problem.

    The id is that of the face, under its older name, which is the published one.
    """
    return {"replica_id": face_id, "status": "error" if problem else "ready", "error_message": problem}


def document_told(document_id: str, document_name: str, status: str, error_message: str | None) -> Body:
    """What the `callback_url` of a document is told whenever its status changes. Its form is our own choice."""
    return {
        "document_id": document_id,
        "document_name": document_name,
        "status": status,
        "error_message": error_message,
    }


def body_of(said: Mapping[str, Any]) -> bytes:
    """The bytes that are stored, signed and sent."""
    return orjson.dumps(said)
