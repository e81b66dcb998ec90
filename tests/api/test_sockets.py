"""`GET /c/{id}/ws`: who comes in, what they hear, what they are told, and how a line ends."""

import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.lines import begun, is_event, is_utterance, line, refusal, status, stored
from tests.serving import KEY, Palace, start_palace
from tests.waiting import wait_until

ENDED = "end_conversation_endpoint_hit"
LEFT = "participant_left_timeout reached"


@pytest.fixture
def conversation(api, new_pal):
    return begun(api, new_pal(greeting="Welcome."))


def is_open(conversation, **options) -> bool:
    """Whether one can come in."""
    try:
        with line(conversation, **options) as it:
            it.next()
    except InvalidStatus:
        return False
    return True


# --- What is heard ----------------------------------------------------------------------------------------------------


def test_a_person_is_told_that_the_pal_is_there_greeted_and_answered(conversation):
    with line(conversation) as it:
        first, second = it.next(), it.next()
        assert [first["event_type"], second["event_type"]] == ["system.replica_present", "system.pal_present"]
        assert set(first) == {"message_type", "event_type", "conversation_id", "timestamp"}, "presence has no number"
        assert it.answer() == "Welcome."
        it.say("Is there a room?")
        assert it.until(is_utterance("user"))["properties"]["speech"] == "Is there a room?"
        assert "Is there a room?" in it.answer()


def test_both_vocabularies_are_served_in_order_with_one_number_for_all_copies(api, conversation):
    with line(conversation, after=0) as it:
        it.say("Hello")
        it.until(is_event("conversation.utterance.streaming"))
        it.answer()
        it.until(lambda frame: frame["properties"].get("final") and frame["properties"]["role"] == "replica")
        numbered = [frame for frame in it.heard if "seq" in frame]
        assert [frame["seq"] for frame in numbered] == sorted(frame["seq"] for frame in numbered)
        kept = stored(api, conversation)
        assert [frame for frame in numbered if frame["seq"] in {one["seq"] for one in kept}] == kept
        pal, replica = ([frame["seq"] for frame in numbered if frame.get("properties", {}).get("role") == role]
                        for role in ("pal", "replica"))  # fmt: skip
        assert pal == replica


def test_without_after_nothing_old_is_told_and_with_it_all_behind(api, conversation):
    with line(conversation) as it:
        it.answer()
    last = stored(api, conversation)[-1]["seq"]
    with line(conversation, participant="late") as late, line(conversation, after=last - 1) as resumed:
        resumed.until(lambda frame: frame.get("seq") == last)
        resumed.say("One.")
        late.until(is_utterance("user"))
        assert min(frame["seq"] for frame in late.heard if "seq" in frame) > last
        resumed.until(is_utterance("user"))
        assert [frame["seq"] for frame in resumed.heard if "seq" in frame][:2] == [last, last]


def test_several_people_hear_the_same(conversation):
    with line(conversation, after=0) as one, line(conversation, after=0) as other:
        one.say("First.")
        first = one.answer(), other.answer()
        other.say("Second.")
        assert first[0] == first[1]
        assert one.until(is_utterance("user")) == other.until(is_utterance("user"))


def test_what_is_not_understood_is_told_to_its_sender_alone(conversation):
    with line(conversation, participant="one") as one, line(conversation, participant="two") as two:
        for sent in (
            "{",
            "[]",
            '{"event_type": "conversation.dance"}',
            '{"event_type": "conversation.respond"}',
            b"{}",
        ):
            one.socket.send(sent)
            told = one.until(is_event("system.error"))
            assert "seq" not in told
            assert told["properties"]["code"] in ("malformed_json", "invalid_message")
            assert told["properties"]["problem"].endswith(".")
        one.say("Hello.")
        two.until(is_utterance("user"))
        assert not [frame for frame in two.heard if frame["event_type"] == "system.error"]


@pytest.mark.parametrize(
    ("characters", "is_taken"),
    [
        pytest.param(64 << 10, True, id="64 KB, as the published service is used with"),
        pytest.param((1 << 20) - 200, True, id="nearly 1 MiB"),
        pytest.param(1 << 20, False, id="1 MiB"),
    ],
)
def test_long_messages_are_taken_and_longer_ones_close_the_line(conversation, characters, is_taken):
    with line(conversation) as it:
        it.send("conversation.tool_result", tool_call_id="call_of_nobody", output="x" * characters)
        if is_taken:
            it.say("Hello.")
            it.until(is_utterance("user"))
        else:
            assert it.closed()[0] == 1009


# --- Who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        pytest.param({"after": "x"}, (400, "invalid_after"), id="after is no number"),
        pytest.param({"after": "9" * 40}, (400, "invalid_after"), id="after is no number of this world"),
        pytest.param({"participant": "a b"}, (400, "invalid_participant"), id="a participant with a space"),
        pytest.param({"participant": "(http)"}, (400, "invalid_participant"), id="the one of plain requests"),
        pytest.param({"key": "wrong"}, (401, "invalid_access_token"), id="an unknown API key"),
    ],
)
def test_what_is_wrong_is_answered_before_the_line_is_opened(conversation, query, refused):
    assert refusal(conversation, **query) == refused


