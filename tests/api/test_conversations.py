"""Conversations over REST: created in both vocabularies, read, listed, ended, deleted."""

import re

import pytest

from tests.api.wire import refused
from tests.lines import Frame, begun
from tests.serving import STOCK_FACE, start_palace

STOCK_PAL = "pb87e71797da"
ENDED = "end_conversation_endpoint_hit"
EVERYTHING = {
    "conversation_name": "Room 12",
    "conversational_context": "The guest is in room 12.",
    "custom_greeting": "Good evening.",
    "dynamic_greeting": False,
    "callback_url": "https://hooks.example/a?token=secret&x=1",
    "audio_only": True,
    "chat": True,
    "modality": "text",
    "meeting_url": "https://meet.example/abc",
    "participant_tags": ["guest-12"],
    "memory_stores": ["guest-12"],
    "document_ids": ["d8-5c71baca86fc"],
    "document_tags": ["rooms"],
    "document_retrieval_strategy": "speed",
    "test_mode": False,
    "require_auth": False,
    "max_participants": 2,
    "policy": "eu",
}
PROPERTIES = {
    "max_call_duration": 600,
    "participant_left_timeout": 30,
    "participant_absent_timeout": 60,
    "enable_recording": False,
    "enable_closed_captions": True,
    "apply_greenscreen": True,
    "require_auth": False,
    "language": "spanish",
    "languages": ["es", "en"],
    "recording_storage": {"provider": "s3", "bucket_name": "b", "bucket_region": "eu", "assume_role_arn": "arn:x"},
    "recording_s3_bucket_name": "b",
    "recording_s3_bucket_region": "eu-west-1",
    "aws_assume_role_arn": "arn:aws:iam::1:role/x",
    "livekit_ws_url": "wss://livekit.example",
    "livekit_room_token": "t",
}


def shown(api, call: Frame, verbose: bool = False) -> Frame:
    answer = api.get(f"/v2/conversations/{call['conversation_id']}", params={"verbose": "true"} if verbose else {})
    assert answer.status_code == 200, answer.text
    said: Frame = answer.json()
    return said


def faceless(api) -> str:
    """A PAL without a face of its own, as the older routes still make them."""
    made = api.post("/v2/personas", json={"persona_name": "Voice", "system_prompt": "Answer."})
    assert made.status_code == 200, made.text
    id: str = made.json()["persona_id"]
    return id


# --- Create -----------------------------------------------------------------------------------------------------------


def test_a_creation_answers_with_how_to_come_in(palace, api, new_pal):
    pal = new_pal()
    made = api.post("/v2/conversations", json={"pal_id": pal}).json()
    id = made["conversation_id"]
    assert re.fullmatch(r"c[0-9a-f]{11}", id)
    assert re.fullmatch(r"New Conversation \d{13}", made["conversation_name"])
    assert made["conversation_url"] == f"{palace.url}/c/{id}"
    assert (made["status"], made["callback_url"]) == ("active", "")
    assert made["pal_id"] == made["persona_id"] == pal
    assert made["face_id"] == made["replica_id"] == STOCK_FACE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created_at"])
    assert set(made) == {
        *("conversation_id", "conversation_name", "conversation_url", "status", "callback_url", "created_at"),
        *("pal_id", "persona_id", "face_id", "replica_id"),
    }


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("pal_id", "face_id"), id="today's names"),
        pytest.param(("persona_id", "replica_id"), id="the older names"),
        pytest.param(("pal_id", "replica_id"), id="one of each"),
    ],
)
def test_both_vocabularies_are_taken(api, names):
    pal = faceless(api)
    made = api.post("/v2/conversations", json=dict(zip(names, (pal, STOCK_FACE), strict=True)))
    assert made.status_code == 200, made.text
    said = shown(api, made.json())
    assert said["pal_id"] == said["persona_id"] == pal
    assert said["face_id"] == said["replica_id"] == STOCK_FACE


