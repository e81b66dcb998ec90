"""Which names may have been meant in a document that is not valid, where no patch is to be mended."""

from dataclasses import replace

from pydantic import BaseModel

from palace.errors import ClientError, Detail
from palace.json_patch import format_pointer, parse_pointer
from palace.mending.likeness import perhaps_meant
from palace.mending.shapes import shape_at, shape_of


def with_nearest(error: ClientError, model: type[BaseModel]) -> ClientError:
    """The same error, whose details name up to four members that resemble an unknown one, and lists of what has it."""
    error.details = tuple(_with_nearest(detail, model) for detail in error.details)
    return error


def _with_nearest(detail: Detail, model: type[BaseModel]) -> Detail:
    if detail.code != "unknown_field" or not detail.pointer:
        return detail
    *above, name = parse_pointer(detail.pointer)
    shape = shape_at(shape_of(model), above)
    members = shape.members if shape else {}
    near = [[other] for other in perhaps_meant(name, members)]
    near += [[list_, "0", name] for list_, below in members.items() if below.item and name in below.item.members]
    return replace(detail, nearest=tuple(format_pointer([*above, *place]) for place in near))
