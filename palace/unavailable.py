"""What the server does not do right now, each with its status and body: the client may ask again."""

from palace.errors import ClientError, Detail


class RateLimited(ClientError):
    """429: more requests with one key than the server takes (RFC 6585, section 4). Nothing was done."""

    status = 429
    code = "rate_limited"

    def __init__(self, limit: int, wait_seconds: int) -> None:
        again = f"{wait_seconds} second{'s' * (wait_seconds != 1)}"
        text = f"Too many requests: this key has {limit} a minute. Nothing was done; ask again in {again}."
        facts = {"limit": "rate_limit", "maximum": limit}
        super().__init__(text, [Detail(self.code, text, facts=facts)], {"retry-after": str(wait_seconds)})


class BodyTooSlow(ClientError):
    """408: the body did not arrive in time (RFC 9110, section 15.5.9). Nothing was done."""

    status = 408
    code = "body_too_slow"

    def __init__(self, seconds: float) -> None:
        text = f"The body of the request did not arrive within {seconds:g} seconds. Nothing was done; send it again."
        facts = {"limit": "request_seconds", "maximum": seconds}
        super().__init__(text, [Detail(self.code, text, facts=facts)], {"connection": "close"})


class TookTooLong(ClientError):
    """504: not answered in time; whether a change was made is not known."""

    status = 504
    code = "took_too_long"

    def __init__(self, seconds: float, *, is_change: bool) -> None:
        text = f"The server could not answer within {seconds:g} seconds."
        if is_change:
            text += " The change may have been made, or may still be made: read the object before you send it again."
        super().__init__(text, [Detail(self.code, text, facts={"limit": "request_seconds", "maximum": seconds})])


class TooBusy(ClientError):
    """503: more is asked of the server at once than it takes. Nothing was done."""

    status = 503
    code = "too_busy"

    def __init__(self) -> None:
        text = "The server has more to do than it can do at once. Nothing was done; ask again in a moment."
        super().__init__(text, headers={"retry-after": "1"})


class OutcomeNotKnown(ClientError):
    """503: the database went away while it stored a change. No Retry-After: a repetition could make it twice."""

    status = 503
    code = "outcome_unknown"

    def __init__(self) -> None:
        problem = "The database went away while the change was stored: all of it is stored, or nothing."
        told = "Read the object before you send it again. Under an Idempotency-Key, sending it again is safe."
        super().__init__(f"{problem} {told}", [Detail(self.code, problem)])


class Stopping(ClientError):
    """503: the server is stopping, and begins nothing that lasts."""

    status = 503
    code = "stopping"

    def __init__(self) -> None:
        super().__init__("The server is stopping. Connect again in a moment.", headers={"retry-after": "1"})


class TooManyListeners(ClientError):
    """503: so many clients listen for changes already as the server tells of them."""

    status = 503
    code = "too_many_listeners"

    def __init__(self, most: int) -> None:
        text = f"{most} clients listen for changes here already, as many as one server tells of them. Try again later."
        super().__init__(text, [Detail(self.code, text, facts={"maximum": most})], {"retry-after": "30"})


class TooManyLines(ClientError):
    """503: so many clients hang on to conversations already as the server takes."""

    status = 503
    code = "too_many_lines"

    def __init__(self, limit: str, most: int) -> None:
        text = f"{most} connections to conversations are open already, as many as may be. Try again later."
        super().__init__(text, [Detail(self.code, text, facts={"limit": limit, "maximum": most})], {"retry-after": "5"})
