"""SIGTERM: who sends requests is told to go elsewhere, what was begun is finished, jobs are let go of."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.api.making import created, finished
from tests.media import jpeg
from tests.rows import rows
from tests.serving import Palace, start_palace
from tests.sites import Handler, site
from tests.waiting import wait_until

PAL = "/v2/pals/pcb7a34da5fe"
FLAGS = ("--allow-private-addresses", "127.0.0.0/8")


def told_to_end(palace: Palace) -> None:
    """SIGTERM, and the server has heard it."""
    palace.process.terminate()
    wait_until(lambda: "draining" in palace.log.read_text())


def is_listening(palace: Palace) -> bool:
    url = httpx.URL(palace.url)
    try:
        socket.create_connection((url.host, url.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_while_it_drains_a_server_is_not_ready_and_still_answers(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--drain-seconds", "60") as palace, palace.client() as client:
        assert client.get("/readyz").status_code == 200
        told_to_end(palace)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
        assert client.get("/healthz").status_code == 200
        answer = client.get("/v2/pals")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        with palace.client() as other:
            assert other.get("/v2/pals").status_code == 200, "new connections are taken until the time is over"
        assert palace.stop() == 0, "a second signal ends the draining"
    lines = [line for line in palace.log.read_text().splitlines() if "/readyz" in line and "503" in line]
    assert lines, "a refusal is logged"
    assert all("route=/readyz" in line for line in lines)


def test_it_drains_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--drain-seconds", "1") as palace:
        began = time.monotonic()
        assert palace.stop() == 0
        assert time.monotonic() - began > 0.99


def test_without_a_time_to_drain_the_listener_is_closed_at_once(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data") as palace, palace.client() as client:
        assert client.get("/v2/pals").status_code == 200
        began = time.monotonic()
        assert palace.stop() == 0
        assert time.monotonic() - began < 15, "a connection that is kept alive and idle holds nobody up"
        assert not is_listening(palace)


def test_requests_in_flight_are_finished_and_their_connections_closed(tmp_path: Path) -> None:
    go_on = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"["
        go_on.wait(30)
        yield b"]"

    def ask(palace: Palace) -> httpx.Response:
        with palace.client() as client:
            return client.patch(PAL, content=body(), headers={"content-type": "application/json"})

    with start_palace(tmp_path / "data") as palace, ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, palace) for _ in range(5)]
        with palace.client() as client:
            wait_until(lambda: "palace_requests_in_flight 6.0" in client.get("/metrics").text)
        palace.process.terminate()
        wait_until(lambda: not is_listening(palace))
        time.sleep(0.5)  # In which a server that waits for nobody would be gone.
        go_on.set()
        answers = [one.result() for one in asked]
        assert palace.process.wait(30) == 0
    told = [(answer.status_code, answer.headers["connection"]) for answer in answers]
    assert told == [(304, "close")] * 5, "a patch without operations changes nothing"


def test_a_job_is_let_go_of_at_once_and_that_was_no_attempt(tmp_path: Path) -> None:
    def hanging(handler: Handler) -> None:
        time.sleep(20)

    with site() as pictures:
        pictures.pages["/a.jpg"] = hanging
        wanted = {"train_image_url": pictures.url("/a.jpg", "127.0.0.1"), "voice_name": "calm-alto"}
        with start_palace(tmp_path / "data", "--drain-seconds", "60", *FLAGS) as palace, palace.client() as client:
            face = created(client, **wanted)
            wait_until(lambda: pictures.asked)
            told_to_end(palace)
            wait_until(lambda: rows(palace.data, "SELECT state, attempts FROM jobs") == [("waiting", 0)])
            assert palace.stop() == 0
        pictures.pages["/a.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))
        with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
            assert finished(client, face)["status"] == "completed"
