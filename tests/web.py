"""Web servers of the tests: what they are asked is answered in threads."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class WebServer(ThreadingHTTPServer):
    """Says nothing of those who hang up.

    Python would print a traceback at any moment of any test. It parses source for that, which CPython 3.11 cannot do in
    two threads at once: a test that parses some may fail with SystemError.
    """

    request_queue_size = 128
    """Python's own is 5: more connections at once would be refused."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
