"""Accounts and the keys that open them."""

from contextlib import suppress

from palace.audit import Deed
from palace.clock import timestamp
from palace.keys import digest, hint, new_key
from palace.resource import Services
from palace.storage import IdTaken, Transaction

FIRST_ACCOUNT = "default"
KEY_ID_HEX_DIGITS = 10


async def ensure_account(name: str, services: Services) -> tuple[int, bool]:
    """The number of the account with this name, and whether it was made just now."""
    known = await services.store.reading.find_account(name)
    if known is not None:
        return known, False
    created_at = timestamp(services.clock.now())

    async def insert(tx: Transaction) -> int:
        account = await tx.insert_account(name, created_at)
        await tx.add_audit(Deed(created_at, account, None, "create", "account", name), services.audit)
        return account

    try:
        return await services.store.transact(insert), True
    except IdTaken:  # Another server made it just now.
        return await ensure_account(name, services)


async def add_key(account: int, label: str, services: Services) -> str:
    """A new key for the account. This is the only time that anybody sees it."""
    key = new_key(services.ids)
    await _store_key(key, account, label, services)
    return key


async def is_working(key: str, services: Services) -> bool:
    """Whether the key opens an account now."""
    found = await services.store.reading.find_key(digest(key))
    return found is not None and found[3] is None


class RevokedKey(Exception):
    """The key that an operator brings was revoked, and stays so."""


async def ensure_key(key: str, account: int, services: Services) -> None:
    """Make sure that this very key works; it is given to the account unless another one has it. Raises RevokedKey."""
    if await services.store.reading.find_key(digest(key)) is None:
        with suppress(IdTaken):
            await _store_key(key, account, "PALACE_API_KEY", services)
    elif not await is_working(key, services):
        raise RevokedKey("PALACE_API_KEY names a key that was revoked; choose another one.")


async def _store_key(key: str, account: int, label: str, services: Services) -> None:
    key_id = services.ids.new("k", KEY_ID_HEX_DIGITS)
    created_at = timestamp(services.clock.now())

    async def insert(tx: Transaction) -> None:
        await tx.insert_key(
            key_id=key_id, digest=digest(key), account=account, label=label, hint=hint(key), created_at=created_at
        )
        await tx.add_audit(Deed(created_at, account, None, "create", "key", key_id), services.audit)

    await services.store.transact(insert)


async def revoke_key(key_id: str, services: Services) -> bool:
    """End a key from now on; False when there is no such key or it was ended before."""
    now = timestamp(services.clock.now())

    async def end(tx: Transaction) -> bool:
        account = await tx.revoke_key(key_id, now)
        if account is not None:
            await tx.add_audit(Deed(now, account, None, "revoke", "key", key_id), services.audit)
        return account is not None

    return await services.store.transact(end)
