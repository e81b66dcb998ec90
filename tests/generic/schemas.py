"""Reading the JSON schema of a document: what may stand at a place, and what must not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
Place = tuple[str, ...]
DEFINITIONS = "#/$defs/"

VALUES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "number": 7.5,
    "string": "words",
    "array": [],
    "object": {},
}
"""One value of each type of JSON."""


@dataclass(frozen=True)
class Wrong:
    """A value that must not stand at a place of a document, why, and what details tell about it besides."""

    place: Place
    value: Any
    why: str
    code: str | None = None
    facts: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        return f"/{'/'.join(self.place)} {self.why}"


@dataclass(frozen=True)
class Schemas:
    """The JSON schema of a model, with its definitions."""

    root: Schema

    def options(self, schema: Schema) -> list[Schema]:
        """The alternatives of a schema, without references and without names for alternatives."""
        if "$ref" in schema:
            return self.options(self.root["$defs"][schema["$ref"].removeprefix(DEFINITIONS)])
        found: list[Schema] = []
        for name in ("anyOf", "oneOf", "allOf"):
            for option in schema.get(name, ()):
                found += self.options(option)
        return found or [schema]

    def at(self, place: Place, document: Any = None) -> list[Schema]:
        """The alternatives of what may stand at a place of this document; none where that is not known."""
        found, value = self.options(self.root), document
        for token in place:
            found = [option for above in found for option in self.below(above, token)]
            value = value_at(value, (token,))
            found = [option for option in found if self.fits(option, value)] or found
        return found

    def fits(self, option: Schema, value: Any) -> bool:
        """Whether the constants of an alternative are those of the value: which kind of object this one is."""
        if not isinstance(value, dict):
            return True
        members = option.get("properties", {})
        return all(one["const"] == value[name] for name, one in members.items() if "const" in one and name in value)

    def below(self, schema: Schema, token: str) -> list[Schema]:
        """The alternatives of one member, or of one element."""
        if token.isdecimal() and "items" in schema:
            return self.options(schema["items"])
        return self.options(schema["properties"][token]) if token in schema.get("properties", ()) else []

    def is_free_text(self, place: Place) -> bool:
        """Whether any string may stand there."""
        special = {"enum", "const", "format"}
        found = self.at(place)
        return bool(found) and not any(special & set(option) for option in found) and "string" in types(found)

    def places(self, document: Any, place: Place = ()) -> Iterator[Place]:
        """The place of every member that a document has or may have, and of every first element of an array."""
        value = value_at(document, place)
        names: list[str] = []
        if isinstance(value, dict):
            names = [name for option in self.at(place, document) for name in option.get("properties", ())]
        elif isinstance(value, list) and value and self.at((*place, "0")):
            names = ["0"]
        for name in dict.fromkeys(names):
            yield (*place, name)
            yield from self.places(document, (*place, name))

    def wrongs(self, document: Any) -> Iterator[Wrong]:
        """Everything of which the schema says that it must not stand at some place of this document."""
        for place in self.places(document):
            found = self.at(place, document)
            yield from wrong_types(place, found)
            yield from wrong_words(place, found)
            yield from too_much(place, found, value_at(document, place))
        for place in ((), *self.places(document)):
            found, value = self.at(place, document), value_at(document, place)
            if isinstance(value, dict) and all(option.get("additionalProperties") is False for option in found):
                yield Wrong((*place, "nobody_knows"), 1, "is unknown", "unknown_field")

    def required(self, document: Any) -> Iterator[Place]:
        """The place of every member that must be there, at any depth of this document."""
        for place in ((), *self.places(document)):
            found, value = self.at(place, document), value_at(document, place)
            if isinstance(value, dict) and len(found) == 1:
                yield from ((*place, name) for name in found[0].get("required", ()))


def value_at(document: Any, place: Place) -> Any:
    """What stands at a place, or None."""
    for token in place:
        if isinstance(document, list):
            document = document[int(token)] if int(token) < len(document) else None
        else:
            document = document.get(token) if isinstance(document, dict) else None
    return document


def types(options: list[Schema]) -> set[str]:
    """The types of JSON that may stand there."""
    found: set[str] = set()
    for option in options:
        if "type" in option:
            found |= {option["type"]} if isinstance(option["type"], str) else set(option["type"])
        elif "const" in option or "enum" in option:
            found |= {type_of(value) for value in option.get("enum", [option.get("const")])}
        else:
            found |= set(VALUES)
    return found | ({"integer"} if "number" in found else set())


def type_of(value: Any) -> str:
    return next(name for name, one in VALUES.items() if type(one) is type(value))


def wrong_types(place: Place, options: list[Schema]) -> Iterator[Wrong]:
    allowed = types(options)
    for name, value in VALUES.items():
        if name not in allowed:
            yield Wrong(place, value, f"is {name}")


def wrong_words(place: Place, options: list[Schema]) -> Iterator[Wrong]:
    """A word that is none of those allowed, where only some are."""
    texts = [option for option in options if "string" in types([option])]
    words = [word for option in texts for word in option.get("enum", [option["const"]] if "const" in option else [])]
    if words and all("enum" in option or "const" in option for option in texts):
        yield Wrong(place, "no such word", "is no word of the list", "not_allowed", {"allowed": words})


def too_much(place: Place, options: list[Schema], value: Any) -> Iterator[Wrong]:
    """A string and an array one longer than they may be."""
    for option in options:
        if "string" in types([option]) and "maxLength" in option:
            yield Wrong(place, "x" * (option["maxLength"] + 1), "is too long", "too_long")
        if "array" in types([option]) and "maxItems" in option:
            item = value[0] if value else "x"
            yield Wrong(place, [item] * (option["maxItems"] + 1), "has too many", "too_long")
