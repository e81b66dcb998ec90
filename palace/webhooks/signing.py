"""Secrets and signatures of the Standard Webhooks specification. Pure."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

PREFIX = "whsec_"
KEY_BYTES = 32
"""The specification wants 24 to 64."""


def secret_of(key: bytes) -> str:
    """The secret as people and libraries know it."""
    return PREFIX + b64encode(key).decode("ascii")


def signature(secret: str, id: str, seconds: int, body: bytes) -> str:
    """HMAC-SHA256 of `id.seconds.body`, as it stands in the header."""
    key = b64decode(secret.removeprefix(PREFIX))
    return "v1," + b64encode(hmac.digest(key, b"%b.%d.%b" % (id.encode(), seconds, body), sha256)).decode("ascii")


def signed_headers(secrets: Sequence[str], id: str, seconds: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """The headers of one attempt: `id` stays the same over all of them, `seconds` since 1970 is when this one is made.

    There is a signature for each secret; who verifies is content with one.
    """
    return (
        ("webhook-id", id),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", " ".join(signature(secret, id, seconds, body) for secret in secrets)),
    )
