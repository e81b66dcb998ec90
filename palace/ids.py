"""The one door for ids and randomness: everything else is banned from making its own."""

import secrets


class Ids:
    """Unpredictable ids from the operating system's randomness."""

    def new(self, prefix: str, hex_digits: int) -> str:
        """`prefix` and `hex_digits` random hexadecimal digits: `p` and 11 make a PAL's id (contract 1.6)."""
        return prefix + secrets.token_hex((hex_digits + 1) // 2)[:hex_digits]

    def random_bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes, good enough for keys."""
        return secrets.token_bytes(count)
