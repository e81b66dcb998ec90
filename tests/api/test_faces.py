"""Faces: made of a picture or a video by a job, renamed, listed, deleted for a while or for good."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.making import created, finished
from tests.api.wire import refused, revisions
from tests.media import jpeg, size_of, video
from tests.serving import KEY, STOCK_FACE, Palace, start_palace
from tests.sites import Handler, Site, site

VOICE = "v1f73c4a86a76"


@pytest.fixture(scope="module")
def pictures() -> Iterator[Site]:
    with site() as running:
        running.pages["/portrait.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(1600, 800))
        running.pages["/portrait.png"] = (200, {"content-type": "application/octet-stream"}, jpeg(300, 600, "PNG"))
        running.pages["/talk.mp4"] = (200, {"content-type": "video/mp4"}, video(640, 480))
        running.pages["/talk.webm"] = (200, {"content-type": "video/webm"}, video(640, 480, "webm"))
        running.pages["/page.html"] = (200, {"content-type": "text/html"}, b"<html>")
        running.pages["/lie.jpg"] = (200, {"content-type": "image/jpeg"}, b"<html>")
        running.pages["/lie.mp4"] = (200, {"content-type": "video/mp4"}, b"#EXTM3U\nfile:///etc/passwd\n")
        running.pages["/tiny.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(10, 10))
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """A server that may fetch from this machine."""
    data = tmp_path_factory.mktemp("faces") / "data"
    with start_palace(data, "--allow-private-addresses", "127.0.0.0/8") as running:
        yield running


@pytest.fixture
def client(home: Palace) -> Iterator[httpx.Client]:
    with home.client() as client:
        yield client


@pytest.fixture
def new_face(client: httpx.Client, pictures: Site) -> Callable[..., str]:
    """Makes a face of a picture and returns its id."""

    def make(**members: Any) -> str:
        url = pictures.url("/portrait.jpg", "127.0.0.1")
        return created(client, **{"train_image_url": url, "voice_name": "calm-alto", "face_name": "Porter"} | members)

    return make


# --- Created ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "path", "size"),
    [
        pytest.param("train_image_url", "/portrait.jpg", (512, 256), id="a picture"),
        pytest.param("train_image_url", "/portrait.png", (256, 512), id="a picture of no special media type"),
        pytest.param("train_video_url", "/talk.mp4", (512, 384), id="an MP4"),
        pytest.param("train_video_url", "/talk.webm", (512, 384), id="a WebM"),
    ],
)
def test_a_face_is_made(client: httpx.Client, pictures: Site, member: str, path: str, size: tuple[int, int]) -> None:
    face = created(
        client, **{member: pictures.url(path, "127.0.0.1"), "voice_name": "CALM-alto", "face_name": "Porter"}
    )
    found = finished(client, face)
    assert found["status"] == "completed", found
    assert (found["training_progress"], found["error_message"]) == ("100/100", None)
    assert (found["face_name"], found["default_voice_id"]) == ("Porter", VOICE)
    assert (found["model_name"], found["face_type"], found["thumbnail_video_url"]) == ("phoenix-4", "user", None)
    thumbnail = httpx.get(found["thumbnail_image_url"])
    assert thumbnail.status_code == 200
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert "immutable" in thumbnail.headers["cache-control"]
    assert size_of(thumbnail.content) == size


def test_what_the_job_did_is_in_the_history(client: httpx.Client, new_face: Callable[..., str]) -> None:
    face = new_face()
    finished(client, face)
    done = revisions(client, face, "faces")
    assert [revision["action"] for revision in done] == ["job", "job", "create"]
    assert done[0]["key_id"] is None
    assert {"/status", "/thumbnail_image_url", "/training_progress"} == set(done[0]["touched"])
    assert done[1]["touched"] == ["/training_progress"]


@pytest.mark.parametrize(
    ("member", "path", "problem"),
    [
        pytest.param("train_image_url", "/none.jpg", "127.0.0.1 answered 404.", id="nothing there"),
        pytest.param(
            "train_image_url", "/page.html", "127.0.0.1 sent another media type than one of: image/jpeg, image/png, "
            "image/webp, application/octet-stream, binary/octet-stream.", id="a web page",
        ),
        pytest.param(
            "train_image_url", "/lie.jpg", "This is not a picture: a JPEG, PNG or WebP file is needed.", id="no picture"
        ),
        pytest.param(
            "train_video_url", "/lie.mp4", "This is not a video: an MP4, MOV or WebM file is needed.", id="a playlist"
        ),
        pytest.param(
            "train_image_url", "/tiny.jpg", "This image has 10 x 10 pixels; each side needs 64.", id="too small"
        ),
    ],
)  # fmt: skip
def test_a_face_of_something_else_ends_in_an_error(
    client: httpx.Client, pictures: Site, member: str, path: str, problem: str
) -> None:
    found = finished(client, created(client, **{member: pictures.url(path, "127.0.0.1"), "voice_name": "calm-alto"}))
    assert (found["status"], found["error_message"], found["thumbnail_image_url"]) == ("error", problem, None)


# --- Renamed ----------------------------------------------------------------------------------------------------------


def test_a_face_is_renamed_while_its_job_works(client: httpx.Client, pictures: Site) -> None:
    is_renamed = threading.Event()

    def slowly(handler: Handler) -> None:
        is_renamed.wait(timeout=10)
        handler.begin(200, {"content-type": "image/jpeg"})
        handler.wfile.write(jpeg(100, 100))

    pictures.pages["/slow.jpg"] = slowly
    face = created(client, train_image_url=pictures.url("/slow.jpg", "127.0.0.1"), voice_name="calm-alto")
    answer = client.patch(f"/v2/faces/{face}/name", json={"face_name": "Renamed"})
    assert (answer.status_code, answer.json()["face_name"], answer.json()["status"]) == (200, "Renamed", "started")
    is_renamed.set()
    found = finished(client, face)
    assert (found["face_name"], found["status"]) == ("Renamed", "completed")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({}, "Bad Request. {'face_name': ['Missing data for required field.']}", id="no name"),
        pytest.param(
            {"face_name": ""}, "Bad Request. {'face_name': ['Missing data for required field.']}", id="an empty name"
        ),
        pytest.param({"face_name": 5}, "Bad Request. {'face_name': ['Not a valid string.']}", id="a number"),
        pytest.param(
            {"face_name": "A", "default_voice_id": VOICE},
            "Bad Request. {'default_voice_id': ['Unknown field.']}",
            id="more than a name",
        ),
        pytest.param([], "Bad Request. {'_schema': ['Invalid input type.']}", id="a JSON Patch"),
    ],
)
def test_a_name_that_is_none_is_refused(
    client: httpx.Client, new_face: Callable[..., str], body: Any, sentence: str
) -> None:
    refused(client.patch(f"/v2/faces/{new_face()}/name", json=body), 400, sentence)


def test_a_rename_goes_back_and_what_the_job_wrote_stays(client: httpx.Client, new_face: Callable[..., str]) -> None:
    face = new_face()
    finished(client, face)
    client.patch(f"/v2/faces/{face}/name", json={"face_name": "Renamed"})
    answer = client.post(f"/v2/faces/{face}/rollback", json={"to": 1})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["face_name"], answer.json()["status"]) == ("Porter", "completed")


def test_what_the_job_wrote_cannot_be_taken_back(client: httpx.Client, new_face: Callable[..., str]) -> None:
    face = new_face()
    finished(client, face)
    details = refused(client.post(f"/v2/faces/{face}/revisions/3/revert"), 400)
    assert {detail["code"] for detail in details} == {"read_only"}


# --- Deleted ----------------------------------------------------------------------------------------------------------


def test_a_deleted_face_is_404_and_can_be_restored(client: httpx.Client, new_face: Callable[..., str]) -> None:
    face = new_face()
    thumbnail = finished(client, face)["thumbnail_image_url"]
    answer = client.delete(f"/v2/faces/{face}")
    assert (answer.status_code, answer.json()) == (200, {})
    refused(client.get(f"/v2/faces/{face}"), 404, "Invalid face_id")
    refused(client.get(f"/v2/replicas/{face}"), 404, "Invalid replica_id")
    refused(client.delete(f"/v2/faces/{face}"), 404, "Invalid face_id")
    refused(client.patch(f"/v2/faces/{face}/name", json={"face_name": "A"}), 404, "Invalid face_id")
    assert httpx.get(thumbnail).status_code == 404
    restored = client.post(f"/v2/faces/{face}/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "completed")
    assert httpx.get(thumbnail).status_code == 200


@pytest.mark.parametrize("first", [pytest.param(False, id="at once"), pytest.param(True, id="after a soft deletion")])
def test_a_hard_deletion_leaves_nothing(
    client: httpx.Client, home: Palace, new_face: Callable[..., str], first: bool
) -> None:
    face = new_face()
    thumbnail = finished(client, face)["thumbnail_image_url"]
    if first:
        assert client.delete(f"/v2/faces/{face}").status_code == 200
    answer = client.delete(f"/v2/faces/{face}?hard=true")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(client.get(f"/v2/faces/{face}"), 400, "Invalid face_id")
    refused(client.post(f"/v2/faces/{face}/restore"), 400, "Invalid face_id")
    refused(client.get(f"/v2/faces/{face}/revisions"), 400, "Invalid face_id")
    refused(client.delete(f"/v2/faces/{face}?hard=true"), 400, "Invalid face_id")
    assert httpx.get(thumbnail).status_code == 404


def test_a_face_in_use_is_not_deleted_unless_the_client_insists(
    client: httpx.Client, new_face: Callable[..., str]
) -> None:
    face = new_face()
    body = {"system_prompt": "Answer briefly.", "default_face_id": face}
    pal = client.post("/v2/pals", json=body).json()["pal_id"]
    for query in ("", "?hard=true"):
        [detail] = refused(client.delete(f"/v2/faces/{face}{query}"), 409)
        assert (detail["code"], detail["id"]) == ("in_use", pal)
    assert client.get(f"/v2/faces/{face}/references").json()["data"][0]["id"] == pal
    assert client.delete(f"/v2/faces/{face}?cascade=true").status_code == 200
    assert client.get(f"/v2/pals/{pal}").json()["default_face_id"] == face


def test_a_face_of_somebody_else_and_a_stock_face_are_out_of_reach(
    client: httpx.Client, home: Palace, new_face: Callable[..., str]
) -> None:
    face = new_face()
    with home.client(home.new_key("neighbour")) as neighbour:
        for query in ("", "?hard=true"):
            refused(neighbour.delete(f"/v2/faces/{face}{query}"), 400, "Invalid face_id")
            refused(neighbour.delete(f"/v2/faces/{STOCK_FACE}{query}"), 400, "Invalid face_id")
        refused(neighbour.get(f"/v2/faces/{face}"), 400, "Invalid face_id")
        refused(neighbour.patch(f"/v2/faces/{STOCK_FACE}/name", json={"face_name": "Mine"}), 400, "Invalid face_id")


# --- Listed -----------------------------------------------------------------------------------------------------------


def test_lists_filter(client: httpx.Client, new_face: Callable[..., str]) -> None:
    face = new_face(model_name="phoenix-3")
    for query, expected in (
        ("face_type=user&model_name=phoenix-3", {face}),
        ("model_name=phoenix-2", set()),
        (f"face_ids={face},{STOCK_FACE}", {face, STOCK_FACE}),
        (f"face_type=system&face_ids={face},{STOCK_FACE}", {STOCK_FACE}),
    ):
        listed = client.get(f"/v2/faces?{query}").json()
        assert {found["face_id"] for found in listed["data"]} == expected, query
        assert listed["total_count"] == len(expected)


def test_recommended_faces_come_first(client: httpx.Client, new_face: Callable[..., str]) -> None:
    new_face()
    listed = client.get("/v2/faces?sort=recommended&verbose=true").json()["data"]
    assert listed[0]["is_recommended"] and listed[0]["face_type"] == "system"
    flags = [face["is_recommended"] for face in listed]
    assert flags == sorted(flags, reverse=True)
    assert not flags[-1]


def test_stock_faces_have_voices(api: httpx.Client) -> None:
    voices = {voice["voice_id"] for voice in api.get("/v2/voices?limit=100").json()["data"]}
    stock = api.get("/v2/faces?face_type=system").json()["data"]
    assert len(stock) == 4
    assert {face["default_voice_id"] for face in stock} <= voices


# --- Files ------------------------------------------------------------------------------------------------------------


def test_a_file_that_nobody_made_is_404(palace: Palace) -> None:
    answer = httpx.get(f"{palace.url}/v2/media/{'0' * 32}.jpg")
    assert (answer.status_code, answer.json()["message"]) == (404, "File not found")
    assert httpx.delete(f"{palace.url}/v2/media/a.jpg").status_code == 405


def test_addresses_begin_with_the_public_url(tmp_path: Path, pictures: Site, port: int) -> None:
    url, flags = f"http://127.0.0.1:{port}", ("--port", str(port), "--public-url", "https://palace.example")
    with (
        start_palace(tmp_path / "data", *flags, "--allow-private-addresses", "127.0.0.1"),
        httpx.Client(base_url=url, headers={"x-api-key": KEY}) as client,
    ):
        source = pictures.url("/portrait.jpg", "127.0.0.1")
        face = created(client, train_image_url=source, voice_name="calm-alto")
        shown = finished(client, face)["thumbnail_image_url"]
        assert shown.startswith("https://palace.example/v2/media/")
        assert httpx.get(shown.replace("https://palace.example", url)).status_code == 200