def test_two_spellings_may_agree_and_must_not_differ(api, new_pal):
    pal = new_pal()
    assert api.post("/v2/conversations", json={"pal_id": pal, "persona_id": pal}).status_code == 200
    for body in (
        {"pal_id": pal, "persona_id": STOCK_PAL},
        {"pal_id": pal, "face_id": STOCK_FACE, "replica_id": "r000000000000"},
    ):
        assert refused(api.post("/v2/conversations", json=body), 400)[0]["code"] == "ambiguous_alias"


def test_a_face_alone_talks_as_the_stock_pal(api):
    made = api.post("/v2/conversations", json={"replica_id": STOCK_FACE}).json()
    assert made["persona_id"] == STOCK_PAL


def test_everything_that_is_published_is_taken(api, new_pal):
    made = begun(api, new_pal(), **EVERYTHING, properties=PROPERTIES)
    assert made["conversation_name"] == "Room 12"
    assert made["callback_url"] == EVERYTHING["callback_url"], "with its query: it may have a token in it"


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_member_is_taken_alone(api, new_pal, name):
    begun(api, new_pal(), **{name: EVERYTHING[name]})


@pytest.mark.parametrize("name", sorted(set(PROPERTIES) - {"livekit_ws_url", "livekit_room_token"}))
def test_each_property_is_taken_alone(api, new_pal, name):
    begun(api, new_pal(), properties={name: PROPERTIES[name]})


