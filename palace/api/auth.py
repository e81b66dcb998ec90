"""Who calls: the header `x-api-key`, looked up by its SHA-256 on every request, so that revoking works at once."""

import hmac

from palace.call import Account
from palace.errors import InvalidAccessToken
from palace.keys import PREFIX, digest, is_well_formed
from palace.storage import Transaction


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
