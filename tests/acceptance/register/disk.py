"""A disk that can be full: a file system in memory of a size of its own, where this process may mount one."""

import os
import subprocess
from pathlib import Path

ROOMY = 8 << 30
PAGE = 4096


class SmallDisk:
    """Mounted at `path`; `is_there` tells whether that was allowed. Without it the folder is an ordinary one."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        self.is_there = self._mount(f"size={ROOMY},mode=700", "none")

    def fill(self) -> None:
        """No page is left: it becomes as small as what is on it."""
        used = os.statvfs(self.path)
        self._mount(f"remount,size={max((used.f_blocks - used.f_bfree) * used.f_frsize, PAGE)}")

    def free(self) -> None:
        """There is room again."""
        self._mount(f"remount,size={ROOMY}")

    def close(self) -> None:
        """Unmount it, and all that is on it is gone."""
        if self.is_there:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)
            self.is_there = False

    def _mount(self, options: str, *device: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, *device, str(self.path)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False
