"""The operations by which people talk over plain HTTP; they are this server's own (docs/howto/talk.md)."""

from typing import Any

from palace.resource import Endpoint, Parameter
from palace.resources.conversations.speaking import (
    Spoken,
    hear_events,
    last_turn,
    list_messages,
    respond,
    send_message,
)

INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["event_type"],
    "properties": {"message_type": TEXT, "event_type": TEXT, "properties": {"type": "object"}},
}
MESSAGES: dict[str, Any] = {"type": "array", "items": MESSAGE}
TURN: dict[str, Any] = {
    "title": "conversationTurn",
    "type": "object",
    "required": ["conversation_id", "turn_idx", "status", "text", "tool_calls", "messages", "conversation_status"],
    "properties": {
        "conversation_id": TEXT,
        "turn_idx": INTEGER,
        "status": {"enum": ["ready", "pending", "waiting_for_tool_result"]},
        "text": {**TEXT, "description": "All that the PAL said in the turn."},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "messages": MESSAGES,
        "conversation_status": {"enum": ["active", "ended"]},
    },
}
PAGE: dict[str, Any] = {
    "title": "conversationMessages",
    "type": "object",
    "required": ["data", "seq", "status"],
    "properties": {"data": MESSAGES, "seq": INTEGER, "status": {"enum": ["active", "ended"]}},
}
SENT: dict[str, Any] = {
    "title": "sentMessage",
    "type": "object",
    "required": ["seq"],
    "properties": {"seq": {**INTEGER, "description": "The number of the newest app message."}},
}
ENDED = "What was sent is not valid, the conversation has ended, or `Invalid conversation_id`."
AFTER = Parameter("after", INTEGER, "The number (`seq`) of the newest message that is known already.")
OWN = ("An operation of this server's own: the published service talks through its media rooms only.",)

TALKING = (
    Endpoint(
        "POST",
        "/{id}/respond",
        "respondToConversation",
        "Say something and hear the answer",
        "What is said counts as said by a person, who comes in with the first word. The answer is the PAL's turn; when "
        "it takes longer than `timeout_s`, `status` is `pending`, and GET on the same path tells the rest. With the "
        "header `Accept: text/event-stream` the app messages of the turn come as they are written, as server-sent "
        "events with their `seq` as id, and at last the turn, as the event `turn`.",
        respond,
        answers={200: "The PAL's turn.", 400: ENDED},
        body="object",
        body_schema=Spoken.model_json_schema(),
        answer_schema=TURN,
        streams="asked",
        examples={"a question": {"text": "Is there a room for Friday?"}},
        differs=(
            "An older client of the published service posted `{text, timeout_s}` here and asked with GET until "
            "`status` was `ready`; this works, and POST waits for the answer by itself.",
        ),
    ),
    Endpoint(
        "GET",
        "/{id}/respond",
        "getConversationTurn",
        "Hear the newest turn",
        "The newest turn, at once or, with `timeout_s`, as soon as it is over.",
        last_turn,
        answers={200: "The newest turn.", 400: "`Invalid conversation_id`: unknown, or not yours."},
        parameters=(Parameter("timeout_s", INTEGER, "How many seconds to wait for its end; 25 at most."),),
        answer_schema=TURN,
    ),
    Endpoint(
        "GET",
        "/{id}/events",
        "hearConversation",
        "Hear what happens",
        "The app messages behind a number, or from now on, as server-sent events while they happen; the id of each is "
        "its `seq`. The header `Last-Event-ID` counts as `after`. The stream ends with the conversation.",
        hear_events,
        answers={
            200: "App messages, as events.",
            204: "The conversation has ended, and nothing is left to be told.",
            400: "`Invalid conversation_id`: unknown, or not yours; or `after` is no number.",
        },
        parameters=(AFTER,),
        streams="always",
        answer_schema=TEXT,
        differs=OWN,
    ),
    Endpoint(
        "POST",
        "/{id}/messages",
        "sendConversationMessage",
        "Send an app message",
        "Any of the published app messages from clients: `conversation.respond`, `conversation.tool_result`, "
        "`conversation.interrupt` and so on.",
        send_message,
        answers={200: "It has happened.", 400: ENDED},
        body="object",
        body_schema=MESSAGE,
        answer_schema=SENT,
        examples={
            "the result of a tool": {
                "event_type": "conversation.tool_result",
                "properties": {"tool_call_id": "call_1", "output": "Two rooms are free."},
            }
        },
        differs=OWN,
    ),
    Endpoint(
        "GET",
        "/{id}/messages",
        "listConversationMessages",
        "List app messages",
        "The app messages behind a number, in order: all that clients in the conversation were sent.",
        list_messages,
        answers={200: "App messages.", 400: "`Invalid conversation_id`: unknown, or not yours."},
        parameters=(AFTER,),
        answer_schema=PAGE,
        differs=OWN,
    ),
)
