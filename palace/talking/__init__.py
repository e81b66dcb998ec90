"""Conversations that go on: what happens is stored, told, and done, one step after the other.

The brain (`palace.conversation`) decides; here its commands are carried out. A step is stored before anybody hears of
it (docs/decisions/0032-where-a-conversation-lives.md).
"""

from palace.talking.delivering import Deliver
from palace.talking.given import Given, Place
from palace.talking.keeping import keep
from palace.talking.listeners import Listener, Message
from palace.talking.models import ModelOf
from palace.talking.room import Damaged, Gone, Room
from palace.talking.rooms import BY_HTTP, POST_CALL, Also, Rooms
from palace.talking.seeing import Seeing
from palace.talking.thinking import Think
from palace.talking.waking import Waking

__all__ = [
    "BY_HTTP",
    "POST_CALL",
    "Also",
    "Damaged",
    "Deliver",
    "Given",
    "Gone",
    "Listener",
    "Message",
    "ModelOf",
    "Place",
    "Room",
    "Rooms",
    "Seeing",
    "Think",
    "Waking",
    "keep",
]
