"""Looking an installation over: what is right, what is not, and what to do about it. Nothing is changed."""

from palace.doctor.checks import Finding, State
from palace.doctor.visit import examine

__all__ = ["Finding", "State", "examine"]