@pytest.mark.parametrize(
    ("members", "code", "pointer"),
    [
        pytest.param({"pal_id": None}, "missing", "/pal_id", id="nobody to talk to"),
        pytest.param({"pal_id": "p00000000000"}, "unknown_reference", "/pal_id", id="a PAL that there is not"),
        pytest.param({"face_id": "r00000000000"}, "unknown_reference", "/face_id", id="a face of nobody"),
        pytest.param({"nonsense": 1}, "unknown_field", "/nonsense", id="an unknown member"),
        pytest.param(
            {"properties": {"nonsense": 1}}, "unknown_field", "/properties/nonsense", id="an unknown property"
        ),
        pytest.param({"conversation_name": 7}, "wrong_type", "/conversation_name", id="a name that is no text"),
        pytest.param({"max_participants": 1}, "out_of_range", "/max_participants", id="nobody besides the PAL"),
        pytest.param({"callback_url": "ftp://x"}, "rule", "/callback_url", id="a callback that is no web address"),
        pytest.param({"policy": "us"}, "not_allowed", "/policy", id="an unknown policy"),
        pytest.param({"modality": "smell"}, "not_allowed", "/modality", id="a modality"),
        pytest.param({"participant_tags": ["a", "b"]}, "too_long", "/participant_tags", id="two participant tags"),
        pytest.param({"modality": "", "policy": "us"}, "not_allowed", "/modality", id="no modality"),
        pytest.param({"properties": {"languages": ["xx"]}}, "not_allowed", "/properties/languages/0", id="a language"),
        pytest.param({"properties": {"max_call_duration": 0}}, "out_of_range", "/properties/max_call_duration", id="0"),
        pytest.param(
            {"properties": {"livekit_ws_url": "wss://x"}}, "missing", "/properties/livekit_room_token", id="half"
        ),
        pytest.param(
            {"custom_greeting": "x" * 100_001}, "too_long", "/custom_greeting", id="a greeting that is a book"
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(api, new_pal, members, code, pointer):
    body = {"pal_id": new_pal(), "chat": True} | members
    details = refused(api.post("/v2/conversations", json=body), 400)
    assert (code, pointer) in [(one["code"], one.get("pointer")) for one in details], details


def test_a_pal_without_a_face_needs_one_except_in_writing(api):
    pal = faceless(api)
    assert refused(api.post("/v2/conversations", json={"pal_id": pal}), 400)[0]["code"] == "missing"
    assert begun(api, pal, chat=True)["face_id"] is None


def test_somebody_elses_pal_is_unknown(api, neighbour, new_pal):
    refused(neighbour.post("/v2/conversations", json={"pal_id": new_pal()}), 400, "Invalid pal_id")


def test_in_test_mode_everything_is_checked_and_it_has_ended_when_it_begins(api, new_pal):
    made = begun(api, new_pal(), test_mode=True)
    assert made["status"] == "ended"
    assert shown(api, made, verbose=True)["status"] == "ended"
    api.post(f"/v2/conversations/{made['conversation_id']}/end")
    refused(api.post("/v2/conversations", json={"pal_id": "p00000000000", "test_mode": True}), 400, "Invalid pal_id")


def test_a_dry_run_begins_nothing_and_shows_no_token(api, new_pal):
    before = api.get("/v2/conversations").json()["total_count"]
    body = {"pal_id": new_pal(), "require_auth": True}
    said = api.post("/v2/conversations?dry_run=true", json=body).json()
    assert said["dry_run"] is True
    assert "meeting_token" not in str(said)
    assert api.get("/v2/conversations").json()["total_count"] == before


def test_a_creation_that_is_sent_twice_is_one(api, new_pal):
    body, key = {"pal_id": new_pal(), "require_auth": True}, {"idempotency-key": "create-once"}
    first, second = (api.post("/v2/conversations", json=body, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


def test_an_account_has_so_many_conversations_at_once_and_no_more(tmp_path):
    with start_palace(tmp_path / "data", "--most-conversations", "2") as server, server.client() as client:
        one, _ = begun(client, STOCK_PAL), begun(client, STOCK_PAL)
        begun(client, STOCK_PAL, test_mode=True)
        answer = client.post("/v2/conversations", json={"pal_id": STOCK_PAL})
        details = refused(answer, 400, "User has reached maximum concurrent conversations")
        assert details[0]["code"] == "too_many_conversations"
        with server.client(server.new_key("neighbour")) as other:
            begun(other, STOCK_PAL)
        client.post(f"/v2/conversations/{one['conversation_id']}/end")
        begun(client, STOCK_PAL)


def test_a_pal_that_only_echoes_has_nothing_to_say_of_its_own(api):
    echo = begun(api, STOCK_PAL)
    turn = api.post(f"/v2/conversations/{echo['conversation_id']}/respond", json={"text": "Hello."}).json()
    assert (turn["status"], turn["text"]) == ("ready", "")


# --- Read and list ----------------------------------------------------------------------------------------------------


def test_the_pal_is_kept_as_it_was(api, new_pal):
    pal = new_pal(greeting="The first one.")
    call = begun(api, pal)
    api.patch(f"/v2/pals/{pal}", json=[{"op": "replace", "path": "/greeting", "value": "Another one."}])
    assert shown(api, call)["pal_revision"] == 1
    api.post(f"/v2/conversations/{call['conversation_id']}/respond", json={"text": "Hello."})
    assert "The first one." in api.get(f"/v2/conversations/{call['conversation_id']}/messages").text
    api.delete(f"/v2/pals/{pal}")
    assert api.post(f"/v2/conversations/{call['conversation_id']}/respond", json={"text": "Still there?"}).json()[
        "text"
    ]


def test_events_are_told_where_they_are_asked_for(api, new_pal):
    call = begun(api, new_pal(greeting="Welcome."))
    path = f"/v2/conversations/{call['conversation_id']}"
    assert shown(api, call)["events"] is None
    assert "shutdown_reason" not in shown(api, call)
    joined = [one["event_type"] for one in shown(api, call, verbose=True)["events"]]
    assert joined == ["system.replica_joined", "system.pal_joined"]
    api.post(f"{path}/respond", json={"text": "Hello."})
    api.post(f"{path}/end")
    said = shown(api, call, verbose=True)
    assert said["shutdown_reason"] == ENDED
    shutdown, transcript = said["events"][2:]
    assert shutdown["properties"]["shutdown_reason"] == shutdown["properties"]["reason"] == ENDED
    assert transcript["event_type"] == "application.transcription_ready"
    lines = transcript["properties"]["transcript"]
    assert [line["role"] for line in lines] == ["system", "assistant", "user", "assistant"]
    assert {"timestamp", "seconds_from_start"} <= set(lines[1])


def test_lists_are_filtered_by_status_and_by_pal_in_both_vocabularies(api, new_pal):
    pal, other = new_pal(), new_pal()
    going, over = begun(api, pal), begun(api, pal)
    begun(api, other)
    api.post(f"/v2/conversations/{over['conversation_id']}/end")

    def ids(**query):
        said = api.get("/v2/conversations", params=query).json()
        assert said["total_count"] == len(said["data"])
        return [one["conversation_id"] for one in said["data"]]

    both = [over["conversation_id"], going["conversation_id"]]
    assert ids(pal_id=pal) == ids(persona_id=pal) == both, "the newest first"
    assert ids(pal_id=pal, status="active") == [going["conversation_id"]]
    assert ids(pal_id=pal, status="ended") == [over["conversation_id"]]
    page = api.get("/v2/conversations", params={"pal_id": pal, "limit": 1, "page": 2}).json()
    assert ([one["conversation_id"] for one in page["data"]], page["total_count"]) == (both[1:], 2)


def test_nobody_sees_or_touches_those_of_others(api, neighbour, new_pal):
    id = begun(api, new_pal())["conversation_id"]
    for method, path in (
        ("GET", f"/v2/conversations/{id}"),
        ("POST", f"/v2/conversations/{id}/end"),
        ("DELETE", f"/v2/conversations/{id}"),
        ("GET", f"/v2/conversations/{id}/messages"),
        ("GET", f"/v2/conversations/{id}/respond"),
    ):
        refused(neighbour.request(method, path), 400, "Invalid conversation_id")
    assert id not in neighbour.get("/v2/conversations").text
    assert shown(api, {"conversation_id": id})["status"] == "active"


# --- End and delete ---------------------------------------------------------------------------------------------------


def test_ending_twice_is_ending_once(api, new_pal):
    call = begun(api, new_pal())
    first, second = (api.post(f"/v2/conversations/{call['conversation_id']}/end") for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert len(shown(api, call, verbose=True)["events"]) == 4


def test_after_the_end_nobody_is_heard(api, new_pal):
    call = begun(api, new_pal())
    path = f"/v2/conversations/{call['conversation_id']}"
    api.post(f"{path}/end")
    for to, body in (("respond", {"text": "Hello?"}), ("messages", {"event_type": "conversation.interrupt"})):
        assert refused(api.post(f"{path}/{to}", json=body), 400)[0]["code"] == "conversation_ended"
    assert api.get(f"{path}/respond").json()["conversation_status"] == "ended"


def test_a_deleted_conversation_is_gone_and_was_ended(api, new_pal):
    call = begun(api, new_pal())
    path = f"/v2/conversations/{call['conversation_id']}"
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.delete(path), api.post(f"{path}/end"), api.get(f"{path}/messages")):
        refused(answer, 400, "Invalid conversation_id")
    assert api.delete(f"{path}?hard=true").status_code == 204
    refused(api.delete(f"{path}?hard=true"), 400, "Invalid conversation_id")


def test_a_hard_deletion_leaves_nothing_of_what_was_said(tmp_path):
    secret = "a-sentence-that-nobody-else-says"
    data = tmp_path / "data"
    with start_palace(data) as server, server.client() as client:
        call = begun(client, STOCK_PAL)
        path = f"/v2/conversations/{call['conversation_id']}"
        client.post(f"{path}/respond", json={"text": secret})
        assert client.delete(f"{path}?hard=true").status_code == 204
        refused(client.get(path), 400, "Invalid conversation_id")
        assert server.stop() == 0
        assert secret not in server.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "respond", {}),
        ("POST", "respond", {"text": ""}),
        ("POST", "respond", {"text": "  "}),
        ("POST", "respond", {"text": 7}),
        ("POST", "respond", {"text": "x", "timeout_s": -1}),
        ("POST", "messages", {}),
        ("POST", "messages", {"event_type": "conversation.dance"}),
        ("POST", "messages", {"event_type": "conversation.tool_result", "properties": {"output": "x"}}),
        ("POST", "messages", []),
    ],
)
def test_what_means_nothing_is_refused(api, new_pal, method, path, body):
    call = begun(api, new_pal())
    refused(api.request(method, f"/v2/conversations/{call['conversation_id']}/{path}", json=body), 400)
