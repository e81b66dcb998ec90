"""Ctrl-C at a prompt, which the line editor may miss."""

import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

SECONDS_TO_NOTICE = 0.1
MOST_SIGNALS = 1024


@contextmanager
def noticed() -> Iterator[None]:
    """Interrupts of the main thread are repeated until it takes notice.

    Python's line editor looks for signals only when one comes while it waits for a key: what comes while the prompt is
    being shown would stay unnoticed until the next key.
    """
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    is_over = threading.Event()

    def interrupted(*_: object) -> NoReturn:
        with suppress(BlockingIOError):
            ours.recv(MOST_SIGNALS)
        raise KeyboardInterrupt

    def watch() -> None:
        while True:
            select.select([ours], [], [])
            if is_over.wait(SECONDS_TO_NOTICE):
                return
            if select.select([ours], [], [], 0)[0]:
                wake_reader()

    watching = threading.Thread(target=watch, name="watching for Ctrl-C", daemon=True)
    handler = signal.signal(signal.SIGINT, interrupted)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watching.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, handler)
        is_over.set()
        theirs.close()
        watching.join()
        ours.close()


def wake_reader() -> None:
    """Interrupt the main thread where it waits for somebody to type."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)
