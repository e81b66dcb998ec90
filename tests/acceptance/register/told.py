"""What servers under test are told by way of `injected/sitecustomize.py`."""

import mmap
import os
import struct
from pathlib import Path

INJECTED = Path(__file__).parent / "injected"
ROOT = Path(__file__).parents[3]
TOLD = struct.Struct("ddd")


class Told:
    """A file that the servers have in their memory, too. Seconds, seconds, and whether writes fail."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(TOLD.pack(0, 0, 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), TOLD.size)
        self.clock_offset = 0.0
        self.write_delay = 0.0
        self.writes_fail = False
        self.environment = {"REGISTER_TOLD": str(path), "PYTHONPATH": f"{INJECTED}{os.pathsep}{ROOT}"}

    def tell(self, **changed: float) -> None:
        """Change some of it, at once."""
        for name, value in changed.items():
            setattr(self, name, value)
        TOLD.pack_into(self._memory, 0, self.clock_offset, self.write_delay, self.writes_fail)
