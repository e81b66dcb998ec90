"""Who calls, and whether they called too often.

The header `x-api-key` is looked up by its SHA-256 on every request, so that revoking works at once.
"""

import hmac

from starlette.types import Scope

from palace.api.bodies import Headers
from palace.call import Account
from palace.errors import InvalidAccessToken
from palace.keys import PREFIX, digest, is_well_formed
from palace.rates import Rates, Verdict
from palace.resource import Services
from palace.storage import Transaction
from palace.unavailable import RateLimited


async def admitted(scope: Scope, headers: Headers, services: Services) -> Account:
    """The account whose key was sent, if that key may make one more request. Raises InvalidAccessToken, RateLimited.

    Where there is a limit, every answer tells what is left of it.
    """
    account = await authenticate(headers.get(b"x-api-key"), services.store.reading)
    scope["palace.account"] = account.id
    if services.rates is not None:
        clock = services.clock
        verdict = services.rates.take(account.key_id, clock.monotonic(), clock.now().timestamp())
        scope["palace.headers"] = _told(services.rates, verdict)
        if not verdict.is_allowed:
            services.meter.count("refused/rate")
            raise RateLimited(services.rates.limit, verdict.wait_seconds)
    return account


def _told(rates: Rates, verdict: Verdict) -> list[tuple[bytes, bytes]]:
    numbers = {"limit": rates.limit, "remaining": verdict.remaining, "reset": verdict.reset_seconds}
    return [(b"x-ratelimit-%b" % name.encode(), b"%d" % number) for name, number in numbers.items()]


async def authenticate(key: str | None, reading: Transaction) -> Account:
    """The account that `key` opens. Raises InvalidAccessToken (contract 1.1)."""
    if not key:
        raise InvalidAccessToken("The header x-api-key is missing.")
    looked_up = digest(key)
    row = await reading.find_key(looked_up)
    if row is None:
        mistyped = key.startswith(PREFIX) and not is_well_formed(key)
        raise InvalidAccessToken(
            "The key is mistyped or cut off: its checksum does not fit." if mistyped else "This server has no such key."
        )
    key_id, stored, account, revoked_at = row
    if revoked_at is not None or not hmac.compare_digest(stored, looked_up):
        raise InvalidAccessToken("This key was revoked.")
    return Account(account, key_id)
