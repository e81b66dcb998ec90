"""Which remedy goes with which problem: the list of codes."""

from collections.abc import Callable, Mapping

from palace.mending.case import NO_REMEDY, Case, Remedy
from palace.mending.contents import (
    missing,
    not_allowed,
    null,
    trimmed,
    unknown_field,
    wrong_type,
)
from palace.mending.fitting import absent_member, index_beyond, missing_parent, no_index
from palace.mending.form import well_formed
from palace.mending.kept import excluded, kept_secret, mask, read_only

REMEDIES: Mapping[str, Callable[[Case], Remedy]] = {
    # The form of an operation.
    "not_an_object": well_formed,
    "missing_op": well_formed,
    "unknown_op": well_formed,
    "missing_path": well_formed,
    "invalid_pointer": well_formed,
    "missing_value": well_formed,
    "missing_from": well_formed,
    # Whether it fits the document.
    "not_found": absent_member,
    "missing_parent": missing_parent,
    "index_out_of_range": index_beyond,
    "invalid_index": no_index,
    # What the document would be.
    "unknown_field": unknown_field,
    "wrong_type": wrong_type,
    "null": null,
    "not_allowed": not_allowed,
    "missing": missing,
    "pattern": trimmed,
    "reserved": trimmed,
    "unknown_reference": trimmed,
    "read_only": read_only,
    "custom_llm": kept_secret,
    "mask": mask,
    "exclusive": excluded,
}
"""Codes that are not here have no remedy: a test that fails did what it is for, and a limit is a limit."""

ABOUT_SEVERAL_MEMBERS = frozenset(("missing", "custom_llm", "mask", "exclusive", "rule", "mixed_conferencing"))
"""Problems that an operation may have only because another one, which cannot be mended, was left out."""


def is_about_form(code: str) -> bool:
    """Whether one remedy puts right all problems of this kind that an operation has."""
    return REMEDIES.get(code) is well_formed


def remedy_for(case: Case) -> Remedy:
    """What to send instead of the operation that has this problem."""
    known = REMEDIES.get(case.detail.code)
    return known(case) if known is not None else NO_REMEDY
