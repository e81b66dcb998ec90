"""The audit log as a chain: each row is bound to all rows before it, so that none can be changed or taken away unseen.

Pure. `Row.mac` is an HMAC-SHA256 over the row and over the tag of the log before it; the tag is an HMAC, in a domain of
its own, of the last row's number and MAC, and only the newest tag is kept (the head). So who has the rows but not the
key can neither write a row that fits nor a head for a shorter log (docs/decisions/0009-audit.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

import orjson

KEY_BYTES = 32
ROW = b"palace audit row\n"
HEAD = b"palace audit head\n"
REQUEST = b"palace request\n"
MOST_TAGS = 4
"""Guesses about what an altered row was: with them, rows that follow one are still checked."""


class Deed(NamedTuple):
    """Who did what to which object. `key_id` is None for the server itself and for the command line.

    A tuple, because one is made for every write, in a third of the time of a dataclass.
    """

    at: str
    account: int
    key_id: str | None
    action: str
    kind: str
    id: str
    revision: int | None = None
    request_id: str | None = None


class Row(NamedTuple):
    """One row of a chain; numbers begin at 1 and have no gaps."""

    seq: int
    deed: Deed
    mac: bytes
    chain: int = 0


class Head(NamedTuple):
    """The number of the last row of a chain, and the tag of the chain up to it."""

    seq: int
    tag: bytes
    chain: int = 0


class Keyed:
    """HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes.

    What depends on the key alone is hashed once: a short text then takes 0.6 µs, with `hmac.digest` it takes 2.7 µs.
    """

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def mac(self, text: bytes) -> bytes:
        """The 32 bytes that only the key makes of this text."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


class Chain:
    """Makes the MACs of one log; rows and heads have keys of their own, so that neither passes for the other.

    Its key is the server's own and outlives every master key, so requests are told apart with it, too.
    """

    def __init__(self, key: bytes) -> None:
        self._rows = Keyed(Keyed(key).mac(ROW))
        self._heads = Keyed(Keyed(key).mac(HEAD))
        self._requests = Keyed(Keyed(key).mac(REQUEST))

    def start(self, number: int = 0) -> Head:
        """The head of a chain without rows. A log has several chains where several servers write at once."""
        return self.head(0, b"", number)

    def head(self, seq: int, mac: bytes, number: int = 0) -> Head:
        """The head of a chain that ends with this row. What is made for one chain fits no other."""
        place = b"%d:" % seq if number == 0 else b"%d/%d:" % (number, seq)
        return Head(seq, self._heads.mac(place + mac), number)

    def fingerprint(self, request: bytes) -> bytes:
        """What tells whether two requests are the same, and, without the key, nothing about a secret in them."""
        return self._requests.mac(request)

    def mac(self, tag: bytes, seq: int, deed: Deed) -> bytes:
        """What binds a row to the log before it, whose tag is `tag`. The row is encoded as one JSON array."""
        return self._rows.mac(tag + orjson.dumps((seq, *deed)))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong with the row `seq`, or from it on."""

    seq: int
    what: Literal["altered", "missing", "inserted", "out_of_order", "head", "not_expected"]
    text: str


class Expected(NamedTuple):
    """A row as an earlier check printed it."""

    seq: int
    mac: bytes


class Check:
    """Checks the chain `number` of a log, row after row in order; `count` and `last` tell how far it is."""

    def __init__(self, chain: Chain, head: Head | None, expected: Expected | None = None, number: int = 0) -> None:
        self.count = 0
        self.last: Row | None = None
        self._chain = chain
        self._number = number
        self._head = head
        self._expected = expected
        self._tags: Sequence[bytes] = (chain.start(number).tag,)
        self._tags_at_head: Sequence[bytes] = self._tags if head and head.seq == 0 else ()

    def feed(self, row: Row) -> list[Finding]:
        """What is wrong with the next row."""
        self.count += 1
        last, seq = self.last.seq if self.last else 0, row.seq
        if seq <= last:
            text = f"Row {seq} was inserted or moved: it stands behind row {last}, and numbers begin at 1."
            return [Finding(seq, "out_of_order", text)]
        found = []
        if seq > last + 1:
            found.append(_missing(last + 1, seq - 1, f" Without them row {seq} cannot be checked."))
            self._tags = ()
        made = [self._chain.mac(tag, seq, row.deed) for tag in self._tags]
        fits = not made or row.mac in made
        if self._head is not None and seq > self._head.seq:
            found.append(_behind_head(seq, self._head.seq, is_genuine=bool(made) and fits))
        elif not fits:
            text = f"Row {seq} was altered, or rows before it were taken away: its MAC does not fit."
            found.append(Finding(seq, "altered", text))
        found += self._compared(row)
        believed = [row.mac] if fits else [row.mac, *made][:MOST_TAGS]
        self._tags = [self._chain.head(seq, mac, self._number).tag for mac in believed]
        if self._head is not None and seq == self._head.seq:
            self._tags_at_head = self._tags
        self.last = row
        return found

    def finish(self) -> list[Finding]:
        """What is wrong with the end of the log."""
        last, head, expected = self.last.seq if self.last else 0, self._head, self._expected
        found = []
        if head is None:
            text = f"The head of the log is missing: there may have been rows behind row {last}."
            found.append(Finding(last, "head", text))
        elif head.seq > last:
            found.append(_missing(last + 1, head.seq))
        elif head.tag not in self._tags_at_head:
            text = f"The head of the log was altered: there may have been rows behind row {head.seq}."
            found.append(Finding(head.seq, "head", text))
        if expected is not None and expected.seq > last:
            text = f"Row {expected.seq}, which an earlier check printed, is not in the log any more."
            found.append(Finding(expected.seq, "not_expected", text))
        return found

    def _compared(self, row: Row) -> list[Finding]:
        if self._expected is None or row.seq != self._expected.seq or row.mac == self._expected.mac:
            return []
        text = f"Row {row.seq} has another MAC than an earlier check printed: the log was exchanged since."
        return [Finding(row.seq, "not_expected", text)]


def _missing(first: int, last: int, more: str = "") -> Finding:
    rows = f"Row {first} is missing." if first == last else f"Rows {first} to {last} are missing."
    return Finding(first, "missing", rows + more)


def _behind_head(seq: int, head: int, *, is_genuine: bool) -> Finding:
    if is_genuine:
        return Finding(
            seq, "head", f"Row {seq} is genuine, but the head names row {head} as the last: it was set back."
        )
    return Finding(seq, "inserted", f"Row {seq} was inserted: the log ends at row {head}.")
