"""What an export takes along is what the schema has: every table, every column, in an order that references allow."""

import apsw
import pytest

from palace.storage.migrate import migrate
from palace.transfer.tables import TABLES

TYPES = {"INTEGER": {"integer"}, "TEXT": {"text"}, "BLOB": {"bytes", "json"}}


@pytest.fixture(scope="module")
def sqlite():
    connection = apsw.Connection(":memory:")
    migrate(connection)
    yield connection
    connection.close()


def test_they_are_all_tables_there_are(sqlite):
    found = [row[0] for row in sqlite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert sorted(found) == sorted(table.name for table in TABLES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_kinds_and_key_are_those_of_the_schema(sqlite, table):
    columns = sqlite.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table.name,)).fetchall()
    assert {name for name, *_ in columns} == set(table.columns)
    assert all(table.columns[name] in TYPES[type] for name, type, _ in columns)
    assert tuple(name for _, name in sorted((pk, name) for name, _, pk in columns if pk)) == table.key


def test_a_table_stands_behind_those_it_refers_to(sqlite):
    places = {table.name: place for place, table in enumerate(TABLES)}
    for table in TABLES:
        for (other,) in sqlite.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (table.name,)):
            assert places[other] < places[table.name]
