"""Jobs: carried out at least once, whatever happens to the server, and given up in the end."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.making import created, finished
from tests.media import jpeg
from tests.rows import change, rows
from tests.serving import Palace, start_palace
from tests.sites import Handler, Site, site
from tests.waiting import wait_until

FLAGS = ("--allow-private-addresses", "127.0.0.0/8")
PORTRAIT = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))


@pytest.fixture
def pictures() -> Iterator[Site]:
    with site() as running:
        running.pages["/a.jpg"] = PORTRAIT
        yield running


def wanted(pictures: Site, path: str = "/a.jpg") -> dict[str, str]:
    return {"train_image_url": pictures.url(path, "127.0.0.1"), "voice_name": "calm-alto"}


def wait_until_asked(pictures: Site, times: int = 1) -> None:
    wait_until(lambda: len(pictures.asked) >= times)


def jobs(palace: Palace) -> list[tuple[str, int]]:
    """State and attempts of every job."""
    return rows(palace.data, "SELECT state, attempts FROM jobs ORDER BY job")


def forget_who_worked(data: Path) -> None:
    """What half a minute does: a server that shares its database believes so long that the one that died goes on."""
    change(data, "UPDATE jobs SET leased_until = ''")


def hanging(handler: Handler) -> None:
    time.sleep(20)


def test_a_job_survives_kill(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = hanging
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        palace.kill()
    forget_who_worked(tmp_path / "data")
    pictures.pages["/a.jpg"] = PORTRAIT
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        assert finished(client, face)["status"] == "completed"
        assert jobs(palace) == [("done", 2)]


def test_a_job_that_was_not_begun_survives_kill(tmp_path: Path, pictures: Site) -> None:
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        faces = [created(client, **wanted(pictures)) for _ in range(5)]
        palace.kill()
    forget_who_worked(tmp_path / "data")
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        assert {finished(client, face)["status"] for face in faces} == {"completed"}


def test_a_server_that_is_told_to_stop_does_not_wait_for_jobs(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = hanging
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        began = time.monotonic()
        assert palace.stop() == 0
        assert time.monotonic() - began < 5
    pictures.pages["/a.jpg"] = PORTRAIT
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        assert finished(client, face)["status"] == "completed"


def test_a_failure_that_passes_is_tried_again(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = (503, {}, b"")
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        pictures.pages["/a.jpg"] = PORTRAIT
        assert finished(client, face)["status"] == "completed"
        assert jobs(palace) == [("done", 2)]


def test_a_failure_that_does_not_pass_ends_in_an_error_after_some_attempts(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = (503, {}, b"")
    data = tmp_path / "data"
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
    change(data, "UPDATE jobs SET attempts = 5, due_at = ''")
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        found = finished(client, face)
        assert (found["status"], found["error_message"]) == ("error", "127.0.0.1 answered 503.")
        assert jobs(palace) == [("failed", 6)]


def test_a_job_that_ends_the_server_each_time_is_given_up(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = hanging
    data = tmp_path / "data"
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        palace.kill()
    change(data, "UPDATE jobs SET attempts = 6, leased_until = ''")
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        found = finished(client, face)
        assert (found["status"], found["error_message"]) == (
            "error",
            "The server could not finish this; its log tells why.",
        )
    assert len(pictures.asked) == 1


def test_a_job_of_a_newer_server_is_left_to_it(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = (503, {}, b"")
    data = tmp_path / "data"
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
    change(data, "UPDATE jobs SET kind = 'grow_hologram', due_at = ''")
    pictures.pages["/a.jpg"] = PORTRAIT
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        assert finished(client, created(client, **wanted(pictures)))["status"] == "completed"
        assert sorted(state for state, _ in jobs(palace)) == ["done", "waiting"]
        assert "kind=grow_hologram" in palace.log.read_text()
    change(data, "UPDATE jobs SET kind = 'train_face', due_at = '' WHERE state = 'waiting'")
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        assert finished(client, face)["status"] == "completed"


def test_a_job_waits_while_its_document_is_deleted(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = (503, {}, b"")
    data = tmp_path / "data"
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        assert client.delete(f"/v2/faces/{face}").status_code == 200
    change(data, "UPDATE jobs SET due_at = ''")
    pictures.pages["/a.jpg"] = PORTRAIT
    with start_palace(data, *FLAGS) as palace, palace.client() as client:
        finished(client, created(client, **wanted(pictures)))  # What came later was done: nothing else was due.
        assert len(pictures.asked) == 2
        assert client.post(f"/v2/faces/{face}/restore").json()["status"] == "started"
        assert finished(client, face)["status"] == "completed"


def test_a_job_goes_with_its_document(tmp_path: Path, pictures: Site) -> None:
    pictures.pages["/a.jpg"] = hanging
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        face = created(client, **wanted(pictures))
        wait_until_asked(pictures)
        assert client.delete(f"/v2/faces/{face}?hard=true").status_code == 204
        assert jobs(palace) == []


def test_nothing_is_fetched_for_a_face_that_was_not_stored(tmp_path: Path, pictures: Site) -> None:
    with start_palace(tmp_path / "data", *FLAGS) as palace, palace.client() as client:
        assert client.post("/v2/faces?dry_run=true", json=wanted(pictures)).status_code == 200
        finished(client, created(client, **wanted(pictures)))
        assert jobs(palace) == [("done", 1)]
    assert len(pictures.asked) == 1


def test_a_server_in_memory_has_jobs_too(tmp_path: Path, pictures: Site) -> None:
    with start_palace(tmp_path / "data", "--ephemeral", *FLAGS) as palace, palace.client() as client:
        assert finished(client, created(client, **wanted(pictures)))["status"] == "completed"
        assert not palace.data.exists()
