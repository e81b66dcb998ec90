"""The one door for ids and randomness: everything else is banned from making its own."""

import random
import secrets
from typing import Any


class Ids:
    """Unpredictable ids from the operating system's randomness; with a seed, the same ids in the same order.

    Each prefix counts for itself: the third PAL has the same id, whatever else was made before it. What keys are made
    of is unpredictable with a seed, too.
    """

    def __init__(self, seed: int = 0) -> None:
        """`seed` 0 means none."""
        self._seed = seed
        self._known: dict[str, random.Random] = {}

    def new(self, prefix: str, hex_digits: int) -> str:
        """`prefix` and `hex_digits` random hexadecimal digits: `p` and 11 make a PAL's id (contract 1.6)."""
        if self._seed:
            known = self._known.setdefault(prefix, random.Random(f"{self._seed} {prefix}"))  # noqa: S311 - no secret
            return f"{prefix}{known.getrandbits(4 * hex_digits):0{hex_digits}x}"
        return prefix + secrets.token_hex((hex_digits + 1) // 2)[:hex_digits]

    def random_bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes, good enough for keys."""
        return secrets.token_bytes(count)

    def mark(self) -> dict[str, Any]:
        """How far each prefix has come, for `rewind`."""
        return {prefix: known.getstate() for prefix, known in self._known.items()}

    def rewind(self, mark: dict[str, Any]) -> None:
        """Go on as at the mark. Without a seed nothing is repeated."""
        self._known = {prefix: known for prefix, known in self._known.items() if prefix in mark}
        for prefix, state in mark.items():
            self._known[prefix].setstate(state)
