"""Conversations that go on: what happens is stored, told, and done, one step after the other.

The brain (`palace.conversation`) decides; here its commands are carried out. A step is stored before anybody hears of
it (docs/decisions/0025-conversations.md).
"""

from palace.talking.delivering import Deliver
from palace.talking.given import Given
from palace.talking.keeping import logged
from palace.talking.listeners import Listener
from palace.talking.models import Models
from palace.talking.rooms import BY_HTTP, Gone, Place, Room, Rooms
from palace.talking.thinking import Think

__all__ = ["BY_HTTP", "Deliver", "Given", "Gone", "Listener", "Models", "Place", "Room", "Rooms", "Think", "logged"]
