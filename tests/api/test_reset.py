"""POST /_palace/reset: back to the state after start-up, beside whatever else goes on."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import STOCK_FACE, Palace, start_palace

NEW_PAL = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
SAMPLE = "/v2/pals/pcb7a34da5fe"
SEED = {"pals": [{"pal_id": "pseeded", **NEW_PAL}]}
SLOW = 2


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    folder = tmp_path_factory.mktemp("seeded")
    (folder / "seed.json").write_text(json.dumps(SEED))
    flags = ("--ephemeral", "--seed", str(folder / "seed.json"), "--id-seed", "7")
    with start_palace(folder / "data", *flags, PALACE_FIXED_TIME="2026-01-01T00:00:00Z") as palace:
        yield palace


@pytest.fixture
def api(seeded: Palace) -> Iterator[httpx.Client]:
    with seeded.client() as client:
        assert client.post("/_palace/reset").status_code == 204
        yield client


def everything(api: httpx.Client) -> dict[str, Any]:
    """All that tells one state of the server from another."""
    paths = ("/v2/pals?limit=100", "/v2/faces?limit=100", f"{SAMPLE}/revisions", "/_palace/clock", "/_palace/faults")
    return {path: api.get(path).json() for path in paths}


def test_what_was_made_is_gone_and_what_was_changed_or_deleted_is_back(api: httpx.Client) -> None:
    before = everything(api)
    assert "pseeded" in str(before)
    api.post("/v2/pals", json=NEW_PAL)
    api.patch(SAMPLE, json=[{"op": "add", "path": "/greeting", "value": "Hello."}])
    api.patch(f"{SAMPLE}/draft", json=[{"op": "add", "path": "/greeting", "value": "Good morning."}])
    api.delete("/v2/pals/pseeded")
    api.post("/_palace/clock", json={"advance_seconds": 1000})
    api.post("/_palace/faults", json={"faults": [{"answer": "500", "match": {"method": "DELETE"}}]})
    assert everything(api) != before
    answer = api.post("/_palace/reset")
    assert (answer.status_code, answer.content) == (204, b"")
    assert everything(api) == before


def test_ids_and_answers_under_idempotency_keys_begin_anew(api: httpx.Client) -> None:
    def create() -> httpx.Response:
        return api.post("/v2/pals", json=NEW_PAL, headers={"idempotency-key": "once"})

    first = create()
    assert create().headers["idempotency-replayed"] == "true"
    api.post("/_palace/reset")
    second = create()
    assert "idempotency-replayed" not in second.headers
    assert second.json() == first.json()


def test_it_needs_a_key_and_only_post_does_it(seeded: Palace, api: httpx.Client) -> None:
    with seeded.client(None) as nobody:
        assert nobody.post("/_palace/reset").json()["message"] == "Invalid access token"
    answer = api.get("/_palace/reset")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_it_is_safe_beside_requests_in_flight(seeded: Palace, api: httpx.Client) -> None:
    """Whatever was asked meanwhile got an answer that is documented, and nothing is left of what came before."""
    before = everything(api)
    statuses: set[int] = set()
    is_over = threading.Event()

    def work(number: int) -> None:
        with seeded.client() as client:
            while not is_over.is_set():
                made = client.post("/v2/pals", json={**NEW_PAL, "pal_name": f"{number}"})
                pal = f"/v2/pals/{made.json()['pal_id']}"
                patched = client.patch(pal, json=[{"op": "add", "path": "/greeting", "value": f"{number}"}])
                deleted = client.delete(pal)
                statuses.update({made.status_code, patched.status_code, deleted.status_code})

    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(work, number) for number in range(8)]
        for _ in range(60):
            assert api.post("/_palace/reset").status_code == 204
        is_over.set()
        for worker in workers:
            worker.result()
    assert {200, 204} <= statuses <= {200, 204, 304, 400}
    api.post("/_palace/reset")
    assert everything(api) == before


def test_without_permission_there_is_no_such_path(palace: Palace, tmp_path: Path) -> None:
    with palace.client() as api:
        assert api.post("/_palace/reset").json()["details"][0]["code"] == "no_such_route"
    with start_palace(tmp_path / "data", "--ephemeral", "--no-allow-reset") as strict, strict.client() as api:
        assert api.post("/_palace/reset").status_code == 404


@pytest.mark.about_the_file("a database that other servers may share is never set back")
def test_a_folder_that_is_kept_goes_back_to_what_it_was_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start_palace(data) as palace, palace.client() as api:
        kept = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
    with start_palace(data, "--allow-reset") as palace, palace.client() as api:
        before = api.get("/v2/pals").json()
        api.delete(kept)
        made = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        assert api.post("/_palace/reset").status_code == 204
        assert api.get("/v2/pals").json() == before
        after = "/v2/pals/" + api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
    with start_palace(data) as palace, palace.client() as api:
        assert [api.get(pal).status_code for pal in (kept, made, after)] == [200, 400, 200]
