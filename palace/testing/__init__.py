"""A Palace for the tests of your own client: in memory, on a free port, in a process of its own."""

from palace.testing.server import NotStarted, PalaceServer, Refused, start_palace

__all__ = ["NotStarted", "PalaceServer", "Refused", "start_palace"]
