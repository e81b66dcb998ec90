"""When conversations end by themselves, on a clock that is set."""

import time

import httpx
import pytest

from tests.lines import Frame, begun, line, status, wait_for_lines
from tests.serving import Palace, start_palace
from tests.waiting import wait_until

STOCK_PAL = "pb87e71797da"
ABSENT, LEFT, MAX_CALL = (
    f"{what} reached" for what in ("participant_absent_timeout", "participant_left_timeout", "max_call_duration")
)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    data = tmp_path_factory.mktemp("times") / "data"
    with start_palace(data, "--ephemeral", "--fixed-time", "2026-01-01T00:00:00Z") as server:
        yield server


@pytest.fixture
def client(still: Palace):
    with still.client() as client:
        yield client


def advance(client: httpx.Client, seconds: float) -> None:
    assert client.post("/_palace/clock", json={"advance_seconds": seconds}).status_code == 200


def still_active(client: httpx.Client, conversation: Frame, seconds: float) -> None:
    """So much later it goes on, and the server had the time to look what is due."""
    advance(client, seconds)
    time.sleep(0.6)
    assert status(client, conversation) == ("active", None)


def ends(client: httpx.Client, conversation: Frame, seconds: float, reason: str) -> None:
    """So much later it ends."""
    advance(client, seconds)
    wait_until(lambda: status(client, conversation) == ("ended", reason))


def call(client: httpx.Client, chat: bool = False, **properties: int) -> Frame:
    return begun(client, STOCK_PAL, chat=chat, properties=properties)


@pytest.mark.parametrize(
    ("chat", "properties", "seconds", "reason"),
    [
        pytest.param(False, {}, 300, ABSENT, id="nobody comes, for five minutes"),
        pytest.param(False, {"participant_absent_timeout": 20}, 20, ABSENT, id="nobody comes"),
        pytest.param(
            True, {"participant_absent_timeout": 86_400, "max_call_duration": 90}, 90, MAX_CALL, id="the longest time"
        ),
        pytest.param(
            True,
            {"participant_absent_timeout": 86_400, "max_call_duration": 90_000},
            3600,
            MAX_CALL,
            id="no call takes more than an hour",
        ),
    ],
)
def test_nobody_comes(client, chat, properties, seconds, reason):
    one = call(client, chat, **properties)
    still_active(client, one, seconds - 1)
    ends(client, one, 2, reason)


@pytest.mark.parametrize(
    ("chat", "properties", "seconds"),
    [
        pytest.param(False, {"participant_left_timeout": 20}, 20, id="as it says"),
        pytest.param(True, {}, 300, id="a chat, whose clients come and go"),
        pytest.param(True, {"participant_left_timeout": 10}, 10, id="a chat that says otherwise"),
    ],
)
def test_the_last_person_leaves(client, chat, properties, seconds):
    one = call(client, chat, **properties)
    with line(one) as it:
        it.next()
        still_active(client, one, 200)
    wait_for_lines(client, 0)
    still_active(client, one, seconds - 1)
    ends(client, one, 2, LEFT)


def test_who_comes_back_stops_the_time(client):
    one = call(client, participant_left_timeout=20)
    for _ in range(2):
        with line(one) as it:
            it.next()
            still_active(client, one, 30)
        wait_for_lines(client, 0)
        still_active(client, one, 15)


def test_while_somebody_is_there_nobody_has_left(client):
    one = call(client)
    with line(one) as first, line(one) as second:
        first.next()
        second.next()
        first.socket.close()
        wait_for_lines(client, 1)
        still_active(client, one, 60)


def test_silence_ends_nothing(client):
    one = call(client)
    with line(one) as it:
        it.next()
        still_active(client, one, 3000)
        advance(client, 700)
        assert it.closed() == (1000, MAX_CALL)
