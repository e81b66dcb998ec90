"""What servers under test are told by way of `injected/sitecustomize.py`, and how often they did as they were told."""

import asyncio
import mmap
import os
from pathlib import Path

INJECTED = Path(__file__).parent / "injected"
ROOT = Path(__file__).parents[3]
NAMES = ("clock_offset", "write_delay", "writes_fail")
"""seconds, seconds, and whether they do: eight bytes each, and after them how often servers did each of it"""
SECONDS_TO_FEEL = 30


class Told:
    """A file that the servers have in their memory, too."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(2 * 8 * len(NAMES)))
        with path.open("r+b") as file:
            self._memory = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
        self.environment = {"REGISTER_TOLD": str(path), "PYTHONPATH": f"{INJECTED}{os.pathsep}{ROOT}"}

    def tell(self, name: str, value: float) -> None:
        """Change some of it, at once."""
        self._memory[NAMES.index(name)] = value

    def felt(self, name: str) -> float:
        """How often servers did this since the file was made."""
        return self._memory[len(NAMES) + NAMES.index(name)]

    async def tell_and_see(self, name: str, value: float) -> None:
        """Change some of it and wait until a server does it. TimeoutError where none does: it would prove nothing."""
        before = self.felt(name)
        self.tell(name, value)
        async with asyncio.timeout(SECONDS_TO_FEEL):
            while self.felt(name) == before:
                await asyncio.sleep(0.01)
