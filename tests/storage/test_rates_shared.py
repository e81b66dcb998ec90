"""Servers on one PostgreSQL tell each other how many requests they let pass."""

import asyncio

from palace.rates import Use
from palace.storage.postgres import open_postgres
from tests.postgres import new_database


def test_what_two_servers_let_pass_is_added_and_past_minutes_are_forgotten():
    async def scene():
        stores = [await open_postgres(url, most_connections=4, statement_seconds=10) for _ in range(2)]
        one, other = stores
        assert await one.share_rates([Use("k1", 100, 3), Use("k2", 100, 1)]) == [Use("k1", 100, 3), Use("k2", 100, 1)]
        assert await other.share_rates([Use("k1", 100, 4)]) == [Use("k1", 100, 7)]
        assert await one.share_rates([Use("k1", 101, 2), Use("k1", 100, 1)]) == [Use("k1", 100, 8), Use("k1", 101, 2)]
        await other.share_rates([Use("k1", 102, 1)])
        assert await one.pool.pool.fetchval("SELECT min(minute) FROM rate_windows") == 101
        for store in stores:
            await store.close()

    url = new_database()
    asyncio.run(scene())


def test_many_servers_at_once_do_not_get_in_each_others_way():
    async def scene():
        stores = [await open_postgres(url, most_connections=4, statement_seconds=10) for _ in range(3)]
        keys = [f"k{number}" for number in range(20)]

        async def share(store, keys):
            for _ in range(20):
                await store.share_rates([Use(key, 100, 1) for key in keys])

        await asyncio.gather(*(share(store, order) for store in stores for order in (keys, keys[::-1])))
        totals = await stores[0].share_rates([Use(key, 100, 0) for key in keys])
        assert {use.requests for use in totals} == {120}
        for store in stores:
            await store.close()

    url = new_database()
    asyncio.run(scene())
