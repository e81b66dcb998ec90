"""Conversations that go on: what happens is stored, told, and done, one step after the other.

The brain (`palace.conversation`) decides; here its commands are carried out. A step is stored before anybody hears of
it (docs/decisions/0025-conversations.md).
"""

from palace.talking.delivering import Deliver
from palace.talking.given import Given
from palace.talking.keeping import logged
from palace.talking.listeners import Listener
from palace.talking.models import ModelOf
from palace.talking.rooms import Gone, Place, Room, Rooms
from palace.talking.thinking import Think

__all__ = ["Deliver", "Given", "Gone", "Listener", "ModelOf", "Place", "Room", "Rooms", "Think", "logged"]
