"""SIGTERM: who sends requests is told to go elsewhere, what was begun is finished, jobs are let go of."""

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.making import created, finished
from tests.media import jpeg
from tests.rows import rows
from tests.serving import Palace, start_palace
from tests.sites import Handler, site

SLOW = {"x-palace-fault": "slow;seconds=1.5;after"}
FLAGS = ("--allow-private-addresses", "127.0.0.0/8")


def told_to_end(palace: Palace) -> None:
    palace.process.terminate()
    time.sleep(0.3)


def test_while_it_drains_a_server_is_not_ready_and_still_answers(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--drain-seconds", "2") as palace, palace.client() as client:
        assert client.get("/readyz").status_code == 200
        began = time.monotonic()
        told_to_end(palace)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
        assert client.get("/healthz").status_code == 200
        answer = client.get("/v2/pals")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        with palace.client() as other:
            assert other.get("/v2/pals").status_code == 200, "new connections are taken until the time is over"
        assert palace.process.wait(timeout=10) == 0
        assert 1.9 < time.monotonic() - began < 5
    assert "draining" in palace.log.read_text()
    lines = [line for line in palace.log.read_text().splitlines() if "/readyz" in line and "503" in line]
    assert lines, "a refusal is logged"
    assert all("route=/readyz" in line for line in lines)


def test_without_a_time_to_drain_the_listener_is_closed_at_once(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data") as palace, palace.client() as client:
        assert client.get("/v2/pals").status_code == 200
        began = time.monotonic()
        assert palace.stop() == 0
        assert time.monotonic() - began < 2, "a connection that is kept alive and idle holds nobody up"
        with pytest.raises(httpx.ConnectError):
            httpx.get(palace.url)


def test_a_second_signal_ends_the_draining(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--drain-seconds", "60") as palace:
        told_to_end(palace)
        assert palace.process.poll() is None
        palace.process.terminate()
        assert palace.process.wait(timeout=5) == 0


def test_requests_in_flight_are_finished_and_their_connections_closed(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--fault-lab") as palace:
        answers: list[Any] = []

        def ask() -> None:
            with palace.client() as client:
                answers.append(client.get("/v2/pals", headers=SLOW))

        asking = [threading.Thread(target=ask) for _ in range(5)]
        for one in asking:
            one.start()
        time.sleep(0.5)
        assert palace.stop() == 0
        for one in asking:
            one.join()
    assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(200, "close")] * 5


def test_a_job_is_let_go_of_at_once_and_that_was_no_attempt(tmp_path: Path) -> None:
    def hanging(handler: Handler) -> None:
        time.sleep(20)

    with site() as pictures:
        pictures.pages["/a.jpg"] = hanging
        wanted = {"train_image_url": pictures.url("/a.jpg", "127.0.0.1"), "voice_name": "calm-alto"}
        with start_palace(tmp_path / "data", "--drain-seconds", "3", *FLAGS) as palace, palace.client() as client:
            face = created(client, **wanted)
            while not pictures.asked:
                time.sleep(0.01)
            told_to_end(palace)
            assert rows(palace.data, "SELECT state, attempts FROM jobs") == [("waiting", 0)]
            assert palace.process.wait(timeout=10) == 0
        pictures.pages["/a.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))
        with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
            assert finished(client, face)["status"] == "completed"
