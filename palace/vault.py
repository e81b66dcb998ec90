"""Secrets at rest: AES-256-GCM under master keys that lie outside the database.

Each secret is sealed for its place (`kind/id/pointer`), so a ciphertext moved to another row does not open there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palace.files import sync_folder
from palace.ids import Ids

KEY_BYTES = 32
NONCE_BYTES = 12


class VaultError(Exception):
    """The master key is missing, malformed or not the one that sealed the secret."""


class Vault:
    """Seals short texts with the first of its master keys of 32 bytes, and opens what any of them sealed."""

    def __init__(self, master_keys: Sequence[bytes], ids: Ids) -> None:
        if not master_keys or any(len(key) != KEY_BYTES for key in master_keys):
            raise VaultError(f"Every master key must have {KEY_BYTES} bytes, and there must be at least one.")
        self._ciphers = [AESGCM(key) for key in master_keys]
        self._ids = ids

    @property
    def has_older_keys(self) -> bool:
        """Whether it opens what another key sealed than the one that it seals with."""
        return len(self._ciphers) > 1

    def seal(self, secret: str, place: str) -> bytes:
        """Nonce and ciphertext of `secret`; opens only with the same `place`."""
        nonce = self._ids.random_bytes(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The secret again. Raises VaultError when the master key or the place is another one."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode()).decode()
            except (InvalidTag, ValueError):  # ValueError: cut off, so that there is not even a nonce.
                continue
        raise VaultError(f"The secret at {place} does not open: it was sealed with another master key.")


# --- Where master keys come from --------------------------------------------------------------------------------------


def parse_master_keys(text: str) -> tuple[bytes, ...]:
    """Keys of 64 hexadecimal digits, the newest first, with commas or line ends between. Raises VaultError."""
    try:
        keys = tuple(bytes.fromhex(word) for word in text.replace(",", " ").split())
    except ValueError:
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        # Without a cause: the text of the ValueError could show part of a key.
        raise VaultError(f"A master key has {2 * KEY_BYTES} hexadecimal digits; several have commas between.") from None
    return keys


def load_master_keys(path: Path, ids: Ids) -> tuple[bytes, ...]:
    """The keys in `path`, one a line, the newest first; a file with one key and mode 600 is made on first use.

    Raises VaultError when the file cannot be read, cannot be made, or holds something else.
    """
    try:
        descriptor = os.open(path.resolve(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_master_keys(path)
    except OSError as error:
        raise VaultError(f"The master key {path} cannot be made: {error.strerror}.") from error
    key = ids.random_bytes(KEY_BYTES)
    _write(descriptor, (key,))
    sync_folder(path.resolve().parent)
    return (key,)


def read_master_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in `path`, the newest first. Raises VaultError."""
    try:
        return parse_master_keys(path.read_text(encoding="ascii"))
    except OSError as error:
        raise VaultError(f"The master key {path} cannot be read: {error.strerror}.") from error
    except (VaultError, ValueError) as error:
        raise VaultError(f"{path} does not hold a master key of {2 * KEY_BYTES} hexadecimal digits.") from error


def write_master_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Exchange the keys in `path` at one stroke: after a crash there are either the old ones or these.

    The file keeps its owner and is readable by nobody else. Raises VaultError.
    """
    path = path.resolve()  # What a link leads to is exchanged, not the link.
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)
        if os.geteuid() == 0:
            owner = path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _write(descriptor, keys)
        beside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise VaultError(f"The master key {path} cannot be written: {error.strerror}.") from error


def _write(descriptor: int, keys: Sequence[bytes]) -> None:
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("".join(key.hex() + "\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
