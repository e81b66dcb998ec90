"""`{name}` in the URL, the query and the body of a tool, and what is put in its place. Pure.

Arguments come from a language model, which may say anything: whatever they are, a request goes to the scheme, the host
and the port that the tool's owner wrote, and to a path as deep as written there.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from palace.fetching import LONGEST_FILLED_URL

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
RESERVED_PREFIX = "tavus_"
"""Placeholders of the server's own; no parameter is called like that."""
AUTHORITY = re.compile(r"[^:/?#]*:/*[^/?#]*")
"""Scheme, user name, host and port of a URL."""
DOTS = (".", "..")
"""Parts of a path that lead elsewhere than one step down."""
MOST_ENCODINGS = 8
"""how often a value may be percent-encoded, the one time that it is done here included"""


class Undeliverable(Exception):
    """The request cannot be made. The text says why, to the model that called the tool; no secrets."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def placeholders_in(value: Any) -> Iterator[str]:
    """Every placeholder in the strings of a value, at any depth; not in the names of members."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from placeholders_in(item)


def compact(value: Any) -> str:
    """A value as JSON without blanks, names in their order. Raises ValueError for what is none, such as NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def text_of(value: Any) -> str:
    """A value within a text: strings as they are, all others as JSON."""
    return value if isinstance(value, str) else compact(value)


def encoded(text: str) -> str:
    """A text for a URL: everything but letters, digits and `-._~` is percent-encoded (RFC 3986)."""
    return quote(text, safe="")


def pairs_of(members: Mapping[str, Any], but: Collection[str] = ()) -> list[tuple[str, str]]:
    """Members as a query or a form has them: a list once for each item, null not at all, what is nested as JSON."""
    return [
        (name, text_of(item))
        for name, value in members.items()
        if name not in but
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]


def form_of(pairs: Collection[tuple[str, str]]) -> str:
    """Pairs as `name=value&…`."""
    return "&".join(f"{encoded(name)}={encoded(text)}" for name, text in pairs)


def leads_away(step: str) -> bool:
    """Whether a part of a path that was filled is none, or would lead upwards, however often it is decoded.

    What is encoded more than `MOST_ENCODINGS` times is meant to mislead.
    """
    for _ in range(MOST_ENCODINGS + 1):
        step, encoded_step = unquote(step), step
        if step == encoded_step:
            break
    else:
        return True
    return not step or any(part.partition(";")[0] in DOTS for part in re.split(r"[/\\]", step))


@dataclass(slots=True)
class Filling:
    """Fills templates from arguments and from what the server knows, and remembers everything that was wrong."""

    arguments: Mapping[str, Any]
    known: Mapping[str, str]
    """values of placeholders that begin with `tavus_`: never taken from arguments"""
    missing: dict[str, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    misleading: dict[str, None] = field(default_factory=dict)

    def text(self, template: str, encode: Callable[[str], str] = str) -> str:
        """A text with its placeholders filled, each value encoded."""
        return PLACEHOLDER.sub(lambda found: encode(text_of(self._value(found[1]))), template)

    def json(self, template: Any) -> Any:
        """A value with the placeholders in its strings filled; a string that is just one becomes the value itself."""
        if isinstance(template, dict):
            return {name: self.json(item) for name, item in template.items()}
        if isinstance(template, list):
            return [self.json(item) for item in template]
        if not isinstance(template, str):
            return template
        alone = PLACEHOLDER.fullmatch(template)
        return self._value(alone[1], or_null=True) if alone else self.text(template)

    def url(self, template: str) -> str:
        """A URL without its fragment, its placeholders filled. No value adds a step to the path or takes one away."""
        template = template.partition("#")[0]
        origin = AUTHORITY.match(template)
        assert origin is not None and not PLACEHOLDER.search(origin[0]), "a rule of tools: the host is static"
        path, mark, query = template[origin.end() :].partition("?")
        steps = [self._step(step) for step in path.split("/")]
        return f"{origin[0]}{'/'.join(steps)}{mark}{self.text(query, encoded)}"

    def _step(self, template: str) -> str:
        """One part of a path. Servers that decode it again, or drop what follows a `;`, are not led away either."""
        names = PLACEHOLDER.findall(template)
        filled = self.text(template, encoded) if names else template
        if not names or any(name in self.missing or name in self.unknown for name in names):
            return filled
        if len(filled) <= LONGEST_FILLED_URL and leads_away(filled):  # What is longer is refused for that.
            self.misleading |= dict.fromkeys(names)
        return filled

    def _value(self, name: str, *, or_null: bool = False) -> Any:
        values: Mapping[str, Any] = self.known if name.startswith(RESERVED_PREFIX) else self.arguments
        if name not in values or (values[name] is None and not or_null):
            (self.unknown if name.startswith(RESERVED_PREFIX) else self.missing)[name] = None
            return ""
        return values[name]

    def check(self) -> None:
        """Raises Undeliverable with all that was wrong."""
        found = []
        if self.missing:
            found.append(f"It needs these arguments: {', '.join(self.missing)}.")
        if self.misleading:
            names = ", ".join(self.misleading)
            found.append(f"These must not be empty, nor lead to another path with / or dots: {names}.")
        if self.unknown:
            found.append(f"Its owner used placeholders that this server does not know: {', '.join(self.unknown)}.")
        if found:
            raise Undeliverable(" ".join(["The tool was not called.", *found]))
