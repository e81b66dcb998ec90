"""JSON Patch and what belongs to it: pointers, diffs, merge patches, equality and a strict reader.

RFC 6901, RFC 6902 and RFC 7396 as pure functions on plain values: no I/O, nothing is changed in place, and nothing is
raised but the exceptions named here.
"""

from palace.json_patch.apply import Applied, apply_patch
from palace.json_patch.diff import diff
from palace.json_patch.equality import equal
from palace.json_patch.errors import Conflict, InvalidJson, InvalidPatch, LimitExceeded, PatchError, Problem
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.merge import merge_patch
from palace.json_patch.operations import Operation, compile_patch
from palace.json_patch.pointer import END_OF_ARRAY, format_pointer, parse_pointer
from palace.json_patch.text import read_json
from palace.json_patch.values import Json

__all__ = [
    "DEFAULT_LIMITS",
    "END_OF_ARRAY",
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
