"""A delete and a PAL that begins to name what is deleted lock in the same order, so neither ends in a deadlock."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from palace.storage import postgres
from tests.api.within import within
from tests.postgres import new_database
from tests.serving import STOCK_FACE
from tests.storage.test_postgres import somebody, waits_for

MASTER_KEY = "3d" * 32
LOCK_PAL = "SELECT FROM documents WHERE id = '{}' FOR NO KEY UPDATE"
HOLD = "SELECT FROM documents WHERE id = '{}' FOR SHARE"


@pytest.mark.parametrize("kind", ["tool", "guardrail"])
def test_while_a_delete_waits_for_a_pal_the_pal_may_still_name_what_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """`somebody` locks as a patch of the PAL does on another server: first the PAL, then what it names."""
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 60)  # Who waits long enough for a lock tries again.
    url = new_database()
    made = {
        "tool": {"name": "price", "description": "Tells the price."},
        "guardrail": {"guardrail_name": "calm", "guardrail_prompt": "Stay calm."},
    }

    async def scene() -> None:
        async with within(tmp_path, PALACE_DATABASE=url, PALACE_MASTER_KEY=MASTER_KEY) as server:
            named = (await server.ask("POST", f"/v2/{kind}s", made[kind])).body
            id = named.get(f"{kind}_id") or named["uuid"]
            body = {"system_prompt": "a", "default_face_id": STOCK_FACE, f"{kind}_ids": [id]}
            pal = (await server.ask("POST", "/v2/pals", body)).body["pal_id"]
            before = server.services.meter.value("store_retries")
            async with somebody(url, "SET lock_timeout = '500ms'", LOCK_PAL.format(pal)) as other:
                deleting = server.send("DELETE", f"/v2/{kind}s/{id}")
                await waits_for(url, "Lock")
                try:
                    await other.execute(HOLD.format(id))
                except asyncpg.LockNotAvailableError:
                    pytest.fail("The delete holds what it deletes while it waits for the PAL.")
                await other.execute("COMMIT")
            assert (await deleting.answered()).status == 204
            assert server.services.meter.value("store_retries") == before
            assert (await server.ask("GET", f"/v2/pals/{pal}")).body[f"{kind}_ids"] == []

    asyncio.run(scene())
