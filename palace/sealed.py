"""What lies sealed in the database: secrets of documents and the server's own, and how all are sealed anew."""

from palace.audit import KEY_BYTES, Chain, Deed
from palace.clock import Clock, timestamp
from palace.ids import Ids
from palace.resource import Services
from palace.storage import Store, Transaction
from palace.vault import Vault

AUDIT_KEY = "audit_key"
MEETING_KEY = "meeting_key"
MEETING_KEY_BYTES = 32
SERVER = "server"
BEGIN, AUDIT, CHAIN_PREFIX = "begin", "audit", "chain "
CHAINS = 8
"""so many transactions of all servers together write to the audit log without waiting for each other"""


async def open_chain(store: Store, vault: Vault, clock: Clock, ids: Ids) -> Chain:
    """The chain of the audit log; its key is made, and the log begun, at the first start.

    Raises VaultError when the vault has not the master key that sealed what is in the database.
    """
    sealed = await store.reading.get_server_secret(AUDIT_KEY)
    if sealed is None:
        await _try_some_secret(store, vault)
        sealed = await store.transact(lambda tx: _begin(tx, vault, clock, ids))
    chain = Chain(bytes.fromhex(vault.open(sealed, place_of(AUDIT_KEY))))
    if store.is_shared:
        await store.transact(lambda tx: _begin_more(tx, chain, clock))
    return chain


async def open_meeting_key(store: Store, vault: Vault, ids: Ids) -> bytes:
    """The key that signs the tokens of private conversations; it is made at the first start. Raises VaultError."""
    sealed = await store.reading.get_server_secret(MEETING_KEY)
    if sealed is None:
        fresh = vault.seal(ids.random_bytes(MEETING_KEY_BYTES).hex(), place_of(MEETING_KEY))
        await store.transact(lambda tx: tx.add_server_secret(MEETING_KEY, fresh))
        sealed = await store.reading.get_server_secret(MEETING_KEY)  # Another process may have been faster.
        assert sealed is not None
    return bytes.fromhex(vault.open(sealed, place_of(MEETING_KEY)))


async def _try_some_secret(store: Store, vault: Vault) -> None:
    """A database from before the audit log: under a wrong master key nothing may be sealed beside the old secrets."""
    found = await store.reading.some_secret()
    if found is not None:
        place, sealed = found
        vault.open(sealed, place)


async def _begin(tx: Transaction, vault: Vault, clock: Clock, ids: Ids) -> bytes:
    key = ids.random_bytes(KEY_BYTES)
    sealed, chain = vault.seal(key.hex(), place_of(AUDIT_KEY)), Chain(key)
    if not await tx.add_server_secret(AUDIT_KEY, sealed):  # Another process was faster.
        known = await tx.get_server_secret(AUDIT_KEY)
        assert known is not None
        return known
    await tx.add_audit_head(chain.start())
    await tx.add_audit(Deed(timestamp(clock.now()), 0, None, BEGIN, AUDIT, ""), chain)
    return sealed


async def _begin_more(tx: Transaction, chain: Chain, clock: Clock) -> None:
    """More chains, as each transaction keeps one for itself until its commit.

    The first one tells of their beginning, so that none can be taken away unseen.
    """
    await tx.hold_first_chain()
    begun = {head.chain for head in await tx.audit_heads()}
    for number in range(1, CHAINS if begun else 0):
        if number not in begun and await tx.add_audit_head(chain.start(number)):
            deed = Deed(timestamp(clock.now()), 0, None, BEGIN, AUDIT, f"{CHAIN_PREFIX}{number}")
            await tx.add_audit(deed, chain)


async def refuse_what_does_not_open(services: Services) -> None:
    """Raises VaultError, naming the place, when a secret was sealed with none of the master keys."""
    for _secret, place, sealed in await services.store.reading.all_secrets():
        services.vault.open(sealed, place)
    for name, sealed in await services.store.reading.all_server_secrets():
        services.vault.open(sealed, place_of(name))


async def reseal(services: Services) -> int:
    """Seal everything anew with the first master key, all or nothing, and return how many secrets of documents.

    Raises VaultError, naming the place, when one of them does not open; nothing is changed then.
    """
    vault = services.vault

    async def inside(tx: Transaction) -> int:
        secrets = await tx.all_secrets()
        for secret, place, sealed in secrets:
            await tx.replace_secret(secret, vault.seal(vault.open(sealed, place), place))
        for name, sealed in await tx.all_server_secrets():
            await tx.put_server_secret(name, vault.seal(vault.open(sealed, place_of(name)), place_of(name)))
        deed = Deed(timestamp(services.clock.now()), 0, None, "rotate", "master_key", "")
        await tx.add_audit(deed, services.audit)
        return len(secrets)

    return await services.store.transact(inside)


def place_of(name: str) -> str:
    """The place that a secret of the server's own is sealed for."""
    return f"{SERVER}/{name}"
