"""A database in which others have tables, and users who may not do everything there."""

import asyncio

import asyncpg
import pytest

from palace.storage import StorageFailure
from palace.storage.migrate import newest_schema
from palace.storage.migrate_postgres import migrate, present_schema
from palace.storage.postgres import open_postgres
from tests.postgres import connected, new_database

TABLES = "SELECT CAST(table_name AS text) FROM information_schema.tables WHERE table_schema = current_schema()"


async def opened(url: str) -> None:
    store = await open_postgres(url, most_connections=4, statement_seconds=10)
    await store.close()


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("schema_version (id int PRIMARY KEY, version int)", id="a version of something else"),
        pytest.param("keys (id int)", id="a name that is ours, too"),
    ],
)
def test_where_others_have_tables_of_our_names_nothing_is_made(table: str) -> None:
    url, name = new_database(), table.partition(" ")[0]

    async def made(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE TABLE {table}")

    async def looked(connection: asyncpg.Connection) -> list[object]:
        with pytest.raises(StorageFailure, match=f"table {name} that is not of Palace"):
            await present_schema(connection)
        tables = [row[0] for row in await connection.fetch(TABLES)]
        return [*tables, await connection.fetchval(f"SELECT count(*) FROM {name}")]

    connected(url, made)
    with pytest.raises(StorageFailure, match=f"table {name} that is not of Palace. Give it a database of its own"):
        asyncio.run(opened(url))
    assert connected(url, looked) == [name, 0]


def test_tables_of_other_names_are_in_nobodys_way() -> None:
    url = new_database()

    async def made(connection: asyncpg.Connection) -> None:
        await connection.execute("CREATE TABLE customers (id int)")

    connected(url, made)
    asyncio.run(opened(url))
    assert connected(url, present_schema) == newest_schema()


def test_who_may_not_make_tables_may_open_what_is_up_to_date() -> None:
    url = new_database()
    asyncio.run(opened(url))

    async def look(connection: asyncpg.Connection) -> None:
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        await connection.execute("DROP ROLE IF EXISTS palace_tests_clerk")
        await connection.execute("CREATE ROLE palace_tests_clerk")
        try:
            await connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO palace_tests_clerk")
            await connection.execute("SET ROLE palace_tests_clerk")
            assert await migrate(connection) == newest_schema()
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute("DROP OWNED BY palace_tests_clerk; DROP ROLE palace_tests_clerk")

    connected(url, look)
