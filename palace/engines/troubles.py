"""What went wrong with a model, in our words: foreign errors are translated here, and whether another try may help.

No sentence holds what the model wrote, but for short codes such as `context_length_exceeded`: answers are an oracle of
what can be reached from here, and models repeat keys in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from string import ascii_lowercase, digits
from typing import Any

import httpcore

from palace.clock import seconds_to_wait
from palace.engines.base import ModelDown, Reason
from palace.engines.deltas import NotAChunk
from palace.engines.transport import Packed, TooLong
from palace.fetching import FetchFailed

PASSING = {408, 409, 425, *range(500, 600)}
"""statuses that may be others a little later, besides 429"""

CODE = frozenset(ascii_lowercase + digits + "_-.")
LONGEST_CODE = 64


class Trouble(ModelDown):
    """A ModelDown of one try. `wait` is after how many seconds the model wants the next one, `said` what it wrote."""

    def __init__(
        self, text: str, reason: Reason, *, is_temporary: bool = False, wait: str | None = None, said: str = ""
    ) -> None:
        super().__init__(text, reason)
        self.is_temporary = is_temporary
        self.wait = wait
        self.said = said

    def seconds_to_wait(self, now: datetime) -> float | None:
        """What its Retry-After asks for; None when there is none."""
        return seconds_to_wait(self.wait.strip(), now) if self.wait else None


@contextmanager
def told_as_trouble(shown: str, *, is_reading: bool) -> Iterator[None]:
    """Errors of the client, and of what is below it, as Trouble. `is_reading`: the answer had begun."""
    import openai  # Whoever is here has loaded it.

    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, shown) from error
    except openai.APIConnectionError as error:
        raise _of_connection(error.__cause__ or error, shown, is_reading=is_reading) from error
    except openai.APIError as error:  # An error instead of a chunk.
        text = f"{shown} broke off with an error{_code(error.body)}."
        raise Trouble(text, "broken_stream", is_temporary=True) from error
    except (
        FetchFailed,
        Packed,
        TooLong,
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
    ) as error:
        raise _of_connection(error, shown, is_reading=is_reading) from error
    except (NotAChunk, ValueError) as error:  # JSON that is none, bytes that are no text.
        raise Trouble(f"{shown} sent something that is no chat completion.", "bad_answer") from error


def _of_status(error: Any, shown: str) -> Trouble:
    status, wait = error.status_code, error.response.headers.get("retry-after")
    text = f"{shown} answered {status}{_code(error.body)}."
    if status == 429:
        return Trouble(text, "rate_limited", is_temporary=True, wait=wait)
    if status in PASSING:
        return Trouble(text, "unreachable", is_temporary=True, wait=wait)
    return Trouble(text, "refused", said=str(error.body))


def _of_connection(error: BaseException, shown: str, *, is_reading: bool) -> Trouble:
    if isinstance(error, FetchFailed):
        return Trouble(f"{shown} cannot be reached. {error.text}", "unreachable", is_temporary=error.is_temporary)
    if isinstance(error, Packed):
        return Trouble(f"{shown} compressed its answer, which it was not asked to.", "bad_answer")
    if isinstance(error, TooLong):
        return Trouble(f"{shown} sent more than is taken of one answer.", "bad_answer")
    if is_reading:
        return Trouble(f"{shown} broke off in the middle.", "broken_stream", is_temporary=True)
    return Trouble(f"{shown} cannot be reached.", "unreachable", is_temporary=True)


def _code(body: Any) -> str:
    """` (context_length_exceeded)`, where the model names such a code."""
    for member in ("code", "type"):
        code = body.get(member) if isinstance(body, dict) else None
        if isinstance(code, str) and 0 < len(code) <= LONGEST_CODE and set(code) <= CODE:
            return f" ({code})"
    return ""
