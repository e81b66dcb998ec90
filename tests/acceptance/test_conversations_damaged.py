"""A conversation whose state on disk cannot be read keeps nobody else waiting."""

from pathlib import Path

import httpx

from tests.rows import change
from tests.serving import start_palace
from tests.talks import begin, new_pal
from tests.waiting import wait_until


def status(client: httpx.Client, id: str) -> str:
    said: str = client.get(f"/v2/conversations/{id}").json()["status"]
    return said


def test_a_conversation_that_cannot_be_read_is_left_alone_and_the_others_end_in_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start_palace(data) as palace, palace.client() as client:
        pal = new_pal(client)
        damaged = begin(client, pal)
        well = begin(client, pal, properties={"max_call_duration": 3})
    of = "document IN (SELECT seq FROM documents WHERE id = ?)"
    assert change(data, f"UPDATE conversations SET state = ?, wake_at = '' WHERE {of}", b"no state", damaged) == 1
    with start_palace(data) as palace, palace.client() as client:
        wait_until(lambda: status(client, well) == "ended")
        assert palace.log.read_text().count("could not look after a conversation ") == 1
        assert "no state" not in palace.log.read_text()
        assert client.get(f"/v2/conversations/{damaged}/respond").status_code == 503
        assert client.delete(f"/v2/conversations/{damaged}?hard=true").status_code == 204
