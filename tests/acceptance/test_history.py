"""Every acknowledged change is in the history exactly once and in order, whatever happens around it."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from palace.json_patch import apply_patch
from tests.acceptance.test_durability import WRITERS, client_of, create
from tests.rows import check_sound, rows
from tests.serving import Palace, start_palace

APPENDS_EACH, COUNTS_EACH = 15, 4
STAMP = "updated_at"


@dataclass
class Acknowledged:
    """What the server said about the changes it accepted: the id of the request for each number of a revision."""

    requests: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    replayed: int = 0

    def take(self, answer: httpx.Response) -> None:
        number = int(answer.headers["x-revision"])
        assert number not in self.requests, "no two changes have the same number"
        self.requests[number] = answer.headers["x-request-id"]


@dataclass
class Writer:
    """One client that changes a PAL which 63 others change too."""

    client: httpx.AsyncClient
    path: str
    name: str
    said: Acknowledged

    async def append(self, count: int) -> None:
        """Unguarded: whatever the PAL says by now, this is put at the end of its list."""
        steps = [{"op": "add", "path": "/document_tags/-", "value": f"{self.name}-{count}"}]
        answer = await self.client.patch(self.path, json=steps, headers={"x-request-id": f"{self.name}-{count}"})
        assert answer.status_code == 200, answer.text
        self.said.take(answer)

    async def append_twice(self, count: int) -> None:
        """The same request sent two times at once, as by a client that lost its patience."""
        id = f"{self.name}-{count}"
        steps = [{"op": "add", "path": "/document_tags/-", "value": id}]
        headers = {"idempotency-key": f"{self.path}/{id}", "x-request-id": id}

        async def send() -> httpx.Response:
            while True:
                answer = await self.client.patch(self.path, json=steps, headers=headers)
                if answer.status_code != 409:
                    return answer
                assert answer.json()["details"][0]["code"] == "idempotency_key_in_use"
                await asyncio.sleep(0.02)

        answers = await asyncio.gather(send(), send())
        assert [answer.status_code for answer in answers] == [200, 200]
        replayed = [answer for answer in answers if "idempotency-replayed" in answer.headers]
        assert len(replayed) == 1
        assert answers[0].content == answers[1].content
        assert len({answer.headers["x-revision"] for answer in answers}) == 1
        self.said.replayed += 1
        self.said.take(answers[0])

    async def count_up(self, count: int) -> None:
        """Guarded: read a number, write the next one, and start again when anybody was faster.

        The name makes it another text than the others write: what would change nothing any more is no conflict (304).
        """
        while True:
            read = await self.client.get(self.path)
            number = int(read.json()["context"].split()[0])
            steps = [{"op": "replace", "path": "/context", "value": f"{number + 1} by {self.name}"}]
            headers = {"if-match": read.headers["etag"], "x-request-id": f"{self.name}-{count}"}
            answer = await self.client.patch(self.path, json=steps, headers=headers)
            if answer.status_code == 200:
                self.said.take(answer)
                return
            assert answer.status_code == 412, answer.text
            assert answer.json()["details"]
            assert {detail["code"] for detail in answer.json()["details"]} == {"changed_since"}
            self.said.refused += 1


async def revisions_of(client: httpx.AsyncClient, path: str, limit: int = 37) -> list[dict[str, Any]]:
    """All of the history, oldest first, read page by page."""
    found: list[dict[str, Any]] = []
    query = {"limit": str(limit)}
    while True:
        page = (await client.get(f"{path}/revisions", params=query)).json()
        found += page["data"]
        if page["next_cursor"] is None:
            return found[::-1]
        assert len(page["data"]) == limit
        query["cursor"] = page["next_cursor"]


async def replayed(client: httpx.AsyncClient, path: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    """The first document with every patch of the history applied; each is compared with the document told for it."""
    document: Any = None
    for one in listed:
        shown = (await client.get(f"{path}/revisions/{one['revision']}")).json()
        assert {name: shown[name] for name in one} == one
        document = apply_patch(document, shown["patch"]).document if document else shown["document"]
        assert without_stamp(document) == without_stamp(shown["document"])
    return without_stamp(document)


def without_stamp(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != STAMP}


def test_64_writers_with_and_without_guards_are_in_the_history_exactly_once_and_in_order(palace):
    said = Acknowledged()

    async def scene():
        async with client_of(palace) as client:
            pal_id = await create(client)
            path = f"/v2/pals/{pal_id}"
            await client.patch(path, json=[{"op": "replace", "path": "/context", "value": "0"}])

            async def write(number: int) -> None:
                writer = Writer(client, path, f"w{number}", said)
                kinds = [(writer.append, APPENDS_EACH), (writer.count_up, COUNTS_EACH)]
                kinds += [(writer.append_twice, APPENDS_EACH), (writer.count_up, COUNTS_EACH)]
                act, times = kinds[number % len(kinds)]
                for count in range(times):
                    await act(count)

            await asyncio.gather(*(write(number) for number in range(WRITERS)))
            listed = await revisions_of(client, path)
            return listed, await replayed(client, path, listed), (await client.get(path)).json()

    listed, rebuilt, last = asyncio.run(scene())
    appended, counted = WRITERS // 2 * APPENDS_EACH, WRITERS // 2 * COUNTS_EACH
    assert [one["revision"] for one in listed] == list(range(1, 2 + appended + counted + 1))
    assert {one["revision"]: one["request_id"] for one in listed[2:]} == said.requests
    assert len(set(said.requests.values())) == appended + counted
    assert [one["etag_before"] for one in listed[1:]] == [one["etag"] for one in listed[:-1]]
    assert rebuilt == without_stamp(last)
    assert int(last["context"].split()[0]) == counted, "no count was lost between reading and writing"
    by_number = [id for _, id in sorted(said.requests.items())]
    assert last["document_tags"] == [id for id in by_number if int(id[1:].split("-")[0]) % 2 == 0]
    for number in range(WRITERS):
        own = [id for id in by_number if id.startswith(f"w{number}-")]
        assert own == [f"w{number}-{count}" for count in range(len(own))], "each writer's order is kept"
    assert said.refused > 0, "somebody was faster at least once"
    assert said.replayed == appended // 2


# --- SIGKILL ----------------------------------------------------------------------------------------------------------

Acks = dict[str, list[tuple[int, str]]]


ENOUGH_WRITES = 100
"""so many are acknowledged before the server dies; fewer would prove little"""


async def write_until_it_dies(palace: Palace, seconds: float) -> Acks:
    """16 writers, each on a PAL of its own: number and tag of every revision that was acknowledged."""
    acknowledged: Acks = {}

    async with client_of(palace) as client:
        pals = [await create(client) for _ in range(16)]

        async def write(pal_id: str) -> None:
            said = acknowledged[pal_id] = []
            for count in itertools.count():
                try:
                    answer = await change(client, f"/v2/pals/{pal_id}", count)
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                said.append((int(answer.headers["x-revision"]), answer.headers["etag"]))

        async def strike() -> None:
            await asyncio.sleep(seconds)
            while sum(map(len, acknowledged.values())) <= ENOUGH_WRITES:  # A busy machine takes longer.
                await asyncio.sleep(0.01)
            await asyncio.to_thread(palace.kill)

        await asyncio.gather(strike(), *(write(pal_id) for pal_id in pals))
    return acknowledged


async def change(client: httpx.AsyncClient, path: str, count: int) -> httpx.Response:
    """In turns: something appended, a new secret, most of the document, and all of that undone."""
    tts = {"api_key": f"key-{count}", "voice_settings": {"a/b": count}}
    kinds: list[Any] = [
        {"op": "add", "path": "/document_tags/-", "value": str(count)},
        {"op": "add", "path": "/layers/tts", "value": tts},
        {"op": "replace", "path": "/memories", "value": [f"{count}/{n} " + "x" * 40 for n in range(30)]},
    ]
    if count % 4 < len(kinds):
        return await client.patch(path, json=[kinds[count % 4]])
    return await client.post(f"{path}/rollback", json={"to": max(count - 2, 1)})


def check_stored(data: Path) -> None:
    """What the database itself says: sound, gapless, and nothing is named that is not there."""
    check_sound(data)
    gaps = """SELECT documents.id FROM documents LEFT JOIN revisions ON document = seq
              GROUP BY seq HAVING count(number) <> revision OR max(number) <> revision OR min(number) <> 1"""
    assert rows(data, gaps) == []
    differing = """SELECT documents.id FROM documents JOIN revisions ON document = seq AND number = revision
                   WHERE documents.etag <> revisions.etag OR documents.secrets IS DISTINCT FROM revisions.secrets
                      OR documents.updated_at <> revisions.created_at OR documents.base <> revisions.base"""
    assert rows(data, differing) == []
    named = rows(data, "SELECT secrets FROM revisions WHERE secrets IS NOT NULL")
    kept = {secret for (secret,) in rows(data, "SELECT secret FROM secrets")}
    assert {secret for (refs,) in named for secret in json.loads(refs).values()} <= kept


async def check_histories(palace: Palace, acknowledged: Acks) -> None:
    """What was acknowledged is in the history; at most the one unanswered change follows it."""
    assert sum(map(len, acknowledged.values())) > ENOUGH_WRITES
    async with client_of(palace) as client:
        for pal_id, said in acknowledged.items():
            path = f"/v2/pals/{pal_id}"
            listed = await revisions_of(client, path)
            assert [one["revision"] for one in listed] == list(range(1, len(listed) + 1))
            told = [(one["revision"], one["etag"]) for one in listed[1:]]
            assert told[: len(said)] == said
            assert len(told) <= len(said) + 1
            last = await client.get(path)
            assert (int(last.headers["x-revision"]), last.headers["etag"]) == (len(listed), listed[-1]["etag"])
            assert await replayed(client, path, listed) == without_stamp(last.json())


def test_sigkill_in_the_middle_of_writes_leaves_histories_without_a_gap(tmp_path):
    data = tmp_path / "data"
    for seconds in (0.6, 0.9):
        with start_palace(data) as palace:
            acknowledged = asyncio.run(write_until_it_dies(palace, seconds))
        check_stored(data)
        with start_palace(data) as palace:
            asyncio.run(check_histories(palace, acknowledged))
            assert palace.stop() == 0
