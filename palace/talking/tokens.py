"""The tokens that open private conversations: JSON Web Tokens (RFC 7519), signed by a key of the server. Pure."""

from typing import NamedTuple

import jwt

ALGORITHM = "HS256"
NEEDED = ["exp", "conversation_id"]


class Claims(NamedTuple):
    """What a token says: which conversation it opens, and until when, in seconds since 1970."""

    conversation_id: str
    expires_at: float


def meeting_token(key: bytes, conversation_id: str, room: str, begins_at: int, expires_at: int) -> str:
    """A token for one conversation; `room` is its address."""
    said = {"conversation_id": conversation_id, "room": room, "iat": begins_at, "exp": expires_at}
    return jwt.encode(said, key, ALGORITHM)


def read_token(key: bytes, token: str) -> Claims | None:
    """What a token says that this key signed, also when it has expired; None for any other text."""
    try:
        # The time comes in through palace.clock: whether it is over, the caller tells.
        options = {"require": NEEDED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        said = jwt.decode(token, key, [ALGORITHM], options=options)  # type: ignore[arg-type]
        return Claims(str(said["conversation_id"]), float(said["exp"]))
    except (jwt.InvalidTokenError, TypeError, ValueError):
        return None
