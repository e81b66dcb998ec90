"""The secrets that an account's callbacks are signed with: made at first use, sealed, exchanged without a gap.

They lie among the server's own secrets, so a new master key seals them anew, and an export takes them along.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from palace.audit import Deed
from palace.clock import timestamp
from palace.resource import Services
from palace.sealed import place_of
from palace.storage import Transaction
from palace.webhooks.signing import KEY_BYTES, secret_of

OVERLAP = timedelta(hours=24)
"""How long the former secret goes on to sign."""
MOST_SECRETS = 5
"""Who exchanges it more often in that time lets the oldest go: each one makes every callback longer."""
NAME = "webhooks/"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One secret; a former one signs `until` some time."""

    secret: str
    created_at: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Keyring:
    """The secret of an account, and before it those that may still be trusted by some receiver; newest first."""

    keys: tuple[SigningKey, ...]

    @property
    def newest(self) -> SigningKey:
        """The one that stays."""
        return self.keys[0]

    def secrets(self, now: datetime) -> list[str]:
        """Those that sign now."""
        return [key.secret for key in _valid(self.keys, now)]

    def previous_until(self, now: datetime) -> str | None:
        """How long the last one before the newest goes on to sign; None when it does not."""
        former = _valid(self.keys, now)[1:]
        return former[0].until if former else None

    def with_new(self, secret: str, now: datetime) -> "Keyring":
        """A new secret in place of the newest, which goes on to sign for a day."""
        former = [SigningKey(key.secret, key.created_at, key.until or timestamp(now + OVERLAP)) for key in self.keys]
        keys = (SigningKey(secret, timestamp(now)), *former)
        return Keyring(tuple(_valid(keys, now)[:MOST_SECRETS]))


def _valid(keys: Sequence[SigningKey], now: datetime) -> list[SigningKey]:
    return [key for key in keys if key.until is None or key.until > timestamp(now)]


async def read_keyring(account: int, services: Services) -> Keyring:
    """The secrets of an account; the first one is made now where there is none."""
    known = await _stored(account, services.store.reading, services)
    if known is not None:
        return known

    async def begin(tx: Transaction) -> Keyring:
        known = await _stored(account, tx, services)
        return known or await _put(account, tx, (), services)

    return await services.store.transact(begin)


async def rotate_keyring(account: int, tx: Transaction, services: Services, *, key_id: str, request_id: str) -> Keyring:
    """A new secret for an account, told to the audit log; the former ones go on to sign for a day."""
    known = await _stored(account, tx, services)
    at = timestamp(services.clock.now())
    await tx.add_audit(
        Deed(at, account, key_id, "rotate", "webhook_secret", "", None, request_id or None), services.audit
    )
    return await _put(account, tx, known.keys if known else (), services)


async def _stored(account: int, tx: Transaction, services: Services) -> Keyring | None:
    sealed = await tx.get_server_secret(_name(account))
    if sealed is None:
        return None
    said = orjson.loads(services.vault.open(sealed, place_of(_name(account))))
    return Keyring(tuple(SigningKey(*key) for key in said))


async def _put(account: int, tx: Transaction, known: tuple[SigningKey, ...], services: Services) -> Keyring:
    secret = secret_of(services.ids.random_bytes(KEY_BYTES))
    keyring = Keyring(known).with_new(secret, services.clock.now())
    text = orjson.dumps([(key.secret, key.created_at, key.until) for key in keyring.keys]).decode()
    sealed = services.vault.seal(text, place_of(_name(account)))
    if known:
        await tx.put_server_secret(_name(account), sealed)
    elif not await tx.add_server_secret(_name(account), sealed):  # Another server made it just now.
        made = await _stored(account, tx, services)
        assert made is not None, "what is in the way is there"
        return made
    return keyring


def _name(account: int) -> str:
    return f"{NAME}{account}"
