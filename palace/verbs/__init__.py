"""Create, read, list, patch, delete, undo: for any resource. What differs between resources is data in their files."""

from palace.verbs.deleting import CASCADE, delete, take_away
from palace.verbs.draft_endpoints import DRAFT_PARAMETERS, draft_endpoints
from palace.verbs.editing import edit
from palace.verbs.endpoints import DRAFT_IN_THE_WAY, history_endpoints, references_endpoint
from palace.verbs.history import restore
from palace.verbs.listing import ListStyle, list_page, list_parameters, page_schema
from palace.verbs.patching import patch, without_read_only
from palace.verbs.planting import Planted, plant, plant_all, put_facts
from palace.verbs.queries import flag, whole_number
from palace.verbs.reading import read
from palace.verbs.writing import create, create_at

__all__ = [
    "CASCADE",
    "DRAFT_IN_THE_WAY",
    "DRAFT_PARAMETERS",
    "ListStyle",
    "Planted",
    "create",
    "create_at",
    "delete",
    "draft_endpoints",
    "edit",
    "flag",
    "history_endpoints",
    "list_page",
    "list_parameters",
    "page_schema",
    "patch",
    "plant",
    "plant_all",
    "put_facts",
    "read",
    "references_endpoint",
    "restore",
    "take_away",
    "whole_number",
    "without_read_only",
]
