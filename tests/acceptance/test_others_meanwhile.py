"""What a write finds when another node has changed what it was about to follow: between a look and a lock."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.acceptance.several import new_pal, start_node
from tests.api.guardrailing import GUARDRAILS, assert_twins, made, rule, uuids
from tests.api.tooling import create, created
from tests.postgres import new_database
from tests.serving import Palace

LOOKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture(scope="module")
def database() -> str:
    return new_database()


@pytest.fixture(scope="module")
def node(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    with start_node(tmp_path_factory.mktemp("node"), database) as server:
        yield server


def while_another_node(database: str, statement: str, *values: Any, request: Callable[[], httpx.Response]) -> Any:
    """The answer to a request that waits for a transaction which has carried out this statement."""

    async def act() -> Any:
        connection = await asyncpg.connect(database)
        await connection.execute("BEGIN")
        await connection.execute(statement, *values)
        answering = asyncio.create_task(asyncio.to_thread(request))
        while not await connection.fetchval(LOOKED):
            await asyncio.sleep(0.01)
        await connection.execute("COMMIT")
        await connection.close()
        return await answering

    return asyncio.run(asyncio.wait_for(act(), 30))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("deleted_at = 'now', revision = revision + 1", id="the document is deleted"),
        pytest.param("body = $2, revision = revision + 1", id="the document has the id no more"),
    ],
)
def test_what_is_deleted_is_taken_out_only_of_documents_that_still_have_it(node, database, change):
    with node.client() as api:
        tool = created(create(api))["tool_id"]
        pal = new_pal(api, tool_ids=[tool])
        without = json.dumps(api.get(f"/v2/pals/{pal}").json() | {"tool_ids": []}).encode()
        values = [pal, without] if "$2" in change else [pal]
        statement = f"UPDATE documents SET {change} WHERE id = $1"
        answer = while_another_node(database, statement, *values, request=lambda: api.delete(f"/v2/tools/{tool}"))
        assert answer.status_code == 204, answer.text
        if "$2" in change:
            assert api.get(f"/v2/pals/{pal}").headers["x-revision"] == "2"


def test_a_guardrail_changes_the_item_that_it_is_though_that_has_moved(node, database):
    with node.client() as api:
        a_set = made(api, rule("first"), rule("second"))
        first, _ = uuids(api, a_set)
        stored = api.get(f"{GUARDRAILS}/{a_set}").json()
        moved = json.dumps(stored | {"data": stored["data"][::-1]}).encode()
        steps = [{"op": "replace", "path": "/guardrail_prompt", "value": "Never ever."}]
        statement = "UPDATE documents SET body = $2, revision = revision + 1 WHERE id = $1"
        answer = while_another_node(
            database, statement, a_set, moved, request=lambda: api.patch(f"{GUARDRAILS}/{first}", json=steps)
        )
        assert answer.status_code == 200, answer.text
        assert uuids(api, a_set)[1] == first
        assert_twins(api, a_set)
