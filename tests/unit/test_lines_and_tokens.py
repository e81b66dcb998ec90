"""What waits for those who hear a conversation, how many there may be, and the tokens that open the door."""

import asyncio

import jwt
import pytest

from palace.metrics import Meter
from palace.talking.lines import Lines
from palace.talking.listeners import MOST_WAITING, Listener
from palace.talking.tokens import Claims, meeting_token, read_token
from palace.unavailable import TooManyLines

KEY, OTHER = b"k" * 32, b"o" * 32


def numbered(first: int, last: int) -> list[dict[str, int]]:
    return [{"seq": number} for number in range(first, last + 1)]


def taken(listener: Listener) -> list[int]:
    return [message["seq"] for message in asyncio.run(listener.next(0))]


def test_what_is_offered_twice_is_heard_once_and_in_order():
    listener = Listener(2, numbered(3, 5))
    listener.offer(numbered(4, 7))
    assert taken(listener) == [3, 4, 5, 6, 7]
    listener.offer(numbered(1, 7))
    assert taken(listener) == []


def test_who_is_too_far_behind_is_told_so_and_nothing_is_kept_for_it():
    listener = Listener(0)
    listener.offer(numbered(1, MOST_WAITING))
    assert listener.why == ""
    listener.offer(numbered(MOST_WAITING + 1, MOST_WAITING + 1))
    assert (listener.why, taken(listener)) == ("behind", [])
    listener.offer(numbered(MOST_WAITING + 2, MOST_WAITING + 9))
    assert taken(listener) == []


def test_what_was_missed_may_be_any_number():
    listener = Listener(0, numbered(1, 3 * MOST_WAITING))
    listener.offer(numbered(3 * MOST_WAITING + 1, 3 * MOST_WAITING + 1))
    assert len(taken(listener)) == 3 * MOST_WAITING + 1


def test_the_first_reason_to_end_is_the_reason_and_what_waits_is_still_heard():
    listener = Listener(0)
    listener.offer(numbered(1, 2))
    listener.end("ended")
    listener.end("stopping")
    assert (taken(listener), listener.why) == ([1, 2], "ended")


def test_lines_are_counted_in_all_and_by_account_and_given_back():
    lines = Lines(2, 1, Meter([]))
    with lines.one_more(1):
        with pytest.raises(TooManyLines), lines.one_more(1):
            pass
        with lines.one_more(2):
            assert lines.open == 2
            with pytest.raises(TooManyLines), lines.one_more(3):
                pass
    assert lines.open == 0


def test_a_token_says_what_it_opens_and_until_when():
    token = meeting_token(KEY, "c1", "https://x/c/c1", 100, 400)
    assert read_token(KEY, token) == Claims("c1", 400.0), "also when that is long ago"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(meeting_token(OTHER, "c1", "r", 1, 2), id="another key"),
        pytest.param(meeting_token(KEY, "c1", "r", 1, 2)[:-2], id="cut off"),
        pytest.param(jwt.encode({"conversation_id": "c1", "exp": 9}, None, "none"), id="no signature"),
        pytest.param(jwt.encode({"conversation_id": "c1", "exp": 9}, KEY * 2, "HS512"), id="another algorithm"),
        pytest.param(jwt.encode({"conversation_id": "c1"}, KEY, "HS256"), id="no end"),
        pytest.param(jwt.encode({"exp": 9}, KEY, "HS256"), id="no conversation"),
        pytest.param(jwt.encode({"conversation_id": "c1", "exp": "soon"}, KEY, "HS256"), id="an end that is no number"),
        pytest.param("", id="nothing"),
        pytest.param("a.b.c", id="nonsense"),
        pytest.param("ü" * 100, id="no ASCII"),
    ],
)
def test_anything_else_opens_nothing(token):
    assert read_token(KEY, token) is None
