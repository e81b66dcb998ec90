"""Making a file that was exported a new database. Broken off, it goes on where it was when it is begun again."""

from dataclasses import dataclass
from pathlib import Path

from palace.transfer.form import Digest, Row, encoder
from palace.transfer.reading import Contents, batches_in, check_file
from palace.transfer.sides import Progress, Side, Tell, TransferFailure
from palace.transfer.tables import TABLES, Table
from palace.vault import Vault, VaultError


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought. `resumed_at` is the number of rows that an earlier one had brought already."""

    rows: int
    secrets: int
    resumed_at: int


class Secrets:
    """Opens every sealed text that goes by, so that no import ends with a master key that does not fit."""

    def __init__(self, vault: Vault) -> None:
        self.count = 0
        self._vault = vault

    def look(self, table: Table, row: Row) -> None:
        """A row of the file. Raises VaultError when it has a secret that does not open."""
        try:
            if table.name == "server_secrets":
                self._vault.open(row[1], f"server/{row[0]}")
            elif table.name == "secrets":
                self._vault.open(row[3], row[2])
                self.count += 1
        except VaultError as error:
            problem = "The master key is not the one that sealed the secrets in this export. Nothing was imported."
            raise VaultError(f"{problem} Put the key of the database that was exported in its place.") from error


async def import_file(path: Path, target: Side, vault: Vault, tells: tuple[Tell, Tell, Tell]) -> Imported:
    """Check the file, bring all its rows into the target, and prove that they are there.

    `tells` are told of the three parts. Raises UnusableExport, VaultError, OSError and TransferFailure.
    """
    checking, bringing, proving = tells
    secrets = Secrets(vault)
    contents = check_file(path, secrets.look, checking)
    progress = await target.progress()
    if progress is None:
        await target.begin(contents.digest)
        progress = Progress(contents.digest, 0)
    elif progress.file != contents.digest:
        problem = f"Another export was being imported into {target.name} and {progress.rows} rows of it are there."
        raise TransferFailure(f"{problem} Go on with that one, or begin with an empty database.")
    await _bring(path, target, progress, contents, bringing)
    async with target.snapshot():
        await _prove(target, contents, proving)
    await target.finish()
    return Imported(contents.header.total, secrets.count, progress.rows)


async def _bring(path: Path, target: Side, progress: Progress, contents: Contents, tell: Tell) -> None:
    done = 0
    for table, rows in batches_in(path):
        done += len(rows)
        if done > progress.rows:
            await target.put(table, rows, Progress(progress.file, done))
        tell(done, contents.header.total)


async def _prove(target: Side, contents: Contents, tell: Tell) -> None:
    """Raises TransferFailure unless the target has the rows of the file and no others."""
    done = 0
    for table in TABLES:
        encode, digest = encoder(table), Digest()
        async for rows in target.rows(table):
            for row in rows:
                digest.feed(encode(row))
            done += len(rows)
            tell(done, contents.header.total)
        if digest.as_json() != contents.ends[table.name]:
            problem = f"What is in the table {table.name} is not what was exported: somebody else has written there."
            raise TransferFailure(f"{problem} The import is not finished; begin with an empty database.")
