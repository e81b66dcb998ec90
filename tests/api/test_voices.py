"""Voices: a list to search, and what PALs and faces refer to."""

from typing import Any

import httpx
import pytest

from tests.api.wire import add, patch, refused

MEMBERS = {"voice_id", "voice_name", "face_id", "audio_url", "tags", "status", "voice_type", "created_at", "updated_at"}


def listed(api: httpx.Client, query: str = "limit=100") -> dict[str, Any]:
    answer = api.get(f"/v2/voices?{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert set(page) == {"data", "total_count", "page", "limit"}
    return page


def names(page: dict[str, Any]) -> list[str]:
    return [voice["voice_name"] for voice in page["data"]]


def test_a_fresh_server_has_voices(api: httpx.Client) -> None:
    page = listed(api)
    assert page["total_count"] == len(page["data"]) == 12
    for voice in page["data"]:
        assert set(voice) == MEMBERS
        assert (voice["audio_url"], voice["status"], voice["voice_type"]) == (None, "completed", "system")
        assert all(list(tag) == ["tag_name"] for tag in voice["tags"])
        assert voice["face_id"] is None or api.get(f"/v2/faces/{voice['face_id']}").status_code == 200


def test_voices_are_in_the_order_of_their_names(api: httpx.Client) -> None:
    assert names(listed(api)) == sorted(names(listed(api)))
    assert names(listed(api, "sort=desc&limit=100")) == sorted(names(listed(api)), reverse=True)


def test_pages(api: httpx.Client) -> None:
    everything = names(listed(api))
    assert listed(api, "")["limit"] == 10
    assert names(listed(api, "limit=5&page=2")) == everything[5:10]
    assert names(listed(api, "limit=5&page=0")) == names(listed(api, "limit=5&page=1")) == everything[:5]
    assert listed(api, "limit=5&page=2")["page"] == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("search=BARITONE", ["friendly-baritone", "warm-baritone"], id="a part of the name, in capitals"),
        pytest.param("search=v1f73c4a86a76", ["calm-alto"], id="a whole id"),
        pytest.param("search=%25", [], id="a percent sign is no wildcard"),
        pytest.param("tag=FORMAL", ["clear-bass", "even-contralto"], id="a tag in capitals"),
        pytest.param("tags=formal,warm", ["clear-bass", "even-contralto", "friendly-baritone", "warm-baritone"],
                     id="one of several tags"),
        pytest.param("tag=formal&search=bass", ["clear-bass"], id="both"),
        pytest.param("tag=none-such", [], id="no such tag"),
    ],
)  # fmt: skip
def test_voices_are_found(api: httpx.Client, query: str, found: list[str]) -> None:
    page = listed(api, query)
    assert (names(page), page["total_count"]) == (found, len(found))


def test_a_voice_tells_which_pals_and_faces_have_it(api: httpx.Client, new_pal: Any) -> None:
    pal = new_pal(layers={"tts": {"voice_id": "v1f73c4a86a76"}})
    users = api.get("/v2/voices/v1f73c4a86a76/references", params={"limit": 100}).json()["data"]
    assert [user["pointers"] for user in users if user["id"] == pal] == [["/layers/tts/voice_id"]]
    refused(api.get("/v2/voices/v00000000000/references"), 400, "Invalid voice_id")


def test_there_is_only_a_list(api: httpx.Client) -> None:
    assert api.post("/v2/voices", json={}).status_code == 405
    assert api.get("/v2/voices/v1f73c4a86a76").status_code == 404


def test_a_pal_speaks_with_a_voice_that_exists(api: httpx.Client, new_pal: Any) -> None:
    pal = new_pal()
    assert patch(api, pal, add("/layers/tts", {"voice_id": "v1f73c4a86a76"})).status_code == 200
    [detail] = refused(patch(api, pal, add("/layers/tts/voice_id", "v00000000000")), 400, "Invalid voice_id")
    assert (detail["code"], detail["pointer"]) == ("unknown_reference", "/layers/tts/voice_id")
