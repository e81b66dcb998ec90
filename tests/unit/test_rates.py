"""Rates: a key has its burst at once and then its share of each minute, on one server and on several."""

import asyncio
from collections.abc import Sequence

import pytest

from palace.rates import MOST_BUCKETS, Rates, Use, share_once

MORNING = 28_000_000 * 60.0
"""The beginning of a minute, in seconds since 1970."""


def passed(rates: Rates, seconds: float, times: int, key: str = "k1") -> int:
    """How many of so many requests at one moment pass."""
    return sum(rates.take(key, seconds, MORNING + seconds).is_allowed for _ in range(times))


class Shared:
    """What servers tell one another, as a table in a database would keep it."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}
        self.is_down = False

    async def share(self, uses: Sequence[Use]) -> list[Use]:
        if self.is_down:
            raise ConnectionError("the database is away")
        for key_id, window, count in uses:
            self.counts[key_id, window] = self.counts.get((key_id, window), 0) + count
        return [Use(key_id, window, self.counts[key_id, window]) for key_id, window, _ in uses]


def heard(rates: Rates, shared: Shared, seconds: float) -> None:
    asyncio.run(share_once(rates, shared.share, lambda: MORNING + seconds))


@pytest.mark.parametrize(
    ("limit", "burst", "at_once"),
    [
        pytest.param(600, 0, 100, id="what comes in ten seconds"),
        pytest.param(600, 7, 7, id="as it was set"),
        pytest.param(1, 0, 1, id="one at least"),
    ],
)
def test_a_burst_passes_at_once_and_no_more(limit, burst, at_once):
    assert passed(Rates(limit, burst), 5.0, 500) == at_once


def test_after_the_burst_requests_pass_as_the_minute_goes_on():
    rates = Rates(60, 10)
    assert passed(rates, 0, 100) == 10
    assert [passed(rates, second, 100) for second in (0.5, 1, 2, 5)] == [0, 1, 1, 3]
    assert passed(rates, 1000, 100) == 10


def test_a_refusal_costs_nothing_and_tells_when_to_come_again():
    rates = Rates(60, 2)
    assert [rates.take("k1", 0, MORNING)[:3] for _ in range(4)] == [(True, 1, 0), (True, 0, 1), *[(False, 0, 1)] * 2]
    assert rates.take("k1", 0, MORNING).reset_seconds == 2
    assert rates.take("k1", 1, MORNING + 1).is_allowed


def test_a_slow_rate_tells_how_long_it_takes():
    rates = Rates(1)
    assert rates.take("k1", 0, MORNING).is_allowed
    assert rates.take("k1", 10, MORNING + 10).wait_seconds == 50


def test_every_key_has_a_bucket_of_its_own():
    rates = Rates(60, 3)
    assert [passed(rates, 0, 10, key) for key in ("k1", "k2")] == [3, 3]


def test_keys_that_are_not_used_are_forgotten_and_those_that_are_used_up_are_not():
    rates = Rates(60, 1)
    for number in range(MOST_BUCKETS):
        rates.take(f"k{number}", 0, MORNING)
    rates.take_untold()
    assert passed(rates, 100, 5, "used") == 1
    assert passed(rates, 100, 5, "k1") == 1
    for number in range(MOST_BUCKETS):
        rates.take(f"n{number}", 100, MORNING)
    assert passed(rates, 100, 5, "used") == 0


# --- Several servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("servers", [2, 5])
@pytest.mark.parametrize("begin", [0, 25, 50], ids=lambda begin: f"from second {begin} of a minute")
def test_several_servers_together_let_a_key_pass_hardly_more_than_one_would(begin, servers):
    shared, all_of_them = Shared(), [Rates(600, 20) for _ in range(servers)]
    total, seconds_in_all = 0, 100
    for tick in range(seconds_in_all * 5):
        seconds = begin + tick / 5
        for rates in all_of_them:
            total += passed(rates, seconds, 10)
        for rates in all_of_them:
            heard(rates, shared, seconds)
    alone = 20 + 600 * seconds_in_all // 60
    bursts = 20 * (servers - 1)
    assert alone * 0.9 <= total <= alone + bursts + 0.1 * alone


def test_a_server_that_hears_of_a_steady_use_lets_its_part_pass_none_the_less():
    shared, rates = Shared(), Rates(600, 100)
    shared.counts["k1", int(MORNING // 60)] = 500
    assert passed(rates, 50, 1) == 1
    heard(rates, shared, 50)
    assert passed(rates, 50, 500) == 99


def test_what_was_used_up_elsewhere_is_used_up_here_once_it_is_heard():
    shared, rates = Shared(), Rates(60, 10)
    shared.counts["k1", int(MORNING // 60)] = 40
    assert passed(rates, 1, 1) == 1
    heard(rates, shared, 1)
    verdict = rates.take("k1", 1, MORNING + 1)
    assert not verdict.is_allowed
    assert verdict.wait_seconds == 11, "a key is never shut out for longer than its burst takes to come back"


def test_while_the_others_cannot_be_told_a_server_counts_for_itself_and_tells_them_later():
    shared, rates = Shared(), Rates(60, 10)
    shared.is_down = True
    assert passed(rates, 0, 20) == 10
    with pytest.raises(ConnectionError):
        heard(rates, shared, 0)
    shared.is_down = False
    heard(rates, shared, 0)
    assert shared.counts == {("k1", int(MORNING // 60)): 10}


def test_nothing_is_asked_while_there_is_nothing_to_tell():
    shared = Shared()
    shared.is_down = True
    heard(Rates(60), shared, 0)


def test_who_is_alone_keeps_nothing_to_tell():
    rates = Rates(600, is_shared=False)
    for minute in range(5):
        assert passed(rates, minute * 60, 3) == 3
    assert rates.take_untold() == []


def test_what_could_not_be_told_for_minutes_is_let_go():
    rates = Rates(600)
    for minute in range(5):
        assert passed(rates, minute * 60, 3) == 3
        rates.put_back(rates.take_untold())
    assert [use.requests for use in rates.take_untold()] == [3, 3]


def test_of_a_minute_that_is_over_nothing_is_learnt():
    shared, rates = Shared(), Rates(60, 10)
    shared.counts["k1", int(MORNING // 60)] = 1000
    assert passed(rates, 59, 1) == 1
    heard(rates, shared, 61)
    assert passed(rates, 61, 20) == 10