def test_an_unknown_conversation_is_not_found(palace: Palace):
    assert refusal({"conversation_url": f"{palace.url}/c/c000"}) == (404, "no_such_conversation")


def test_one_in_test_mode_or_deleted_is_not_found(api, new_pal):
    never = begun(api, new_pal(), test_mode=True)
    assert refusal(never) == (404, "no_such_conversation")
    gone = begun(api, new_pal())
    with line(gone) as it:
        api.delete(f"/v2/conversations/{gone['conversation_id']}?hard=true")
        assert it.closed()[0] == 1000
    assert refusal(gone) == (404, "no_such_conversation")


def test_a_private_conversation_opens_with_its_token_or_the_key_of_its_owner(palace, api, neighbour, new_pal):
    private = begun(api, new_pal(), require_auth=True)
    also_private = begun(api, new_pal(), properties={"require_auth": True})
    denied = (403, "not_allowed_in")
    theirs = neighbour.headers["x-api-key"]
    assert refusal(private) == denied
    assert refusal(private, t="nonsense") == denied
    assert refusal(private, t=also_private["meeting_token"]) == denied
    assert refusal(private, key=theirs) == denied
    for way in ({"t": private["meeting_token"]}, {"key": KEY}, {"t": "nonsense", "key": KEY}):
        with line(private, **way) as it:
            it.say("Hello.")
            it.answer()
    assert private["meeting_token"] not in palace.log.read_text()


def test_tokens_are_answered_at_the_creation_alone_and_only_where_they_are_needed(api, new_pal):
    private = begun(api, new_pal(), require_auth=True)
    assert "meeting_token" not in begun(api, new_pal())
    shown = api.get(f"/v2/conversations/{private['conversation_id']}?verbose=true")
    assert private["meeting_token"] not in shown.text


def test_where_it_is_full_nobody_else_comes_in_until_somebody_leaves(api, new_pal):
    small = begun(api, new_pal(), max_participants=2)
    with line(small, participant="ann"):
        assert refusal(small, participant="ben") == (403, "conversation_full")
        with line(small, participant="ann") as again:
            again.say("I am no other.")
            again.answer()
        assert refusal(small, participant="ben") == (403, "conversation_full")
    wait_until(lambda: is_open(small, participant="ben"))


def test_pages_of_other_origins_come_in_where_the_settings_let_them(tmp_path: Path, api, conversation):
    with line(conversation, origin="https://elsewhere.example") as it:
        it.next()
    flags = ("--cors-origins", "https://mine.example")
    with start_palace(tmp_path / "data", *flags) as server, server.client() as client:
        pal = client.post("/v2/pals", json={"system_prompt": "Answer.", "default_face_id": "r4067604db72"}).json()
        made = begun(client, pal["pal_id"])
        assert refusal(made, origin="https://elsewhere.example") == (403, "foreign_origin")
        for origin in ("https://mine.example", server.url, None):
            with line(made, origin=origin) as it:
                it.next()


def test_there_are_limits_of_lines_in_all_and_for_each_account(tmp_path: Path):
    flags = ("--most-lines", "2", "--most-account-lines", "1")
    with start_palace(tmp_path / "data", *flags) as server, server.client() as mine:
        theirs = server.client(server.new_key("neighbour"))
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
        one, other = (begun(client, client.post("/v2/pals", json=body).json()["pal_id"]) for client in (mine, theirs))
        with line(one):
            assert refusal(one) == (503, "too_many_lines")
            with line(other):
                assert refusal(other) == (503, "too_many_lines")
        wait_until(lambda: is_open(one))
        theirs.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/c/{id}/ws", {}, 426, id="no upgrade"),
        pytest.param("GET", "/c/{id}/ws", {"connection": "upgrade", "upgrade": "websocket"}, 426, id="half an upgrade"),
        pytest.param("GET", "/c/{id}/ws", {"connection": "upgrade", "upgrade": "h2c"}, 426, id="another protocol"),
        pytest.param("POST", "/c/{id}/ws", {}, 405, id="another method"),
    ],
)
def test_what_is_no_websocket_is_told_what_there_is(api, conversation, method, path, headers, status):
    answer = api.request(method, path.format(id=conversation["conversation_id"]), headers=headers)
    assert answer.status_code == status, answer.text


def test_elsewhere_a_wish_for_a_websocket_changes_nothing(api, new_pal):
    wish = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    pal = new_pal()
    assert api.get(f"/v2/pals/{pal}", headers=wish).json()["pal_id"] == pal
    assert api.delete(f"/v2/pals/{pal}", headers=wish).status_code == 204
    assert api.get("/c/x/ws/more", headers=wish).status_code == 404


# --- How it ends ------------------------------------------------------------------------------------------------------


def test_the_end_is_told_and_closes_the_line_with_its_reason(api, conversation):
    with line(conversation) as it:
        it.answer()
        api.post(f"/v2/conversations/{conversation['conversation_id']}/end")
        assert it.closed() == (1000, ENDED)
        assert it.heard[-1]["event_type"] == "system.shutdown"
        assert it.heard[-1]["properties"]["shutdown_reason"] == ENDED


