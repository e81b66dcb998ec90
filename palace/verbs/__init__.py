"""Create, read, list, patch, delete, undo: for any resource. What differs between resources is data in their files."""

from palace.verbs.draft_endpoints import DRAFT_PARAMETERS, draft_endpoints
from palace.verbs.endpoints import history_endpoints
from palace.verbs.patching import patch
from palace.verbs.queries import flag, one_of, whole_number
from palace.verbs.reading import list_page, page_parameters, read
from palace.verbs.writing import create, delete, plant

__all__ = [
    "DRAFT_PARAMETERS",
    "create",
    "delete",
    "draft_endpoints",
    "flag",
    "history_endpoints",
    "list_page",
    "one_of",
    "page_parameters",
    "patch",
    "plant",
    "read",
    "whole_number",
]
