"""Callbacks: what is told to an address that a client named, signed as the Standard Webhooks specification says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from palace.webhooks.bodies import (
    MessageType,
    body_of,
    envelope,
    face_trained,
)
from palace.webhooks.keyring import Keyring, read_keyring, rotate_keyring
from palace.webhooks.queue import Callback, call_back
from palace.webhooks.sender import keep_delivering

__all__ = [
    "Callback",
    "Keyring",
    "MessageType",
    "body_of",
    "call_back",
    "envelope",
    "face_trained",
    "keep_delivering",
    "read_keyring",
    "rotate_keyring",
]
