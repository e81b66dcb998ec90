"""Ids that nobody can foretell are given once, whoever asks, and have as many digits as were asked for."""

import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from palace.ids import BYTES_AT_ONCE, BYTES_OF_AN_ID, Ids

MORE_THAN_ARE_DRAWN_AT_ONCE = 3 * BYTES_AT_ONCE // BYTES_OF_AN_ID
FORK = multiprocessing.get_context("fork")


def many(ids: Ids, digits: int = 16) -> list[str]:
    return [ids.new("p", digits) for _ in range(MORE_THAN_ARE_DRAWN_AT_ONCE)]


@pytest.mark.parametrize("digits", [1, 11, 12, 15, 16, 17, 20, 32, 33])
def test_an_id_has_its_prefix_and_as_many_digits_as_were_asked_for(digits: int) -> None:
    for ids in (Ids(), Ids(7)):
        assert re.fullmatch(f"p[0-9a-f]{{{digits}}}", ids.new("p", digits))


def test_no_id_is_given_twice_also_by_several_threads() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = [id for given in threads.map(many, [Ids()] * 8) for id in given]
    assert len(set(found)) == len(found)


def test_processes_that_are_forked_share_no_ids_with_their_parent_or_each_other() -> None:
    ids = Ids()
    ids.new("p", 16)
    with FORK.Pool(3) as pool:
        found = [ids.new("p", 16) for _ in range(100)]
        for given in pool.map(many, [ids] * 3, chunksize=1):
            found += given
    assert len(set(found)) == len(found)
