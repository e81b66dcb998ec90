"""Lines that break at any moment, and servers that die: who comes back hears everything once, in order."""

import asyncio
import json
import time
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Message
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.acceptance.register.proxy import Proxy
from tests.api.within import within
from tests.lines import Frame, address, begun, line, stored
from tests.rows import rows
from tests.serving import Palace, start_palace
from tests.waiting import until

TURNS = 6


class Resuming:
    """A client that speaks one vocabulary. What it leaves aside does not count as had: `after` is what it acted on."""

    def __init__(self, conversation: Frame, role: str) -> None:
        self.conversation = conversation
        self.role = role
        self.other = {"pal": "replica", "replica": "pal"}[role]
        self.after = 0
        self.had: list[Frame] = []
        self.times = 0

    async def keep_listening(self, port: int | None = None) -> None:
        while True:
            try:
                parts = urlsplit(address(self.conversation, after=self.after, participant="a-visitor"))
                url = parts._replace(netloc=f"127.0.0.1:{port or parts.port}").geturl()
                async with connect(url, open_timeout=5) as socket:
                    self.times += 1
                    async for text in socket:
                        self._take(json.loads(text))
            except (OSError, WebSocketException, TimeoutError):
                await asyncio.sleep(0.02)

    def _take(self, frame: Frame) -> None:
        is_mine = frame.get("properties", {}).get("role") != self.other and ".replica." not in frame["event_type"]
        if "seq" in frame and is_mine:
            assert frame["seq"] > self.after, "it comes again, or out of order"
            self.after = frame["seq"]
            self.had.append(frame)

    def mine(self, frames: list[Frame]) -> list[Frame]:
        twin = Resuming(self.conversation, self.role)
        for frame in frames:
            twin._take(frame)
        return twin.had


@pytest.mark.parametrize("role", ["pal", "replica"])
def test_over_a_line_that_breaks_again_and_again_nothing_is_lost_and_nothing_comes_twice(palace, api, new_pal, role):
    call = begun(api, new_pal(greeting="Welcome."), chat=False, properties={"participant_left_timeout": 60})
    random = Random(role)
    host = urlsplit(palace.url)
    client = Resuming(call, role)

    async def scene() -> None:
        proxy = Proxy(lambda: asyncio.open_connection(host.hostname, host.port), random)
        await proxy.start()
        proxy.mode = "cut_answer"
        listening = asyncio.create_task(client.keep_listening(proxy.port))
        path = f"/v2/conversations/{call['conversation_id']}/respond"
        for number in range(TURNS):
            await until(lambda number=number: client.times > number)  # It is there again before it is cut again.
            await asyncio.to_thread(api.post, path, json={"text": f"Question {number}"})
            proxy.reset()
        proxy.mode = "pass"
        newest = (await asyncio.to_thread(stored, api, call))[-1]["seq"]
        await until(lambda: client.times > TURNS and client.after >= newest)
        listening.cancel()
        proxy.stop()

    asyncio.run(scene())
    kept = client.mine(stored(api, call))
    assert [frame for frame in client.had if frame["seq"] in {one["seq"] for one in kept}] == kept


def test_after_a_kill_those_who_come_back_miss_nothing_and_hear_nothing_twice(tmp_path: Path, port: int):
    data = tmp_path / "data"
    with start_palace(data, "--port", str(port)) as server, server.client() as api:
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72", "greeting": "Welcome."}
        call = begun(api, api.post("/v2/pals", json=body).json()["pal_id"])
        client = Resuming(call, "pal")
        asyncio.run(_killed_while_it_answers(server, api, call, client))
    with start_palace(data, "--port", str(port)) as server, server.client() as api:

        async def again() -> None:
            listening = asyncio.create_task(client.keep_listening())
            said = {"text": "Are you still there?"}
            await asyncio.to_thread(api.post, f"/v2/conversations/{call['conversation_id']}/respond", json=said)
            newest = (await asyncio.to_thread(stored, api, call))[-1]["seq"]
            await until(lambda: client.after >= newest)
            listening.cancel()

        asyncio.run(again())
        kept = client.mine(stored(api, call))
        assert [frame for frame in client.had if frame["seq"] in {one["seq"] for one in kept}] == kept


async def _killed_while_it_answers(server: Palace, api: Any, call: Frame, client: Resuming) -> None:
    listening = asyncio.create_task(client.keep_listening())
    await until(lambda: client.had and client.had[-1]["event_type"] == "conversation.utterance")
    path = f"/v2/conversations/{call['conversation_id']}/respond"
    await asyncio.to_thread(api.post, path, json={"text": "Tell me a long story.", "timeout_s": 0})
    await until(lambda: client.had[-1]["event_type"] == "conversation.utterance.streaming")
    server.kill()
    await asyncio.sleep(0.2)
    listening.cancel()


def test_who_does_not_come_back_after_a_restart_has_left(tmp_path: Path):
    data = tmp_path / "data"
    with start_palace(data) as server, server.client() as api:
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
        call = begun(api, api.post("/v2/pals", json=body).json()["pal_id"], max_participants=2)
        with line(call, participant="ann") as it:
            it.next()
            server.kill()
    with start_palace(data) as server, server.client() as api:
        state = api.get(f"/v2/conversations/{call['conversation_id']}").json()["status"]
        assert state == "active"
        assert "away" in away_in(server)


def away_in(server: Palace) -> str:
    """How far the conversation has come, as the store keeps it, once somebody is missed."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        found = rows(server.data, "SELECT state FROM conversations")
        text = bytes(found[0][0]).decode()
        if "away " in text:
            return text
        time.sleep(0.05)
    return ""


def test_what_was_sent_before_a_good_bye_is_taken_though_the_client_hears_nothing_any_more(tmp_path: Path):
    async def send(message: Message) -> None:
        if message["type"] != "websocket.accept":
            raise OSError("The connection is closed.")

    texts = [json.dumps({"event_type": "conversation.respond", "properties": {"text": text}}) for text in "abc"]
    received = [{"type": "websocket.receive", "text": text} for text in texts]

    async def scene() -> tuple[list[str], Any]:
        async with within(tmp_path) as server:
            call = await server.begin()
            await server.over_socket(call, [*received, {"type": "websocket.disconnect", "code": 1000}], send)
            found = (await server.ask("GET", f"/v2/conversations/{call}/transcript")).body["data"]
            ended = (await server.ask("GET", f"/v2/conversations/{call}")).body["status"]
            return [line["content"] for line in found if line["role"] == "user"], ended

    assert asyncio.run(scene()) == (["a", "b", "c"], "ended")
