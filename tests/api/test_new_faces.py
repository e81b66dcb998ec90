"""What Create Face refuses, in the API's words, and what it does not do."""

from typing import Any

import httpx
import pytest

from palace.fetching import PRIVATE
from tests.api.making import created
from tests.api.wire import preview, refused

PICTURE, MOVIE = "https://pictures.example/a.jpg", "https://pictures.example/a.mp4"
WITH_VOICE = {"train_image_url": PICTURE, "voice_name": "calm-alto"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({}, "Either train_video_url or train_image_url must be provided.", id="no source"),
        pytest.param(
            {**WITH_VOICE, "train_video_url": MOVIE},
            "Bad Request. {'train_image_url': ['Cannot be used together with train_video_url.']}",
            id="both sources",
        ),
        pytest.param(
            {"train_image_url": PICTURE},
            "Bad Request. {'voice_name': ['Missing data for required field: a face from an image needs voice_name or "
            "default_voice_id.']}",
            id="a picture without a voice",
        ),
        pytest.param(
            {"train_video_url": MOVIE, "auto_fix_training_image": True},
            "Bad Request. {'auto_fix_training_image': ['Only together with train_image_url.']}",
            id="a video has no image to fix",
        ),
        pytest.param(
            {**WITH_VOICE, "model_name": "gpt"},
            "Bad Request. {'model_name': ['Must be a model for faces (phoenix-…).']}",
            id="another kind of model",
        ),
        pytest.param(
            {**WITH_VOICE, "train_image_url": "http://169.254.169.254/latest"},
            f"Bad Request. {{'train_image_url': ['{PRIVATE}']}}",
            id="an address within",
        ),
        pytest.param(
            {**WITH_VOICE, "callback_url": "http://localhost:9000/"},
            f"Bad Request. {{'callback_url': ['{PRIVATE}']}}",
            id="a callback within",
        ),
        pytest.param(
            {**WITH_VOICE, "consent_video_url": "ftp://pictures.example/"},
            "Bad Request. {'consent_video_url': ['Must be an http or https URL.']}",
            id="no web address",
        ),
        pytest.param(
            {**WITH_VOICE, "voice_name": "", "default_voice_id": "v0"}, "Invalid voice_id", id="no such voice"
        ),
        pytest.param(
            {**WITH_VOICE, "default_voice_id": "v2b81d0e57c9"},
            "Bad Request. {'voice_name': ['Names another voice than default_voice_id: send one of the two.']}",
            id="two voices",
        ),
        pytest.param(
            {**WITH_VOICE, "properties": {"green": True}},
            "Bad Request. {'properties': {'green': ['Unknown field.']}}",
            id="an unknown property",
        ),
        pytest.param([], "Bad Request. {'_schema': ['Invalid input type.']}", id="no object"),
    ],
)
def test_a_face_that_cannot_be_made_is_refused_at_once(api: httpx.Client, body: Any, sentence: str) -> None:
    refused(api.post("/v2/faces", json=body), 400, sentence)


def test_an_unknown_voice_is_answered_with_those_there_are(api: httpx.Client) -> None:
    [detail] = refused(api.post("/v2/faces", json={**WITH_VOICE, "voice_name": "loud-oboe"}), 400)
    assert detail["pointer"] == "/voice_name"
    assert {"calm-alto", "warm-baritone"} <= set(detail["allowed"])


def test_the_older_family_speaks_of_replicas(api: httpx.Client) -> None:
    replica = created(api, "replicas", replica_name="Porter", **WITH_VOICE)
    found = api.get(f"/v2/replicas/{replica}").json()
    assert (found["replica_id"], found["replica_name"], found["replica_type"]) == (replica, "Porter", "user")
    renamed = api.patch(f"/v2/replicas/{replica}/name", json={"replica_name": "Night porter"})
    assert (renamed.status_code, renamed.json()["replica_name"]) == (200, "Night porter")
    refused(api.get("/v2/replicas/r00000000000"), 400, "Invalid replica_id")


def test_a_preview_makes_no_face(api: httpx.Client) -> None:
    before = api.get("/v2/faces?face_type=user").json()["total_count"]
    said = preview(api, "POST", "/v2/faces", json=WITH_VOICE)
    assert said["document"]["status"] == "started"
    assert api.get("/v2/faces?face_type=user").json()["total_count"] == before
