"""The file of an export: gzip over lines of JSON. Pure: bytes in, rows out, and the other way round.

The first line tells what follows, the last one proves that nothing is missing. Between them, for each table in order, a
line `{"table": …}` and one array for each row. Bytes are `{"base64": …}`; JSON that the database keeps as bytes stands
as a string, so that every byte of it comes back.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from palace.transfer.tables import JSON, TABLES, Table

FORMAT = "palace export"
VERSION = 1
Row = tuple[Any, ...]


class UnusableExport(Exception):
    """The file is no export, or it is damaged, cut off, or of another version."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an export holds: how many rows of each table."""

    counts: dict[str, int]
    made_at: str
    palace: str

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.counts.values())


class Digest:
    """How many rows a table has, and the sum of the SHA-256 of their lines: the same in whatever order they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def feed(self, row: bytes) -> None:
        """The line of one more row."""
        self.rows += 1
        self._sum += int.from_bytes(sha256(row).digest())

    def as_json(self) -> dict[str, Any]:
        """What the last line of the file says of the table."""
        return {"rows": self.rows, "sum": f"{self._sum % (1 << 256):064x}"}


# --- Writing ----------------------------------------------------------------------------------------------------------


def line(value: Any) -> bytes:
    """One line of the file."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def header_line(header: Header) -> bytes:
    """The first line."""
    tables = [{"table": t.name, "columns": list(t.columns), "rows": header.counts[t.name]} for t in TABLES]
    said = {"format": FORMAT, "version": VERSION, "made_at": header.made_at, "palace": header.palace}
    return line(said | {"tables": tables})


def encoder(table: Table) -> Callable[[Row], bytes]:
    """Makes the line of a row of this table."""
    texts = [place for place, kind in enumerate(table.columns.values()) if kind == JSON]

    def encode(row: Row) -> bytes:
        values = list(row)
        for place in texts:
            if values[place] is not None:
                values[place] = _text(values[place])
        return orjson.dumps(values, default=_base64, option=orjson.OPT_APPEND_NEWLINE)

    return encode


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _base64(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"base64": b64encode(value).decode()}
    raise TypeError


# --- Reading ----------------------------------------------------------------------------------------------------------


def read_line(text: bytes) -> Any:
    """What a line says. Raises UnusableExport."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnusableExport("The export is damaged: a line of it is not JSON.") from error


def read_header(text: bytes) -> Header:
    """What the first line says. Raises UnusableExport when this version cannot read what follows."""
    try:
        said = orjson.loads(text)
        is_ours = said["format"] == FORMAT
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise UnusableExport("This is no export of Palace.") from error
    if not is_ours:
        raise UnusableExport("This is no export of Palace.")
    known = [(table.name, list(table.columns)) for table in TABLES]
    if said["version"] != VERSION or [(t["table"], t["columns"]) for t in said["tables"]] != known:
        problem = f"The export was made by Palace {said.get('palace')}, whose tables are not those of this version."
        raise UnusableExport(f"{problem} Import it with that one, then let this one bring the database up to date.")
    return Header({t["table"]: t["rows"] for t in said["tables"]}, said["made_at"], said["palace"])


def decoder(table: Table) -> Callable[[Sequence[Any]], Row]:
    """Makes a row of this table from what its line says."""
    stored = [place for place, kind in enumerate(table.columns.values()) if kind in ("bytes", JSON)]

    def decode(values: Sequence[Any]) -> Row:
        row = list(values)
        for place in stored:
            value = row[place]
            if isinstance(value, str):
                row[place] = value.encode()
            elif value is not None:
                row[place] = b64decode(value["base64"])
        return tuple(row)

    return decode
