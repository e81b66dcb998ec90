"""Query parameters as values."""

import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from palace.errors import BadRequest, Detail

MOST_DIGITS = 15
LONGEST_COMMENT = 500
NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}
"""categories of characters: control characters, halves of a character, ends of lines and paragraphs"""
AFTER_ALL = 1 << 62
LARGEST_PAGE_SIZE = 100


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A query parameter as an integer. Raises BadRequest."""
    text = query.get(name, "")
    return as_number(text, name) if text else default


def as_number(text: str, name: str) -> int:
    """The text of a parameter as an integer. Raises BadRequest."""
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        problem = "Not a valid integer."
        detail = Detail("invalid_query", problem, facts={"parameter": name})
        raise BadRequest(f"Bad Request. {{'{name}': ['{problem}']}}", [detail])
    return int(text[:MOST_DIGITS])  # Longer ones are out of every range in any case.


def newest_seq(said: str | None) -> int | None:
    """The number of the newest app message that a client has, as it says itself or its EventSource does; None when it
    says nothing. Raises BadRequest.
    """
    if not said:
        return None
    if not (said.isdecimal() and said.isascii() and len(said) <= MOST_DIGITS):
        problem = "after, like Last-Event-ID, is the seq of the newest message that you have, a whole number."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_after", problem)])
    return int(said)


def page_size(query: Mapping[str, str], default: int) -> int:
    """The parameter `limit`, cut to what a page may have. Raises BadRequest."""
    return min(max(whole_number(query, "limit", default), 1), LARGEST_PAGE_SIZE)


def page_number(query: Mapping[str, str], first: int = 1) -> int:
    """The parameter `page`; whatever lies before the first page is the first one. Raises BadRequest."""
    return max(whole_number(query, "page", first), first)


def one_of(query: Mapping[str, str], name: str, allowed: Sequence[str], default: str) -> str:
    """A query parameter as one of the allowed words. Raises BadRequest."""
    text = query.get(name) or default
    if text not in allowed:
        problem = f"Must be one of: {', '.join(allowed)}."
        facts: dict[str, Any] = {"parameter": name, "allowed": list(allowed)}
        detail = Detail("invalid_query", problem, facts=facts)
        raise BadRequest(f"Bad Request. {{'{name}': ['{problem}']}}", [detail])
    return text


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A query parameter that is `true` or `false`, in any case; `default` when it is missing, true without a value.

    Raises BadRequest.
    """
    if name not in query:
        return default
    return one_of({name: query[name].lower()}, name, ("true", "false"), "true") == "true"


def is_dry_run(query: Mapping[str, str]) -> bool:
    """Whether the client asks for a preview. Raises BadRequest, also for what is nearly `dry_run`.

    Other parameters that nobody knows are ignored, but this one would carry out what was only to be looked at.
    """
    for name in query:
        if name != "dry_run" and name.lower().replace("-", "").replace("_", "") == "dryrun":
            problem = "The parameter for a preview is dry_run. Nothing was changed."
            raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_query", problem, facts={"parameter": name})])
    return flag(query, "dry_run")


def checked_comment(text: str) -> str | None:
    """What a client says about its change: one line, or nothing. Raises BadRequest."""
    text = text.strip()
    if len(text) > LONGEST_COMMENT or any(unicodedata.category(one) in NOT_IN_A_LINE for one in text):
        problem = f"A comment is one line of at most {LONGEST_COMMENT} characters."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_comment", problem)])
    return text or None


def cursor_at(number: int) -> str:
    """What a client sends back to see what comes before this number in a list of numbered things, newest first."""
    return urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def number_before(cursor: str) -> int:
    """The number that `cursor_at` was given; one above all others where there is no cursor. Raises BadRequest."""
    if not cursor:
        return AFTER_ALL
    try:
        return as_number(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"), "cursor")
    except (ValueError, BadRequest) as error:
        problem = "This is not a cursor: leave it out, or send next_cursor of the page before."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_query", problem)]) from error
