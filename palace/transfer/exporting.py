"""Writing a database into one file."""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from palace import __version__
from palace.clock import Clock, timestamp
from palace.files import appearing
from palace.transfer.form import Digest, Header, encoder, header_line, line
from palace.transfer.sides import Side, Tell
from palace.transfer.tables import TABLES

FASTEST = 1
"""A third of the time of gzip's default, and documents become a few percent larger."""


async def export(source: Side, target: Path, tell: Tell, clock: Clock, *, may_replace: bool = False) -> Header:
    """Write every row, as they are at one moment, into `target`; servers may be writing.

    Raises UnusableName, OSError and TransferFailure; no file is left then.
    """
    with appearing(target, may_replace=may_replace) as beside:
        async with source.snapshot():
            counts = {table.name: await source.count(table) for table in TABLES}
            header = Header(counts, timestamp(clock.now()), __version__)
            with gzip.open(beside, "wb", compresslevel=FASTEST) as file:
                await _write(source, _Hashed(cast("BinaryIO", file)), header, tell)
    return header


class _Hashed:
    """A file, and the SHA-256 of all that was written into it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = sha256()

    def write(self, text: bytes) -> None:
        self.hash.update(text)
        self._file.write(text)


async def _write(source: Side, file: _Hashed, header: Header, tell: Tell) -> None:
    file.write(header_line(header))
    done, digests = 0, {}
    for table in TABLES:
        encode, digest = encoder(table), Digest()
        file.write(line({"table": table.name}))
        async for rows in source.rows(table):
            lines = [encode(row) for row in rows]
            for text in lines:
                digest.feed(text)
            file.write(b"".join(lines))
            done += len(rows)
            tell(done, header.total)
        digests[table.name] = digest.as_json()
    file.write(line({"end": digests, "sha256": file.hash.hexdigest()}))
