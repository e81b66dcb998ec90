"""Waiting until something is so, however long a busy machine takes for it."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(is_so: Callable[[], Any], seconds: float = 20) -> float:
    """Wait until something is so, and tell how long that took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "it never came to be so"
        time.sleep(0.01)
    return time.monotonic() - began
