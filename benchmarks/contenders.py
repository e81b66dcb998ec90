"""Everybody who takes part. To add one, add it to CONTENDERS."""

from collections.abc import Sequence
from hashlib import sha256

from benchmarks.rivals.kinto import KINTO
from benchmarks.rivals.pocketbase import POCKETBASE, POCKETBASE_AS_IT_COMES
from benchmarks.servers import Contender, Place, python
from benchmarks.wires import Wire, pal_wire


def _pal_wire(place: Place) -> Wire:
    return pal_wire(place.api_key)


def _palace(name: str, title: str, *flags: str, on_postgres: bool = False, nodes: int = 1) -> Contender:
    def command(place: Place) -> list[str]:
        database = ["--database", place.database.uri] if place.database else []
        address = ["--host", "127.0.0.1", "--port", str(place.port), "--data", str(place.data)]
        return python("palace", "serve", *address, *database, *flags)

    def environment(place: Place) -> dict[str, str]:
        master_key = sha256(place.api_key.encode()).hexdigest()  # Nodes on one database need the same one.
        return {"PALACE_API_KEY": place.api_key, "PALACE_MASTER_KEY": master_key, "PALACE_LOG_REQUESTS": "false"}

    return Contender(name, title, command, _pal_wire, environment=environment, on_postgres=on_postgres, nodes=nodes)


def _conventional(name: str, title: str, *flags: str, on_postgres: bool = False) -> Contender:
    def command(place: Place) -> Sequence[str]:
        uri = place.database.uri if place.database else f"sqlite:///{place.data}/pals.sqlite3"
        return python("benchmarks.conventional", "--port", str(place.port), "--database", uri, *flags)

    def environment(place: Place) -> dict[str, str]:
        return {"CONVENTIONAL_API_KEY": place.api_key}

    return Contender(name, title, command, _pal_wire, environment=environment, on_postgres=on_postgres)


def _raw(place: Place) -> Sequence[str]:
    return python("benchmarks.rivals.raw", "--port", str(place.port))


RAW = Contender("raw-asgi", "the same answer from raw ASGI", _raw, _pal_wire, keeps=False)
PALACE = _palace("palace", "Palace, SQLite")
PALACE_WITHOUT_HISTORY = _palace("palace-without-history", "Palace without history, SQLite", "--no-history")
PALACE_POSTGRES = _palace("palace-postgres", "Palace, PostgreSQL", on_postgres=True)
PALACE_TWO_NODES = _palace("palace-two-nodes", "Palace, two nodes, PostgreSQL", on_postgres=True, nodes=2)
PALACE_TWO_WORKERS = _palace(
    "palace-two-workers", "Palace, --workers 2, PostgreSQL", "--workers", "2", on_postgres=True
)
CONVENTIONAL = _conventional("conventional", "conventional, SQLite")
CONVENTIONAL_HISTORY = _conventional("conventional-history", "conventional with history, SQLite", "--history")
CONVENTIONAL_POSTGRES = _conventional("conventional-postgres", "conventional, PostgreSQL", on_postgres=True)
CONVENTIONAL_POSTGRES_HISTORY = _conventional(
    "conventional-postgres-history", "conventional with history, PostgreSQL", "--history", on_postgres=True
)

CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (
        RAW,
        PALACE,
        PALACE_WITHOUT_HISTORY,
        POCKETBASE,
        POCKETBASE_AS_IT_COMES,
        CONVENTIONAL,
        CONVENTIONAL_HISTORY,
        PALACE_POSTGRES,
        PALACE_TWO_NODES,
        PALACE_TWO_WORKERS,
        CONVENTIONAL_POSTGRES,
        CONVENTIONAL_POSTGRES_HISTORY,
        KINTO,
    )
}
