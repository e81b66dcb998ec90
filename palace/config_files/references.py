"""Secrets stay out of files: `${env:NAME}` in a text stands for an environment variable, `$${env:` for itself."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_OPENING = "${env:"
_REFERENCE = re.compile(r"\$\$\{env:|\$\{env:([^}\n]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class MissingVariables(Exception):
    """References that lead nowhere; `str()` names every one of them, and `names` are those that are not set."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"Not set in the environment, but referred to: {', '.join(names)}.")
        self.names = names


def has_reference(value: Any) -> bool:
    """Whether a text refers to the environment; False for what is no text."""
    return isinstance(value, str) and any(match[1] is not None for match in _REFERENCE.finditer(value))


def missing_variables(value: Any, environment: Mapping[str, str]) -> list[str]:
    """The names that the texts of a JSON value refer to and the environment does not have, each once, sorted."""
    return sorted({name for name in _names(value) if not _NAME.fullmatch(name) or not environment.get(name)})


def resolved(value: Any, environment: Mapping[str, str]) -> Any:
    """The JSON value with every reference exchanged for what it stands for. Raises MissingVariables."""
    missing = missing_variables(value, environment)
    if missing:
        raise MissingVariables(missing)

    def exchange(match: re.Match[str]) -> str:
        return _OPENING if match[1] is None else environment[match[1]]

    return _with_texts(value, lambda text: _REFERENCE.sub(exchange, text))


def escaped(value: Any) -> Any:
    """The JSON value as a file spells it: `resolved` gives the value back, whatever its texts hold."""
    return _with_texts(value, lambda text: text.replace(_OPENING, "$" + _OPENING))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if match[1] is not None:
                yield match[1] if match[2] else f"{match[1]} (without its closing brace)"
    elif isinstance(value, dict):
        for member in value.values():
            yield from _names(member)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _with_texts(member, change) for name, member in value.items()}
    return [_with_texts(item, change) for item in value] if isinstance(value, list) else value
