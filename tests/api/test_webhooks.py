"""Callbacks from end to end: a face that was asked for tells its end, and its owner sees, verifies and repeats that."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.api.making import created, finished
from tests.api.test_metrics import figures
from tests.api.wire import NO_SUCH_ID, is_replay, keyed, preview, refused
from tests.cli.test_commands import palace as run
from tests.media import jpeg
from tests.receiver import OK, Call, Receiver, receiver
from tests.rows import change, everything, rows
from tests.serving import BACKEND, Palace, start_palace
from tests.sites import Site, site
from tests.waiting import wait_until

FLAGS = ("--allow-private-addresses", "127.0.0.0/8")
PORTRAIT = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))
TOKEN = "token=of-theirs%20"
UNKNOWN = "wd000000000000000000000000"


@pytest.fixture(scope="module")
def pictures() -> Iterator[Site]:
    with site() as running:
        running.pages["/a.jpg"] = PORTRAIT
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    with start_palace(tmp_path_factory.mktemp("webhooks") / "data", *FLAGS) as running:
        yield running


@pytest.fixture
def client(server: Palace) -> Iterator[httpx.Client]:
    with server.client() as running:
        yield running


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def train(client: httpx.Client, pictures: Site, url: str, picture: str = "/a.jpg") -> str:
    """A new face whose end is told to this URL."""
    return created(client, train_image_url=pictures.url(picture, "127.0.0.1"), voice_name="calm-alto", callback_url=url)


def deliveries(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    answer = client.get("/v2/webhooks/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["data"]
    return listed


def of_face(client: httpx.Client, face: str) -> dict[str, Any]:
    [found] = [one for one in deliveries(client, limit="100") if one["about"] == {"kind": "face", "id": face}]
    return found


def settled(client: httpx.Client, face: str) -> dict[str, Any]:
    """The callback of a face with all its attempts, once it waits no more."""
    finished(client, face)
    deadline = time.monotonic() + 20
    while (found := of_face(client, face))["status"] == "waiting":
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    whole: dict[str, Any] = client.get(f"/v2/webhooks/deliveries/{found['delivery_id']}").json()
    return whole


def secret_of(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/v2/webhooks/secret")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    assert set(said) == {"secret", "created_at", "previous_until"}
    return said


def rotated(client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/v2/webhooks/secret/rotate")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def verified(call: Call, secret: str) -> Any:
    return Webhook(secret).verify(call.body, dict(call.headers))


# --- A face tells its end ---------------------------------------------------------------------------------------------


def test_a_face_that_is_completed_is_told_to_its_callback_url_signed(client, pictures, there):
    face = train(client, pictures, there.url(f"/hook?{TOKEN}"))
    found = settled(client, face)
    [call] = there.wait()
    assert call.path == f"/hook?{TOKEN}"
    said = {"replica_id": face, "status": "ready", "error_message": None}
    assert verified(call, secret_of(client)["secret"]) == said
    [attempt] = found.pop("attempts")
    assert (attempt["attempt"], attempt["status"], attempt["problem"]) == (1, 200, None)
    assert json.loads(found.pop("body")) == said
    assert found.pop("created_at") <= found.pop("delivered_at")
    assert found == {
        "delivery_id": call.id,
        "status": "delivered",
        "event_type": "face.trained",
        "conversation_id": None,
        "about": {"kind": "face", "id": face},
        "url": there.url(f"/hook?{TOKEN}"),
        "attempt_count": 1,
        "next_attempt_at": None,
        "last_status": 200,
        "last_problem": None,
    }


def test_a_face_that_failed_tells_why(client, pictures, there):
    face = train(client, pictures, there.url(), "/nothing.jpg")
    settled(client, face)
    shown = finished(client, face)
    assert there.wait()[0].said == {
        "replica_id": face,
        "status": "error",
        "error_message": shown["error_message"],
    }


def test_a_face_without_a_callback_url_tells_nobody(client, pictures):
    face = created(client, train_image_url=pictures.url("/a.jpg", "127.0.0.1"), voice_name="calm-alto")
    finished(client, face)
    assert face not in str(deliveries(client, limit="100"))


def test_a_callback_url_that_leads_inwards_is_refused_with_the_face(api):
    body = {"train_image_url": "https://a.example/a.jpg", "voice_name": "calm-alto"}
    details = refused(api.post("/v2/faces", json={**body, "callback_url": "http://10.0.0.1/"}), 400)
    assert [(one["code"], one["pointer"]) for one in details] == [("url_not_allowed", "/callback_url")]


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_lists_are_newest_first_in_pages_by_status_and_by_conversation(client, pictures, there):
    there.answers = lambda call: OK if call.path == "/good" else (410, {}, b"")
    good = settled(client, train(client, pictures, there.url("/good")))["delivery_id"]
    bad = settled(client, train(client, pictures, there.url("/bad")))["delivery_id"]
    assert [one["delivery_id"] for one in deliveries(client)][:2] == [bad, good]
    assert [one["delivery_id"] for one in deliveries(client, limit="1", page="2")] == [good]
    assert bad in {one["delivery_id"] for one in deliveries(client, status="parked")}
    assert {one["status"] for one in deliveries(client, status="parked", limit="100")} == {"parked"}
    assert deliveries(client, conversation_id="c0123456789ab") == []
    total = client.get("/v2/webhooks/deliveries?limit=1").json()["total_count"]
    assert total == len(deliveries(client, limit="100"))


@pytest.mark.parametrize("query", [{"status": "lost"}, {"limit": "x"}, {"page": "x"}], ids=str)
def test_a_parameter_that_cannot_be_read_is_refused(client, query):
    [detail] = refused(client.get("/v2/webhooks/deliveries", params=query), 400)
    assert (detail["code"], detail["parameter"]) == ("invalid_query", next(iter(query)))


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/redeliver")])
def test_an_unknown_delivery_is_404(client, method, path):
    answer = client.request(method, f"/v2/webhooks/deliveries/{UNKNOWN}{path}")
    [detail] = refused(answer, 404, "Delivery not found")
    assert detail == {"code": "invalid_id", "problem": NO_SUCH_ID}


def test_accounts_see_and_sign_only_what_is_theirs(server, client, pictures, there):
    id = settled(client, train(client, pictures, there.url()))["delivery_id"]
    with server.client(server.new_key("neighbour")) as neighbour:
        assert deliveries(neighbour) == []
        refused(neighbour.get(f"/v2/webhooks/deliveries/{id}"), 404)
        refused(neighbour.post(f"/v2/webhooks/deliveries/{id}/redeliver"), 404)
        assert secret_of(neighbour)["secret"] != secret_of(client)["secret"]


# --- Sending again ----------------------------------------------------------------------------------------------------


def test_a_callback_is_sent_again_under_the_same_id_whatever_became_of_it(client, pictures, there):
    there.answers = (410, {}, b"")
    face = train(client, pictures, there.url())
    id = settled(client, face)["delivery_id"]
    there.answers = OK
    for count, status in ((2, "parked"), (3, "delivered")):
        assert of_face(client, face)["status"] == status
        again = client.post(f"/v2/webhooks/deliveries/{id}/redeliver")
        assert (again.status_code, again.json()["delivery_id"], again.json()["status"]) == (200, id, "waiting")
        there.wait(count)
        assert settled(client, face)["attempt_count"] == count
    assert there.ids == [id] * 3
    assert len({call.body for call in there.calls}) == 1


def test_a_preview_of_sending_again_sends_nothing(client, pictures, there):
    id = settled(client, train(client, pictures, there.url()))["delivery_id"]
    said = preview(client, "POST", f"/v2/webhooks/deliveries/{id}/redeliver")
    assert (said["changed"], said["document"]["status"]) == (True, "waiting")
    assert {"op": "replace", "path": "/status", "value": "waiting"} in said["patch"]
    time.sleep(0.7)
    assert len(there.calls) == 1


def test_sending_again_is_carried_out_once_under_a_key(client, pictures, there):
    id = settled(client, train(client, pictures, there.url()))["delivery_id"]
    path, headers = f"/v2/webhooks/deliveries/{id}/redeliver", keyed(f"again-{id}")
    assert is_replay(client.post(path, headers=headers), client.post(path, headers=headers))
    there.wait(2)
    time.sleep(0.7)
    assert len(there.calls) == 2


# --- The secret -------------------------------------------------------------------------------------------------------


def test_the_secret_is_made_at_first_use_and_stays(client):
    first = secret_of(client)
    assert first["secret"].startswith("whsec_")
    assert secret_of(client) == first
    assert client.get("/v2/webhooks/secret").headers["cache-control"] == "no-store"


def test_after_a_rotation_callbacks_are_signed_with_both_secrets(client, pictures, there):
    before = secret_of(client)
    told = rotated(client)
    after = secret_of(client)
    assert after["secret"] != before["secret"]
    assert told == {"created_at": after["created_at"], "previous_until": after["previous_until"]}
    assert after["previous_until"] > after["created_at"]
    settled(client, train(client, pictures, there.url()))
    [call] = there.wait()
    for secret in (before["secret"], after["secret"]):
        assert verified(call, secret)["status"] == "ready"


def test_when_the_day_is_over_the_former_secret_signs_no_more(tmp_path, pictures, there):
    fixed = ("--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z")
    with start_palace(tmp_path / "data", *fixed, *FLAGS) as server, server.client() as client:
        before = secret_of(client)["secret"]
        assert rotated(client)["previous_until"] == "2026-01-02T00:00:00.000000Z"
        settled(client, train(client, pictures, there.url()))
        moved = client.post("/_palace/clock", json={"now": "2026-01-02T00:00:00Z"})
        assert moved.status_code == 200, moved.text
        assert secret_of(client)["previous_until"] is None
        settled(client, train(client, pictures, there.url()))
        first, second = (call.headers["webhook-signature"].split(" ") for call in there.wait(2))
        assert (len(first), len(second)) == (2, 1)
        assert secret_of(client)["secret"] != before


def test_a_preview_of_a_rotation_changes_nothing(client):
    before = secret_of(client)
    said = preview(client, "POST", "/v2/webhooks/secret/rotate")
    assert set(said["document"]) == {"created_at", "previous_until"}
    assert secret_of(client) == before


def test_neither_the_secrets_nor_what_clients_have_in_their_urls_is_told_to_others(server, client, pictures, there):
    there.answers = lambda call: (500, {}, b"") if len(there.calls) % 2 else OK
    secrets = [secret_of(client)["secret"]]
    answers = [client.post("/v2/webhooks/secret/rotate", headers=keyed("rotate-1")) for _ in range(2)]
    assert is_replay(*answers)
    secrets.append(secret_of(client)["secret"])
    train(client, pictures, there.url("/?hidden=5f2d9c"))
    there.wait()
    stored = b"".join(everything(server.data).values())
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret.removeprefix("whsec_").encode() not in stored
    told = server.log.read_text() + httpx.get(f"{server.url}/metrics").text
    assert "5f2d9c" not in told
    assert "whsec_" not in told
    assert "callback failed" in told


def test_a_rotation_and_a_redelivery_are_in_the_audit_log(tmp_path, pictures, there):
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        id = settled(client, train(client, pictures, there.url()))["delivery_id"]
        client.post(f"/v2/webhooks/deliveries/{id}/redeliver")
        rotated(client)
    told = rows(tmp_path / "data", "SELECT action, kind, id FROM audit WHERE action IN ('redeliver', 'rotate')")
    assert sorted(told) == [("redeliver", "webhook_delivery", id), ("rotate", "webhook_secret", "")]


def test_a_new_master_key_keeps_the_secret(tmp_path):
    with start_palace(tmp_path / "data") as server, server.client() as client:
        before = secret_of(client)
    done = run("keys", "rotate-master", "--data", tmp_path / "data", "--no-server-runs")
    assert done.returncode == 0, done.stderr
    with start_palace(tmp_path / "data") as server, server.client() as client:
        assert secret_of(client) == before


# --- Whatever happens to the server -----------------------------------------------------------------------------------


def forget_who_sent(data: Path) -> None:
    """What half a minute does, and the first wait."""
    change(data, "UPDATE deliveries SET leased_until = '', due_at = ''")


def test_a_callback_that_was_written_but_not_sent_survives_kill(tmp_path, pictures):
    with receiver() as gone:
        """Its port is free afterwards."""
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        face = train(client, pictures, gone.url())
        finished(client, face)
        server.kill()
    forget_who_sent(tmp_path / "data")
    with (
        receiver(gone.port) as there,
        start_palace(tmp_path / "data", *FLAGS) as server,
        server.client() as client,
    ):
        assert [call.said["replica_id"] for call in there.wait()] == [face]
        assert settled(client, face)["status"] == "delivered"


def test_a_callback_that_is_being_sent_survives_kill(tmp_path, pictures, there):
    there.answers = lambda _call: (time.sleep(5), OK)[1]
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        face = train(client, pictures, there.url())
        there.wait()
        server.kill()
    there.answers = OK
    assert rows(tmp_path / "data", "SELECT attempts FROM deliveries WHERE leased_until <> ''") == [(1,)]
    if BACKEND == "postgres":  # Who is alone with a database knows by itself that nobody sends any more.
        forget_who_sent(tmp_path / "data")
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        found = settled(client, face)
        assert (found["status"], found["attempt_count"]) == ("delivered", 2)
        assert there.ids == [found["delivery_id"]] * 2


def test_a_face_that_is_gone_for_good_takes_its_callbacks_along(tmp_path, pictures, there):
    there.answers = (500, {}, b"")
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        face = train(client, pictures, there.url())
        there.wait()
        assert client.delete(f"/v2/faces/{face}").status_code == 200
        assert of_face(client, face)["status"] == "waiting"
        assert client.delete(f"/v2/faces/{face}?hard=true").status_code == 204
        assert deliveries(client) == []


def test_where_the_clock_can_be_set_a_callback_is_tried_again_and_forgotten_when_it_is_time(tmp_path, pictures, there):
    there.answers = (500, {}, b"")
    fixed = ("--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z")
    with start_palace(tmp_path / "data", *fixed, *FLAGS) as server, server.client() as client:
        face = train(client, pictures, there.url())
        there.wait()
        there.answers = OK
        while of_face(client, face)["next_attempt_at"] == "2026-01-01T00:00:00.000000Z":
            time.sleep(0.01)
        client.post("/_palace/clock", json={"advance_seconds": 6})
        assert settled(client, face)["attempt_count"] == 2
        client.post("/_palace/clock", json={"advance_seconds": 30 * 24 * 3600})
        assert deliveries(client) == []


def test_attempts_and_what_waits_are_counted(tmp_path, pictures, there):
    there.answers = lambda call: OK if call.path == "/good" else (500, {}, b"")
    with start_palace(tmp_path / "data", *FLAGS) as server, server.client() as client:
        settled(client, train(client, pictures, there.url("/good")))
        train(client, pictures, there.url("/bad"))
        there.wait(2)
        wait_until(lambda: figures(server)["palace_deliveries_total", "retried"])
        found = figures(server)
        assert found["palace_deliveries_total", "delivered"] == 1
        assert found["palace_deliveries_waiting",] == 1


def test_a_signature_with_another_secret_does_not_verify(client, pictures, there):
    settled(client, train(client, pictures, there.url()))
    [call] = there.wait()
    with pytest.raises(WebhookVerificationError):
        verified(call, "whsec_" + "A" * 43 + "=")
