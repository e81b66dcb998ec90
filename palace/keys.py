"""API keys: `palace_`, 30 random characters and a checksum of 6, so that a typo or a scanner's find is told offline.

A key is shown once, when it is made; what is kept is its SHA-256 (a key has 178 bits of randomness, so no salt or
slow hash is needed to protect it).
"""

import hashlib
import re
import string
import zlib

from palace.ids import Ids

PREFIX = "palace_"
SECRET_CHARACTERS = 30
CHECKSUM_CHARACTERS = 6
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
HINT_CHARACTERS = 4
OWN_KEY_MIN_CHARACTERS = 8
OWN_KEY_MAX_CHARACTERS = 256
_OWN_KEY = re.compile(rf"[\x21-\x7e]{{{OWN_KEY_MIN_CHARACTERS},{OWN_KEY_MAX_CHARACTERS}}}")


def new_key(ids: Ids) -> str:
    """A fresh key such as `palace_…` with 43 characters in all."""
    number = int.from_bytes(ids.random_bytes(32))
    secret = _base62(number, SECRET_CHARACTERS)
    return PREFIX + secret + checksum(secret)


def checksum(secret: str) -> str:
    """CRC-32 of the random part in base 62, six characters: it finds typos, it proves nothing."""
    return _base62(zlib.crc32(secret.encode()), CHECKSUM_CHARACTERS)


def is_well_formed(key: str) -> bool:
    """Whether `key` has the shape of a key made here and its checksum fits; no database is asked."""
    secret, check = key[len(PREFIX) : -CHECKSUM_CHARACTERS], key[-CHECKSUM_CHARACTERS:]
    return key.startswith(PREFIX) and len(secret) == SECRET_CHARACTERS and checksum(secret) == check


def problem_with_own_key(key: str) -> str | None:
    """Why `key` cannot be used as a key that an operator brings along, or None when it can."""
    if not _OWN_KEY.fullmatch(key):
        return (
            f"it must be {OWN_KEY_MIN_CHARACTERS} to {OWN_KEY_MAX_CHARACTERS} visible ASCII characters without spaces"
        )
    if key.startswith(PREFIX) and not is_well_formed(key):
        return "it looks like a Palace key, but its checksum does not fit: is a character missing or mistyped?"
    return None


def digest(key: str) -> bytes:
    """SHA-256 of the key: what is stored, and what a request's key is looked up by."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def hint(key: str) -> str:
    """The last characters of a key, enough for a person to tell their keys apart in a list."""
    return "…" + key[-HINT_CHARACTERS:]


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))
