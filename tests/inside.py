"""A Palace without HTTP: its handlers, called in this process on a real database, for tests that make many calls."""

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palace.accounts import FIRST_ACCOUNT
from palace.app import open_services, prepare
from palace.call import Account, Call
from palace.errors import ClientError
from palace.masks import load_refs
from palace.resource import Services
from palace.resources import PAL
from palace.settings import load_settings
from palace.vocabulary import Words
from tests.serving import database_of

HANDLERS = {endpoint.operation_id: endpoint.handler for endpoint in PAL.endpoints}
WORDS = Words(False, PAL.aliases)


@dataclass(frozen=True)
class Answered:
    """What a client would get."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Inside:
    """Everything that handlers need, and a loop to run them on."""

    services: Services
    account: int
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def call(
        self, operation: str, id: str = "", body: Any = None, number: int | None = None, **options: Any
    ) -> Answered:
        """Carry out one operation of PALs, in the words of /v2/pals."""
        ids = {"id": id} if number is None else {"id": id, "number": str(number)}
        sent = json.loads(json.dumps(body))  # Nothing is shared with the test, as nothing would be over HTTP.
        call = Call(Account(self.account, "k-inside"), WORDS, ids, body=sent, body_as_sent=sent, **options)
        try:
            reply = self.run(HANDLERS[operation](PAL, call, self.services))
        except ClientError as error:
            return Answered(error.status, error.body(WORDS, "r-inside"), error.headers)
        return Answered(reply.status, json.loads(reply.document) if reply.document else None, reply.headers)

    def secrets_of(self, refs: bytes | None, id: str) -> dict[str, str]:
        """The secrets that a column of the store names, opened, by their pointers."""

        async def opened() -> dict[str, str]:
            found = {}
            for pointer, ref in load_refs(refs).items():
                sealed = await self.services.store.reading.get_secret(ref)
                assert sealed is not None, "a secret that is named is there"
                found[pointer] = self.services.vault.open(sealed, f"pal/{id}{pointer}")
            return found

        secrets: dict[str, str] = self.run(opened())
        return secrets


@contextmanager
def inside(folder: Path, **environment: str) -> Iterator[Inside]:
    """A Palace with its stock objects and its first account, on a database of its own."""
    mask = os.umask(0)
    os.umask(mask)
    try:
        with asyncio.Runner() as runner:
            data = folder / "inside"
            if "PALACE_EPHEMERAL" not in environment:
                environment = database_of(data) | environment
            settings = load_settings({"PALACE_DATA": str(data), "PALACE_DURABILITY": "normal", **environment})
            services = runner.run(open_services(settings))
            runner.run(prepare(settings, services))
            account = runner.run(services.store.reading.find_account(FIRST_ACCOUNT))
            try:
                yield Inside(services, account, runner)
            finally:
                runner.run(services.store.close())
    finally:
        os.umask(mask)