def test_of_an_ended_conversation_what_is_left_is_told_and_then_closed(api, conversation):
    with line(conversation) as it:
        it.answer()
    api.post(f"/v2/conversations/{conversation['conversation_id']}/end")
    with line(conversation, after=0) as it:
        assert it.closed() == (1000, ENDED)
        assert it.heard == stored(api, conversation)
    with line(conversation) as it:
        assert it.closed() == (1000, ENDED)
        assert it.heard == []


def test_who_says_good_bye_has_left_at_once(api, new_pal):
    call = begun(api, new_pal(), chat=False)
    with line(call) as it:
        it.next()
    wait_until(lambda: status(api, call) == ("ended", LEFT))


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A server whose clock stands still until it is set."""
    data = tmp_path_factory.mktemp("still") / "data"
    with start_palace(data, "--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z") as server:
        yield server


def advance(client: httpx.Client, seconds: float) -> None:
    assert client.post("/_palace/clock", json={"advance_seconds": seconds}).status_code == 200


def pal_of(client: httpx.Client) -> str:
    body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
    made: str = client.post("/v2/pals", json=body).json()["pal_id"]
    return made


def test_who_lost_the_line_has_left_after_half_a_minute(still: Palace):
    with still.client() as client:
        call = begun(client, pal_of(client), chat=False)
        with line(call, participant="ann") as it:
            it.next()
            it.cut()
        wait_for_lines(client, 0)
        advance(client, 29)
        time.sleep(0.6)
        assert status(client, call) == ("active", None)
        advance(client, 2)
        wait_until(lambda: status(client, call) == ("ended", LEFT))


def test_who_comes_back_in_time_has_not_left(still: Palace):
    with still.client() as client:
        call = begun(client, pal_of(client), chat=False)
        with line(call, participant="ann") as it:
            it.next()
            it.cut()
        wait_for_lines(client, 0)
        advance(client, 29)
        with line(call, participant="ann") as it:
            advance(client, 10)
            time.sleep(0.6)
            it.say("I am back.")
            it.until(is_utterance("user"))
        wait_until(lambda: status(client, call) == ("ended", LEFT))


def test_a_token_opens_until_it_expires_and_then_for_those_alone_who_are_known(still: Palace):
    with still.client() as client:
        call = begun(client, pal_of(client), require_auth=True, properties={"participant_absent_timeout": 60})
        token, own = call["meeting_token"], "a-name-that-nobody-guesses"
        with line(call, t=token, participant=own) as it, line(call, t=token, participant="ann"):
            it.next()
            it.cut()
            wait_for_lines(client, 1)
            advance(client, 61 - 35)
            with line(call, t=token, participant=own):
                advance(client, 35)
            wait_for_lines(client, 1)
            assert refusal(call, t=token, participant="stranger-with-a-long-name") == (403, "not_allowed_in")
            assert refusal(call, t=token, participant="ann") == (403, "not_allowed_in"), "too easily guessed"
            assert refusal(call, t=token, participant=own) == (403, "not_allowed_in"), "who left is a stranger"
        with line(call, key=KEY, participant=own) as it:
            it.next()
            it.cut()
            wait_for_lines(client, 0)
            with line(call, t=token, participant=own) as again:
                again.next()


def wait_for_lines(client: httpx.Client, count: int) -> None:
    """Until the server knows of so many lines; it hears of one that breaks a moment later."""
    said = f"palace_lines_open {count}.0"
    wait_until(lambda: said in client.get("/metrics").text.splitlines())


def test_a_reset_closes_the_lines(still: Palace):
    with still.client() as client:
        call = begun(client, pal_of(client))
        with line(call) as it:
            client.post("/_palace/reset")
            assert it.closed()[0] == 1000
        assert refusal(call) == (404, "no_such_conversation")


def test_a_server_that_stops_tells_clients_to_come_again(tmp_path: Path):
    with start_palace(tmp_path / "data") as server, server.client() as client:
        call = begun(client, pal_of(client))
        with line(call) as it:
            it.next()
            server.process.terminate()
            code, reason = it.closed()
            assert (code, "after=" in reason) == (1012, True)
            assert server.process.wait(timeout=10) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_draining_server_takes_no_new_lines(tmp_path: Path):
    with start_palace(tmp_path / "data", "--drain-seconds", "2") as server, server.client() as client:
        call = begun(client, pal_of(client))
        with line(call) as it:
            it.next()
            server.process.terminate()
            assert it.closed()[0] == 1012
            assert refusal(call) == (503, "stopping")


def test_a_client_that_takes_nothing_keeps_nobody_waiting(conversation):
    with line(conversation), line(conversation, participant="other") as other:
        began = time.monotonic()
        for number in range(20):
            other.send("conversation.echo", text=f"{number} " + "x" * 90_000)
        other.until(lambda frame: frame.get("properties", {}).get("speech", "").startswith("19 "))
        assert time.monotonic() - began < 15
