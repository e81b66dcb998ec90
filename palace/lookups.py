"""Addresses of names, as the system finds them; names of one site that hang keep no other name waiting.

The system's own call takes a thread until it ends, and for a name whose servers do not answer that is half a minute.
An event loop has few threads for it, so each lookup has its own here: many at once, and few of them for one site.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from weakref import WeakValueDictionary

AT_ONCE = 128
SHARE = 8
"""at once for one site"""
LABELS = 2
"""of a name, from its end, that make a site: whoever owns a site can make up any number of names below it"""

Find = Callable[[str], Sequence[str]]


class NotNow(Exception):
    """The name could not be looked up; another try may succeed."""


def system_addresses(host: str) -> Sequence[str]:
    """All addresses of a name; [] when there is none. Blocks. Raises NotNow."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise NotNow from error
        return []
    except UnicodeError:  # Python's: a part of the name that is empty or too long.
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Lookups:
    """Looks names up, those of one site `SHARE` at a time."""

    def __init__(self, find: Find = system_addresses) -> None:
        self._find = find
        self._all = asyncio.Semaphore(AT_ONCE)
        self._sites: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def look_up(self, host: str) -> Sequence[str]:
        """All addresses of a name; [] when there is none. Raises NotNow.

        Who waits no longer leaves at once; the thread keeps its place until the system comes back to it.
        """
        site = self._sites.setdefault(_site_of(host), asyncio.Semaphore(SHARE))
        await site.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            site.release()
            raise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def over(found: Sequence[str], problem: Exception | None) -> None:
            site.release()
            self._all.release()
            if answer.done():  # Nobody waits for it any more.
                return
            if problem is None:
                answer.set_result(found)
            else:
                answer.set_exception(problem)

        def find() -> None:
            found: Sequence[str] = ()
            problem: Exception | None = None
            try:
                found = self._find(host)
            except Exception as error:
                problem = error
            with suppress(RuntimeError):  # The loop is closed: the server has ended.
                loop.call_soon_threadsafe(over, found, problem)

        Thread(target=find, name="lookup", daemon=True).start()  # A pool would keep the process from ending.
        return await answer


def _site_of(host: str) -> str:
    return ".".join(host.lower().rstrip(".").split(".")[-LABELS:])
