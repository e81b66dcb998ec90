"""The copies in which an app message goes out, so that clients of every age find theirs (contract 3.4)."""

from collections.abc import Mapping
from typing import Any

Message = Mapping[str, Any]
OLDER = ("conversation.started_speaking", "conversation.stopped_speaking")


def copies(message: Message) -> list[Message]:
    """What is sent for one message. All copies have the `seq` of the message.

    One with the role `pal` goes out again with the role `replica`; beginning and ending to speak go out once more under
    the older names, which have the role in them.
    """
    properties = message.get("properties") or {}
    role = properties.get("role")
    sent = [message]
    if role == "pal":
        sent.append({**message, "properties": {**properties, "role": "replica"}})
    if message["event_type"] in OLDER:
        what = message["event_type"].removeprefix("conversation.")
        older = {name: value for name, value in properties.items() if name != "role"}
        rest = {name: value for name, value in message.items() if name != "properties"}
        speaker = "replica" if role == "pal" else "user"
        named = {**rest, "event_type": f"conversation.{speaker}.{what}"}
        sent.append({**named, "properties": older} if older else named)
    return sent
