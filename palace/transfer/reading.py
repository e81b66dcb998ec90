"""Reading the file of an export: once from its beginning to its end to see whether it is right, and then its rows."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from palace.transfer.form import Digest, Header, Row, UnusableExport, decoder, read_header, read_line
from palace.transfer.sides import Tell
from palace.transfer.tables import TABLES, Table

ROWS_AT_ONCE = 1000
BYTES_AT_ONCE = 4 << 20
CUT_OFF = "The export is cut off: its end is missing. Copy it again, or make it again."


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checked export holds. `digest` stands for the whole of it, `ends` for the rows of each table."""

    header: Header
    digest: str
    ends: dict[str, Any]


def check_file(path: Path, look: Callable[[Table, Row], None], tell: Tell) -> Contents:
    """Read the whole file and prove that it is as it was written; `look` sees every row.

    Raises UnusableExport, OSError and whatever `look` raises.
    """
    whole, rows, end = sha256(), 0, {}
    digests = {table.name: Digest() for table in TABLES}
    decoders = {table.name: decoder(table) for table in TABLES}
    header: Header | None = None
    for table, text in _entries(path):
        if header is None:
            header = read_header(text)
        elif table is not None:
            digests[table.name].feed(text)
            look(table, _decoded(decoders[table.name], text))
            rows += 1
            if rows % ROWS_AT_ONCE == 0:
                tell(rows, header.total)
        elif text.startswith(b'{"end"'):
            end = read_line(text)
            break
        whole.update(text)
    found = {name: digest.as_json() for name, digest in digests.items()}
    counts = {name: digest.rows for name, digest in digests.items()}
    if header is None or end != {"end": found, "sha256": whole.hexdigest()} or counts != header.counts:
        raise UnusableExport("The export is damaged: its rows are not those that were written. Copy it again.")
    tell(rows, header.total)
    return Contents(header, whole.hexdigest(), found)


def batches_in(path: Path) -> Iterator[tuple[Table, list[Row]]]:
    """The rows of a checked file, some of one table at a time, always cut at the same places."""
    gathered: list[Row] = []
    size, of = 0, TABLES[0]
    decoders = {table.name: decoder(table) for table in TABLES}
    for table, text in _entries(path):
        if gathered and (table is not of or len(gathered) == ROWS_AT_ONCE or size > BYTES_AT_ONCE):
            yield of, gathered
            gathered, size = [], 0
        if table is not None:
            of = table
            gathered.append(_decoded(decoders[table.name], text))
            size += len(text)


def _decoded(decode: Callable[[Any], Row], text: bytes) -> Row:
    try:
        return decode(read_line(text))
    except (TypeError, ValueError, LookupError) as error:
        raise UnusableExport("The export is damaged: a row has other columns than its table.") from error


def _entries(path: Path) -> Iterator[tuple[Table | None, bytes]]:
    """Every line up to the last one, and the table whose row it is. Raises UnusableExport."""
    number = -1
    for text in _lines(path):
        if text.startswith(b"[") and number >= 0:
            yield TABLES[number], text
            continue
        if text.startswith(b'{"table"'):
            number += 1
            if number >= len(TABLES) or read_line(text).get("table") != TABLES[number].name:
                raise UnusableExport("The export is damaged: its tables are not in order.")
        yield None, text
        if text.startswith(b'{"end"'):
            return
    raise UnusableExport(CUT_OFF)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except EOFError as error:
        raise UnusableExport(CUT_OFF) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnusableExport(f"{path} is no export of Palace, or it is damaged: {error}.") from error
