"""The schema, built by numbered SQL files that are applied once each, in order."""

from base64 import b64decode
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Literal

import apsw

from palace.etags import content_etag

IMPORT_PROGRESS = "import_progress"
"""Table that is there while an import is not finished; no server works beside it."""


class NewerSchema(Exception):
    """The database was written by a newer version of the server than this one."""


class OlderSchema(Exception):
    """The database must be brought up to date first, and that is left to a person."""


def migrations(database: Literal["sqlite", "postgres"] = "sqlite") -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order; the number is the start of the file's name."""
    folder = files(__package__).joinpath("migrations", database)
    scripts = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name.split("_")[0]), entry.read_text(encoding="utf-8")) for entry in scripts)


def newest_schema() -> int:
    """The number of the newest migration."""
    return migrations()[-1][0]


def present_schema(connection: apsw.Connection) -> int:
    """The number of the newest migration that was applied; 0 for an empty database."""
    return int(connection.pragma("user_version"))


def refuse_newer(present: int) -> None:
    """Raises NewerSchema when this server does not know the schema."""
    if present > newest_schema():
        raise NewerSchema(f"The database has schema {present}; this server knows schemas up to {newest_schema()}.")


def refuse_other(present: int) -> None:
    """Raises NewerSchema, and OlderSchema when anything is missing."""
    refuse_newer(present)
    if present < newest_schema():
        problem = f"The database has schema {present}; this server needs schema {newest_schema()}."
        raise OlderSchema(f"{problem} Run `palace migrate up` first.")


def migrate(connection: apsw.Connection) -> int:
    """Apply what is missing, all in one transaction, and return the number of the newest. Raises NewerSchema.

    SQLite's own `user_version` remembers the newest migration that was applied. Migrations may call `content_etag`,
    `from_base64` and `fold`, which SQL does not have.
    """
    functions: dict[str, Callable[..., Any]] = {
        "content_etag": content_etag,
        "from_base64": b64decode,
        "fold": str.casefold,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, function, deterministic=True)
    newest = newest_schema()
    connection.execute("BEGIN IMMEDIATE")
    try:
        present = present_schema(connection)
        refuse_newer(present)
        for number, script in migrations():
            if number > present:
                connection.execute(script)
        connection.execute(f"PRAGMA user_version = {newest}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return newest
