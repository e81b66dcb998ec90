"""Named SQL: a `.sql` file is a list of `-- name: …` paragraphs, each with a comment that says what it does."""

import re
from importlib.resources import files
from typing import Any, NamedTuple

PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def load_queries(file_name: str) -> dict[str, str]:
    """The statements of one file of this package by their names, without comments and semicolons."""
    queries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in files(__package__).joinpath(file_name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name: "):
            lines = queries.setdefault(line.removeprefix("-- name: ").strip(), [])
        elif line and not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(text).rstrip(";") for name, text in queries.items()}


class Numbered(NamedTuple):
    """A statement whose parameters are `$1`, `$2` and so on, and what they are called."""

    sql: str
    parameters: tuple[str, ...]

    def values(self, named: dict[str, Any]) -> list[Any]:
        """The values in the order of their numbers."""
        return [named[parameter] for parameter in self.parameters]


def numbered(sql: str) -> Numbered:
    """A statement with `:name` for every value, as PostgreSQL wants it."""
    parameters = tuple(dict.fromkeys(PARAMETER.findall(sql)))
    return Numbered(PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", sql), parameters)
