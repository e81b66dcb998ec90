"""What an answer of a tool's server means: the result, a failure, or another try. Pure.

The published API says of 5xx that it is tried once more, and of hmac that 503 is not; the table is our reading of it
(runtime contract 5.3, A9).
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal

from palace.fetching import Answer, FetchFailed, FetchRefused, NotReached, TookTooLong
from palace.tool_delivery.proofs import without_secrets
from palace.tool_delivery.tokens import NoToken

MOST_BYTES = 256 << 10
"""of an answer; what is longer is cut off"""
LONGEST_REASON = 2000
"""characters of the content of a failure that the model is shown"""
CHARSETS = ("utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "iso-8859-15", "windows-1252", "utf-16")
"""Those that are read; Python knows others that are none of texts, or are slow."""
TEXTUAL = ("text/", "application/json", "application/xml", "application/x-www-form-urlencoded", "application/yaml")
SUFFIXES = ("+json", "+xml", "+yaml")

Verdict = Literal["result", "failure", "again", "new_token"]

FINAL_WHEN_SIGNED = (501, 503)
"""statuses after which a signed request is not sent again"""


def verdict(status: int, auth_type: str) -> Verdict:
    """What a status means. `again` and `new_token` are for one more try each; after that they are failures.

    | status | meaning |
    |---|---|
    | 2xx | the result |
    | 5xx | again; a failure for 501 and 503 where the request is signed |
    | 401 | with OAuth, again with a new token |
    | others, 3xx among them | a failure |
    """
    if 200 <= status < 300:
        return "result"
    if status >= 500 and not (auth_type == "hmac" and status in FINAL_WHEN_SIGNED):
        return "again"
    if status == 401 and auth_type == "oauth2_client_credentials":
        return "new_token"
    return "failure"


def phrase(status: int) -> str:
    """A status with its name: `404 Not Found`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def output_of(answer: Answer, secrets: Iterable[str]) -> str:
    """The content of an answer as the model is to read it, without secrets that came back with it."""
    media_type, _, parameters = answer.headers.get("content-type", "").lower().partition(";")
    media_type = media_type.strip()
    if media_type and not media_type.startswith(TEXTUAL) and not media_type.endswith(SUFFIXES):
        return f"(The answer is {len(answer.body)} bytes that are no text.)" if answer.body else ""
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(" \"'")
    text = answer.body.decode(charset if charset in CHARSETS else "utf-8", errors="replace").replace("\0", "\ufffd")
    text = without_secrets(text, secrets, is_cut=answer.is_cut)
    return f"{text}\n(Cut off: the answer has more than {MOST_BYTES} bytes.)" if answer.is_cut else text


def reason_of(answer: Answer, secrets: Iterable[str]) -> str:
    """What the model is told of an answer that is a failure."""
    said = output_of(answer, secrets).strip()
    if 300 <= answer.status < 400:
        said = "Redirects are not followed."
    said = said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]}…"
    return f"The tool failed: its server answered {phrase(answer.status)}." + (f" {said}" if said else "")


FAILURES: tuple[tuple[type[FetchFailed], str], ...] = (
    (NoToken, "the server was given no token for it"),
    (NotReached, "its server could not be reached"),
    (TookTooLong, "its server took too long"),
    (FetchRefused, "its server must not be called, or sent what cannot be read"),
    (FetchFailed, "its server broke off"),
)


def reason_for(error: FetchFailed) -> str:
    """What the model is told when no answer came: no name and no address."""
    return f"The tool failed: {next(text for kind, text in FAILURES if isinstance(error, kind))}."
