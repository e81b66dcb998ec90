"""Secrets at rest: AES-256-GCM under a master key that lies outside the database.

Each secret is sealed for its place (`kind/id/pointer`), so a ciphertext moved to another row does not open there.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palace.ids import Ids

KEY_BYTES = 32
NONCE_BYTES = 12


class VaultError(Exception):
    """The master key is missing, malformed or not the one that sealed the secret."""


class Vault:
    """Seals and opens short texts with one master key of 32 bytes."""

    def __init__(self, master_key: bytes, ids: Ids) -> None:
        if len(master_key) != KEY_BYTES:
            raise VaultError(f"The master key must have {KEY_BYTES} bytes, this one has {len(master_key)}.")
        self._cipher = AESGCM(master_key)
        self._ids = ids

    def seal(self, secret: str, place: str) -> bytes:
        """Nonce and ciphertext of `secret`; opens only with the same `place`."""
        nonce = self._ids.random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The secret again. Raises VaultError when the master key or the place is another one."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:  # ValueError: cut off, so that there is not even a nonce.
            raise VaultError(f"The secret at {place} does not open: it was sealed with another master key.") from error


def load_master_key(path: Path, ids: Ids) -> bytes:
    """The key in `path` (64 hexadecimal digits, mode 600), made there on first use."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        try:
            return bytes.fromhex(path.read_text(encoding="ascii").strip())
        except ValueError as error:
            raise VaultError(f"{path} does not hold a master key of {2 * KEY_BYTES} hexadecimal digits.") from error
    key = ids.random_bytes(KEY_BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key
