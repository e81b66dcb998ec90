"""An action after a conversation whose model stays down: tried for as long as jobs are, then told. Nothing sleeps."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

from palace.app import open_services
from palace.clock import timestamp
from palace.conversation import Script, State
from palace.conversation.script import stored_script
from palace.conversation.state import stored_state
from palace.jobs import JOBS, keep_working
from palace.jobs.runner import MOST_ATTEMPTS
from palace.resource import Services
from palace.settings import load_settings
from palace.storage import Logged, Record
from palace.talking import POST_CALL, Given
from palace.talking.given import Pinned
from tests.thinking import mind

URL = "https://hooks.example/all?token=t"
TOOL = {
    "name": "save",
    "description": "Saves.",
    "parameters": {"type": "object", "properties": {"summary": {"type": "string"}}},
    "delivery": {"api": {"url": "https://tools.example/save"}},
}


async def a_conversation_that_is_over(services: Services) -> int:
    at = timestamp(services.clock.now())
    given = Given(Pinned("pal", "p1", 1, {"layers": {}}, {}), {"t1": Pinned("tool", "t1", 1, TOOL, {})}, URL)

    async def store(tx):
        document = await tx.insert(Record("conversation", "c1", 1, 1, at, at, b"{}"))
        script, state = stored_script(Script("c1", "p1", "f1")), stored_state(State("ended"))
        await tx.conversations.add(document, None, state, script, given.stored())
        await tx.conversations.log(document, 0, [Logged("line", 1, b'{"role":"user","content":"Hello."}')])
        await tx.jobs.add(1, POST_CALL, document, at, b'{"tool_id":"t1"}')
        return document

    return await services.store.transact(store)


def test_a_model_that_stays_down_is_asked_for_minutes_and_then_that_it_came_to_nothing_is_told(tmp_path: Path) -> None:
    async def scene(table: str):
        settings = {"PALACE_EPHEMERAL": "true", "PALACE_FIXED_TIME": "2026-01-01T00:00:00Z", "PALACE_MODELS": table}
        services = await open_services(load_settings(settings))
        document = await a_conversation_that_is_over(services)
        working = asyncio.create_task(keep_working(JOBS, services))
        reading = services.store.reading
        try:
            async with asyncio.timeout(60):
                while not await reading.conversations.logged(document, "event"):
                    services.clock.set(services.clock.now() + timedelta(seconds=60))
                    await asyncio.sleep(0.05)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        [event] = await reading.conversations.logged(document, "event")
        [call] = await reading.conversations.logged(document, "call")
        [listed], _ = await reading.webhooks.page(1, state="", conversation="c1", limit=10, offset=0)
        told = await reading.webhooks.get(listed.id, 1)
        retried = services.meter.value("jobs/retried")
        await services.models.close()
        await services.store.close()
        return json.loads(event.body), json.loads(call.body), told, retried

    with mind(lambda _asked: 400) as model:
        event, call, told, retried = asyncio.run(scene(model.table(tmp_path)))
    assert len(model.asked) == MOST_ATTEMPTS
    assert retried == MOST_ATTEMPTS - 1
    properties = event["properties"]
    assert (properties["status"], properties["tool_id"], properties["tool_name"]) == ("error", "t1", "save")
    assert properties["response"] == call["problem"] == "The model default answered 400 (some_error)."
    assert properties["request"] == {"body": ""}
    assert call["tool_call_id"] == "post_call_c1_t1"
    assert (told.url, told.event_type, json.loads(told.body)["properties"]) == (URL, event["event_type"], properties)
