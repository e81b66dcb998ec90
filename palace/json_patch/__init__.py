"""JSON Patch and what belongs to it: pointers, diffs, merge patches, equality, and a strict reader (RFC 6901, 6902, 7396).

Pure functions on plain values: no I/O, nothing is changed in place, and nothing but the exceptions named here is raised.
"""

from .apply import Applied, apply_patch
from .diff import diff
from .equality import equal
from .errors import Conflict, InvalidJson, InvalidPatch, LimitExceeded, PatchError, Problem
from .limits import DEFAULT_LIMITS, Limits
from .merge import merge_patch
from .operations import Operation, compile_patch
from .pointer import format_pointer, parse_pointer
from .text import read_json
from .values import Json

__all__ = [
    "DEFAULT_LIMITS",
    "Applied",
    "Conflict",
    "InvalidJson",
    "InvalidPatch",
    "Json",
    "LimitExceeded",
    "Limits",
    "Operation",
    "PatchError",
    "Problem",
    "apply_patch",
    "compile_patch",
    "diff",
    "equal",
    "format_pointer",
    "merge_patch",
    "parse_pointer",
    "read_json",
]
