"""Names are looked up beside the event loop: those that hang hold up no others, nor those who no longer wait."""

import asyncio
from collections.abc import Sequence
from threading import Event

import pytest

from palace.lookups import SHARE, Lookups, NotNow, system_addresses
from tests.waiting import until


@pytest.mark.parametrize("host", ["a..example", "a" * 64 + ".example"])
def test_the_system_is_not_asked_for_what_is_no_name(host: str) -> None:
    assert asyncio.run(Lookups().look_up(host)) == []


def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1" in system_addresses("localhost")


def test_a_failure_is_told_to_who_asked() -> None:
    def find(_host: str) -> Sequence[str]:
        raise NotNow

    with pytest.raises(NotNow):
        asyncio.run(Lookups(find).look_up("a.example"))


def test_names_of_one_site_that_hang_hold_up_no_others_and_leave_in_the_end() -> None:
    hanging, asked = Event(), []

    def find(host: str) -> Sequence[str]:
        asked.append(host)
        if host.endswith("slow.example"):
            hanging.wait(30)
        return [host]

    async def talk() -> None:
        lookups = Lookups(find)
        slow = [asyncio.create_task(lookups.look_up(f"{n}.slow.example")) for n in range(SHARE + 3)]
        try:
            async with asyncio.timeout(10):
                assert await lookups.look_up("a.quick.example") == ["a.quick.example"]
                await until(lambda: len(asked) > SHARE)  # The last may have a thread, and not have begun.
                assert len(asked) == SHARE + 1
                for task in slow[1:]:  # Of those who have a thread, and of those who wait for one.
                    task.cancel()
                await asyncio.wait(slow[1:])
                assert not slow[0].done()
                hanging.set()
                assert await slow[0] == ["0.slow.example"]
                assert await lookups.look_up("last.SLOW.example.") == ["last.SLOW.example."]
                assert len(asked) == SHARE + 2
        finally:
            hanging.set()

    asyncio.run(talk())
