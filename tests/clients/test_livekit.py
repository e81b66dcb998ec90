"""`livekit-plugins-tavus`, as it is published, with its `api_url` pointed at Palace (the URL ends in `/v2`)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError
from livekit.plugins.tavus.api import DEFAULT_FACE_ID, DEFAULT_PAL_ID, TavusAPI

from tests.serving import KEY, Palace

NAMED = {"user-agent": "livekit-plugins-tavus"}
"""The plugin uses the HTTP session that it is given; this one tells the log of the server whose requests they are."""
ONE_ATTEMPT = APIConnectOptions(max_retry=0)
ECHO_PAL = {"pipeline_mode": "echo", "layers": {"transport": {"transport_type": "livekit"}}}
"""What the plugin makes: LiveKit's own agent thinks and speaks, the PAL shows the face."""


def with_plugin(url: str, use: Callable[[TavusAPI], Awaitable[Any]], **options: Any) -> Any:
    """What `use` returns, handed a `TavusAPI` in an event loop and an HTTP session of its own."""

    async def run() -> Any:
        async with aiohttp.ClientSession(headers=NAMED) as session:
            return await use(TavusAPI(api_url=url, session=session, conn_options=ONE_ATTEMPT, **options))

    return asyncio.run(run())


@pytest.fixture
def plugin(palace: Palace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The plugin as its users set it up: the key from the environment, the URL as an argument."""
    monkeypatch.setenv("TAVUS_API_KEY", KEY)
    return lambda use, **options: with_plugin(f"{palace.url}/v2", use, **options)


def test_create_pal_makes_a_pal_that_can_be_read(plugin, api: httpx.Client) -> None:
    pal_id = plugin(lambda tavus: tavus.create_pal(default_face_id=DEFAULT_FACE_ID))
    pal = api.get(f"/v2/pals/{pal_id}").json()
    assert pal["pal_id"] == pal_id
    assert pal["pal_name"].startswith("lk_pal_")
    assert pal["default_face_id"] == DEFAULT_FACE_ID
    assert {name: pal[name] for name in ECHO_PAL} == ECHO_PAL


def test_create_pal_passes_on_a_name_and_anything_else(plugin, api: httpx.Client) -> None:
    more = {"pipeline_mode": "full", "system_prompt": "Answer briefly.", "layers": {"llm": {"model": "tavus-gemma-4"}}}
    pal_id = plugin(lambda tavus: tavus.create_pal("Night Desk", default_face_id=DEFAULT_FACE_ID, extra_payload=more))
    pal = api.get(f"/v2/pals/{pal_id}").json()
    assert pal["pal_name"] == "Night Desk"
    assert {name: pal[name] for name in more} == more


def test_the_deprecated_create_persona_makes_a_persona_that_is_also_a_pal(plugin, api: httpx.Client) -> None:
    persona_id = plugin(lambda tavus: tavus.create_persona("Night Desk"))
    persona = api.get(f"/v2/personas/{persona_id}").json()
    assert persona["persona_id"] == persona_id
    assert persona["persona_name"] == "Night Desk"
    assert persona["default_replica_id"] is None
    assert {name: persona[name] for name in ECHO_PAL} == ECHO_PAL
    assert api.get(f"/v2/pals/{persona_id}").json()["pal_name"] == "Night Desk"


def test_what_the_plugin_made_can_be_patched(plugin, api: httpx.Client) -> None:
    pal_id = plugin(lambda tavus: tavus.create_pal(default_face_id=DEFAULT_FACE_ID))
    answer = api.patch(f"/v2/pals/{pal_id}", json=[{"op": "replace", "path": "/pal_name", "value": "Day Desk"}])
    assert answer.status_code == 200
    assert api.get(f"/v2/pals/{pal_id}").json()["pal_name"] == "Day Desk"


def test_the_stock_objects_that_the_plugin_falls_back_to_are_there(api: httpx.Client) -> None:
    assert api.get(f"/v2/pals/{DEFAULT_PAL_ID}").json()["pipeline_mode"] == "echo"
    assert api.get(f"/v2/faces/{DEFAULT_FACE_ID}").json()["status"] == "completed"


LIVEKIT = {"livekit_ws_url": "wss://livekit.example", "livekit_room_token": "a-token-of-the-room"}
"""What the plugin's session says of the room that the PAL is to join."""


@pytest.fixture
def started(plugin, api: httpx.Client) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates a conversation with the plugin and reads it; it is ended afterwards, which the plugin never does."""
    ids: list[str] = []

    def create(**words: Any) -> dict[str, Any]:
        ids.append(plugin(lambda tavus: tavus.create_conversation(**words)))
        conversation: dict[str, Any] = api.get(f"/v2/conversations/{ids[-1]}").json()
        return conversation

    yield create
    for id in ids:
        api.post(f"/v2/conversations/{id}/end")


def test_create_conversation_without_a_pal_takes_the_stock_pal_and_its_face(started) -> None:
    conversation = started(properties=LIVEKIT)
    assert conversation["status"] == "active"
    assert conversation["conversation_name"].startswith("lk_conversation_")
    assert (conversation["pal_id"], conversation["face_id"]) == (DEFAULT_PAL_ID, DEFAULT_FACE_ID)


def test_create_conversation_takes_the_face_of_the_pal(plugin, started) -> None:
    pal_id = plugin(lambda tavus: tavus.create_pal(default_face_id=DEFAULT_FACE_ID))
    assert started(pal_id=pal_id, properties=LIVEKIT)["face_id"] == DEFAULT_FACE_ID


def test_create_conversation_takes_the_older_names_and_anything_else(plugin, started) -> None:
    persona_id = plugin(lambda tavus: tavus.create_persona("Night Desk"))
    more = {"conversation_name": "Room 12", "custom_greeting": "Good evening."}
    made = started(persona_id=persona_id, replica_id=DEFAULT_FACE_ID, properties=LIVEKIT, extra_payload=more)
    assert made["conversation_name"] == "Room 12"
    assert (made["pal_id"], made["persona_id"]) == (persona_id, persona_id)
    assert (made["face_id"], made["replica_id"]) == (DEFAULT_FACE_ID, DEFAULT_FACE_ID)


def test_the_token_of_the_room_is_never_shown(started, api: httpx.Client) -> None:
    id = started(properties=LIVEKIT)["conversation_id"]
    shown = api.get(f"/v2/conversations/{id}", params={"verbose": "true"}).text
    assert LIVEKIT["livekit_room_token"] not in shown


def test_a_conversation_that_cannot_be_is_refused_for_good(plugin) -> None:
    with pytest.raises(APIStatusError) as refused:
        plugin(lambda tavus: tavus.create_conversation(pal_id="p00000000000"))
    assert (refused.value.status_code, refused.value.retryable) == (400, False)
    assert "Invalid pal_id" in str(refused.value.body)


def test_a_room_without_its_token_is_refused(plugin) -> None:
    without = {"livekit_ws_url": LIVEKIT["livekit_ws_url"]}
    with pytest.raises(APIStatusError) as refused:
        plugin(lambda tavus: tavus.create_conversation(properties=without))
    assert refused.value.status_code == 400
    assert "livekit_room_token" in str(refused.value.body)


def test_a_refusal_reaches_the_user_of_the_plugin_with_its_reason_and_without_a_retry(plugin) -> None:
    with pytest.raises(APIStatusError) as refused:
        plugin(lambda tavus: tavus.create_pal(default_face_id="r00000000000"))
    assert (refused.value.status_code, refused.value.retryable) == (400, False)
    assert "Invalid replica_uuid" in str(refused.value.body)


def test_a_wrong_key_is_an_error_that_is_not_tried_again(plugin) -> None:
    with pytest.raises(APIStatusError) as refused:
        plugin(lambda tavus: tavus.create_persona(), api_key="a-wrong-key")
    assert (refused.value.status_code, refused.value.retryable) == (401, False)
    assert "Invalid access token" in str(refused.value.body)


def test_a_url_without_its_version_is_as_good(palace: Palace, api: httpx.Client) -> None:
    persona_id = with_plugin(palace.url, lambda tavus: tavus.create_persona(), api_key=KEY)
    assert api.get(f"/v2/personas/{persona_id}").status_code == 200


def test_a_url_that_leads_nowhere_is_told_where_to_look(palace: Palace) -> None:
    with pytest.raises(APIStatusError) as refused:
        with_plugin(f"{palace.url}/v1", lambda tavus: tavus.create_persona(), api_key=KEY)
    assert refused.value.status_code == 404
    assert "/docs" in str(refused.value.body)


def test_no_server_is_a_connection_error() -> None:
    with pytest.raises(APIConnectionError):
        with_plugin("http://127.0.0.1:9/v2", lambda tavus: tavus.create_persona(), api_key=KEY)
