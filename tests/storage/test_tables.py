"""What an export takes along is what the schema has: every table, every column, in an order that references allow."""

import asyncio
from collections import defaultdict

import apsw
import asyncpg
import pytest

from palace.storage import migrate_postgres
from palace.storage.migrate import migrate
from palace.transfer.tables import TABLES
from tests.postgres import new_database

TYPES = {"INTEGER": {"integer"}, "TEXT": {"text"}, "BLOB": {"bytes", "json"}}
POSTGRES_TYPES = {"bigint": "integer", "text": "text", "bytea": "json"}


@pytest.fixture(scope="module")
def sqlite():
    connection = apsw.Connection(":memory:")
    migrate(connection)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def postgres():
    """Columns, primary keys and numbered tables of the schema on PostgreSQL."""

    url = new_database()

    async def described():
        connection = await asyncpg.connect(url)
        try:
            await migrate_postgres.migrate(connection)
            columns = await connection.fetch(
                "SELECT table_name, data_type, column_name, is_identity FROM information_schema.columns"
                " WHERE table_schema = 'public' AND is_generated = 'NEVER'"
            )
            keys = await connection.fetch(
                "SELECT usage.table_name, usage.column_name FROM information_schema.key_column_usage AS usage"
                " JOIN information_schema.table_constraints USING (constraint_name, constraint_schema)"
                " WHERE constraint_type = 'PRIMARY KEY' ORDER BY usage.table_name, ordinal_position"
            )
        finally:
            await connection.close()
        found = {"columns": defaultdict(list), "keys": defaultdict(list), "numbered": set()}
        for table, kind, name, is_identity in columns:
            found["columns"][table].append((kind, name))
            if is_identity == "YES":
                found["numbered"].add(table)
        for table, name in keys:
            found["keys"][table].append(name)
        return found

    return asyncio.run(described())


STANDS_FOR = {"digest": "value"}
"""No index of PostgreSQL takes a text of any length."""
FOLLOWS = {"document_counts"}
"""What triggers keep, so that it need not be taken along."""


def test_they_are_all_tables_there_are(sqlite):
    found = [row[0] for row in sqlite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert set(found) == {table.name for table in TABLES} | FOLLOWS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_kinds_and_key_are_those_of_the_schema(sqlite, table):
    columns = sqlite.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table.name,)).fetchall()
    assert {name for name, *_ in columns} == set(table.columns)
    assert all(table.columns[name] in TYPES[type] for name, type, _ in columns)
    assert tuple(name for _, name in sorted((pk, name) for name, _, pk in columns if pk)) == table.key


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_postgresql_has_the_same_columns_and_keys(postgres, table):
    columns = {name: kind for kind, name in postgres["columns"][table.name]}
    assert {name: POSTGRES_TYPES[kind] for name, kind in columns.items()} == {
        name: "json" if kind == "bytes" else kind for name, kind in table.columns.items()
    }
    assert tuple(STANDS_FOR.get(name, name) for name in postgres["keys"][table.name]) == table.key
    assert table.is_numbered == (table.name in postgres["numbered"])


def test_postgresql_has_no_other_tables_but_those_of_no_lasting_worth(postgres):
    assert set(postgres["columns"]) == {table.name for table in TABLES} | FOLLOWS | {"schema_version", "rate_windows"}


def test_a_table_stands_behind_those_it_refers_to(sqlite):
    places = {table.name: place for place, table in enumerate(TABLES)}
    for table in TABLES:
        for (other,) in sqlite.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (table.name,)):
            assert places[other] < places[table.name]
