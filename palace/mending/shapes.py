"""What a model says about its places: which members there are, and which kinds of values they take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from palace.json_patch.pointer import END_OF_ARRAY

Tokens = tuple[str, ...]

_KINDS: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(frozen=True)
class Shape:
    """What may stand at one place; without `kinds`, anything."""

    kinds: frozenset[str] = frozenset()
    """of string, boolean, integer, number, array, object; null is told apart in `is_nullable`"""
    is_nullable: bool = False
    members: Mapping[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """members without a default"""
    is_open: bool = False
    """whether members of any name may stand here"""
    item: "Shape | None" = None
    """of an array"""
    allowed: tuple[Any, ...] = ()


ANYTHING = Shape(is_nullable=True, is_open=True)


@lru_cache(maxsize=64)
def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of a document of this model."""
    members = {name: _shape(found.annotation) for name, found in model.model_fields.items()}
    required = frozenset(name for name, found in model.model_fields.items() if found.is_required())
    is_open = model.model_config.get("extra") == "allow"
    return Shape(frozenset(["object"]), members=members, required=required, is_open=is_open)


def _shape(annotation: Any) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0])
    if origin in (Union, UnionType):
        return _either([_shape(argument) for argument in arguments if argument is not NoneType], NoneType in arguments)
    if origin is Literal:
        return Shape(frozenset(_KINDS[type(word)] for word in arguments), allowed=arguments)
    if annotation is list or origin is list:
        return Shape(frozenset(["array"]), item=_shape(arguments[0]) if arguments else ANYTHING)
    if annotation is dict or origin is dict:
        return Shape(frozenset(["object"]), is_open=True)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return shape_of(annotation)
    return Shape(frozenset([_KINDS[annotation]])) if annotation in _KINDS else ANYTHING


def _either(options: Sequence[Shape], is_nullable: bool) -> Shape:
    """One shape for a union: what only some of its options have, the whole has."""
    first = options[0]
    return Shape(
        frozenset(kind for option in options for kind in option.kinds),
        is_nullable or any(option.is_nullable for option in options),
        {name: shape for option in options for name, shape in option.members.items()},
        first.required,
        any(option.is_open for option in options),
        next((option.item for option in options if option.item is not None), None),
        first.allowed if len(options) == 1 else (),
    )


def shape_at(shape: Shape, tokens: Sequence[str]) -> Shape | None:
    """The shape of a place, or None where the model has no such place."""
    for token in tokens:
        below = shape.members.get(token)
        if below is None and shape.item is not None and (token == END_OF_ARRAY or token.isdecimal()):
            below = shape.item
        if below is None and shape.is_open:
            return ANYTHING
        if below is None:
            return None
        shape = below
    return shape


@lru_cache(maxsize=64)
def named_places(model: type[BaseModel]) -> tuple[Tokens, ...]:
    """Every place that the model names, at any depth, outside of arrays."""
    return tuple(_named(shape_of(model), ()))


def _named(shape: Shape, above: Tokens) -> Iterator[Tokens]:
    for name, below in shape.members.items():
        yield (*above, name)
        yield from _named(below, (*above, name))
