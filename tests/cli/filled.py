"""A database with something in every table, made by a real server, what it holds, and commands on data folders."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from palace.transfer.tables import TABLES
from tests.api.making import created, finished
from tests.cli.commands import Done, invoked
from tests.media import jpeg
from tests.receiver import receiver
from tests.serving import STOCK_FACE, Palace, start_palace
from tests.sites import site
from tests.talks import begin, end, say

SECRET = "sk-5f2d9c-of-the-model"


def make_filled(data: Path) -> None:
    """Run a server on `data` and leave rows in every table."""
    with start_palace(data, "--allow-private-addresses", "127.0.0.0/8") as server:
        fill(server)


def fill(server: Palace) -> None:
    """Objects of several kinds, a deleted one, a draft, a claimed name, an answer under a key, a face with its file.

    And a callback that arrived, and a conversation that is over.
    """
    llm = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": SECRET}
    body: dict[str, Any] = {"system_prompt": "Grüße aus München 🌃", "default_face_id": STOCK_FACE}
    with server.client() as client, site() as pictures, receiver() as there:
        pictures.pages["/portrait.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(300, 300))
        names = {"username": "night.desk", "allowlist": ["a@example.org"]}
        ids = []
        for number in range(5):
            layers = {"llm": llm} | ({"conferencing": names} if number == 0 else {})
            answer = client.post(
                "/v2/pals",
                json={"pal_name": f"Straße {number}", **body, "layers": layers},
                headers={"idempotency-key": f"key-{number}"},
            )
            assert answer.status_code == 200, answer.text
            ids.append(answer.json()["pal_id"])
        for number in range(20):
            patch = [{"op": "replace", "path": "/pal_name", "value": f"Straße {number}\u2028"}]
            assert client.patch(f"/v2/pals/{ids[0]}?comment=warum", json=patch).status_code == 200
        assert client.patch(f"/v2/pals/{ids[1]}/draft", json=patch).status_code == 200
        assert client.delete(f"/v2/pals/{ids[2]}").is_success
        tool = client.post("/v2/tools", json={"name": "price", "description": "Tells the price."}).json()["tool_id"]
        teller = client.post("/v2/pals", json={**body, "pal_name": "Tells prices", "tool_ids": [tool]}).json()["pal_id"]
        conversation = begin(client, teller)
        say(client, conversation, "What is a room?")
        end(client, conversation)
        url = pictures.url("/portrait.jpg", "127.0.0.1")
        wanted = {"train_image_url": url, "voice_name": "calm-alto", "face_name": "Porter"}
        finished(client, created(client, **wanted, callback_url=there.url("/?token=t")))
        while not client.get("/v2/webhooks/deliveries?status=delivered").json()["data"]:
            assert len(there.wait()) == 1
    server.new_key("neighbour")


def contents(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, each in the order of its key."""
    found = {}
    with closing(sqlite3.connect(database)) as file:
        for table in TABLES:
            columns = ", ".join(f'"{name}"' for name in table.columns)
            found[table.name] = sorted(file.execute(f"SELECT {columns} FROM {table.name}").fetchall(), key=repr)
    return found


def run(*arguments: Any, **environment: str) -> Done:
    """Run `palace` to its end, in this process, which saves most of the time of a start."""
    absent = dict.fromkeys(name for name in os.environ if name.startswith(("PALACE_", "TAVUS_")))
    result = invoked(*arguments, environment={**absent, **environment})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done([], result.exit_code, result.stdout, result.stderr)
