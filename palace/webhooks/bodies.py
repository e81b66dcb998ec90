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


def face_trained(face_id: str, problem: str | None) -> Body:
    """What the `callback_url` of a face is told when its training ends: well, or with a problem.

    The id is that of the face, under its older name, which is the published one.
    """
    return {"replica_id": face_id, "status": "error" if problem else "ready", "error_message": problem}


def body_of(said: Mapping[str, Any]) -> bytes:
    """The bytes that are stored, signed and sent."""
    return orjson.dumps(said)
