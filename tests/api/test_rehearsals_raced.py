"""Rehearsals and a PAL that is deleted, when both happen at once. Within one process."""

import asyncio
from pathlib import Path

import pytest

from palace.resources.pals import rehearsing
from palace.storage import Listing
from tests.api.rehearsing import SUITE
from tests.api.within import Within, within
from tests.serving import STOCK_FACE

ALL = Listing("own", "newest", 100)


async def new_pal(server: Within) -> str:
    made = await server.ask("POST", "/v2/pals", {"system_prompt": "a", "default_face_id": STOCK_FACE})
    id: str = made.body["pal_id"]
    return id


async def left(server: Within) -> int:
    """How many rehearsals there are of any PAL."""
    reading = server.services.store.reading
    return (await reading.links.search("rehearsal", 1, ALL)).total_count


def test_a_pal_that_is_deleted_before_its_rehearsal_begins_has_none(tmp_path: Path) -> None:
    async def scene() -> None:
        async with within(tmp_path) as server:
            pal = await new_pal(server)
            async with server.busy_store():
                deleting = server.send("DELETE", f"/v2/pals/{pal}")
                await asyncio.sleep(0.2)
                starting = server.send("POST", f"/v2/pals/{pal}/rehearsals", {"suite": SUITE})
                await asyncio.sleep(0.2)
            assert (await deleting.answered()).status == 204
            assert (await starting.answered()).status == 400
            assert "Invalid pal_id" in str(starting.body)
            assert await left(server) == 0

    asyncio.run(scene())


def test_all_rehearsals_go_with_their_pal_also_those_beyond_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with within(tmp_path) as server:
            pal = await new_pal(server)
            for _ in range(3):
                assert (await server.ask("POST", f"/v2/pals/{pal}/rehearsals", {"suite": SUITE})).status == 200
            assert await left(server) == 3
            monkeypatch.setattr(rehearsing, "MOST_KEPT", 1)
            assert (await server.ask("DELETE", f"/v2/pals/{pal}")).status == 204
            assert await left(server) == 0

    asyncio.run(scene())
