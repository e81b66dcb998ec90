"""The verbs of a store. Each carries out named statements, of `sqlite.sql` or of `postgres.sql`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from typing import Any

from palace.audit import Chain, Deed, Head, Row
from palace.storage.auditing import row_of
from palace.storage.base import (
    Answer,
    AnswerTaken,
    Draft,
    DraftOpen,
    IdTaken,
    KeyRow,
    NameTaken,
    Owned,
    Page,
    Record,
    Revision,
    Shown,
    Stale,
)
from palace.storage.conversations import Conversations
from palace.storage.jobs import Files, Jobs
from palace.storage.links import Links, owners
from palace.storage.statements import Statements
from palace.storage.traces import Traces
from palace.storage.webhooks import Webhooks

AUDIT_ROWS_AT_ONCE = 1000
REVISION_COLUMNS = tuple(field.name for field in fields(Revision))


def _columns(revision: Revision) -> dict[str, Any]:
    return {name: getattr(revision, name) for name in REVISION_COLUMNS}


def _refuse_stale(record: Record, changed: int) -> None:
    if changed != 1:
        raise Stale(f"{record.kind} {record.id} is not at revision {record.revision} any more.")


class Transaction:
    """The verbs of a store. What a verb writes is seen by those that follow, and by nobody else before the commit.

    The audit log is the exception: `deeds` are written at the very end, when nothing can fail any more but the commit.
    After it they are told to those who listen, and so are those that are not logged.
    """

    def __init__(self, run: Statements) -> None:
        self._run = run
        self.deeds: list[Deed] = []
        self.unlogged: list[Deed] = []
        self.sealed_with: Chain | None = None
        self.links = Links(run)
        self.jobs = Jobs(run)
        self.conversations = Conversations(run)
        self.files = Files(run)
        self.traces = Traces(run)
        self.webhooks = Webhooks(run, self.unlogged)

    async def get(self, kind: str, id: str, account: int) -> Record | None:
        """The document, if `account` may read it: its own, or a stock object."""
        row = await self._run.row("get_document", kind=kind, id=id, account=account)
        return Record(*row) if row else None

    async def get_with_deleted(self, kind: str, id: str, account: int) -> tuple[Record, str | None] | None:
        """What `get` finds, also when it is deleted, and when that was."""
        row = await self._run.row("get_document_with_deleted", kind=kind, id=id, account=account)
        return (Record(*row[:-1]), row[-1]) if row else None

    async def read(self, kind: str, id: str, account: int) -> Shown | None:
        """What is shown of the document that `get` would find."""
        row = await self._run.row("read_document", kind=kind, id=id, account=account)
        return Shown(*row) if row else None

    async def page(
        self,
        kind: str,
        account: int,
        *,
        owned: Owned,
        newest_first: bool,
        limit: int,
        offset: int,
    ) -> Page:
        """`limit` documents from the `offset`-th on, in the order of creation, and how many there are in all."""
        whose = owners(owned, account)
        name = "page_newest_first" if newest_first else "page_oldest_first"
        rows = await self._run.rows(name, kind=kind, **whose, limit=limit, offset=offset)
        total = await self._run.row("count_documents", kind=kind, **whose)
        return Page([row[0] for row in rows], total[0] if total else 0)

    async def exists(self, kind: str, id: str, account: int) -> bool:
        """Whether the account may read such an object."""
        return await self._run.row("document_exists", kind=kind, id=id, account=account) is not None

    async def insert(self, record: Record) -> int:
        """Store a new document and return its number in the store. Raises IdTaken."""
        columns = asdict(record)
        del columns["seq"]
        row = await self._run.row("insert_document", **columns)
        if row is None:
            raise IdTaken(f"{record.kind} {record.id} exists already.")
        return int(row[0])

    async def replace(
        self, record: Record, *, body: bytes, secrets: bytes | None, updated_at: str, etag: str, base: int
    ) -> None:
        """Store the next revision of `record`, also of a deleted one. Raises Stale when it is not the newest one."""
        columns = {"body": body, "secrets": secrets, "updated_at": updated_at, "etag": etag, "base": base}
        changed = await self._run.change("replace_document", seq=record.seq, revision=record.revision, **columns)
        _refuse_stale(record, changed)

    async def hide(self, record: Record, deleted_at: str, base: int) -> None:
        """Delete the document so that it can be restored: a revision of it. Raises Stale like `replace`."""
        columns = {"base": base, "deleted_at": deleted_at}
        changed = await self._run.change("mark_document_deleted", seq=record.seq, revision=record.revision, **columns)
        _refuse_stale(record, changed)
        await self._run.change("release_all_names", kind=record.kind, id=record.id)

    async def delete(self, record: Record) -> None:
        """Delete the document and all that is remembered of it. Raises Stale like `replace`."""
        changed = await self._run.change("delete_document", seq=record.seq, revision=record.revision)
        _refuse_stale(record, changed)
        await self._run.change("release_all_names", kind=record.kind, id=record.id)

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """Whatever is written inside is seen inside, and undone at its end."""
        known = self.mark()
        async with self._run.rehearsal():
            try:
                yield
            finally:
                self.back_to(known)

    def mark(self) -> tuple[int, int]:
        """How many deeds there are, for `back_to`."""
        return len(self.deeds), len(self.unlogged)

    def back_to(self, mark: tuple[int, int] = (0, 0)) -> None:
        """Later deeds were not done."""
        del self.deeds[mark[0] :], self.unlogged[mark[1] :]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Transaction"]:
        """Verbs that all read one and the same state of the database."""
        async with self._run.snapshot() as run:
            yield Transaction(run)

    # --- What is remembered -------------------------------------------------------------------------------------------

    async def add_revision(self, revision: Revision) -> None:
        """Remember one change of a document."""
        await self._run.change("insert_revision", **_columns(revision))

    async def revisions(self, document: int, *, before: int, limit: int) -> list[Revision]:
        """At most `limit` revisions with numbers below `before`, newest first."""
        return [
            Revision(*row)
            for row in await self._run.rows("page_of_revisions", document=document, before=before, limit=limit)
        ]

    async def chain(self, document: int, number: int) -> list[Revision]:
        """The whole document that a revision builds on and the patches up to it, oldest first; [] without it."""
        return [Revision(*row) for row in await self._run.rows("chain_of_revision", document=document, number=number)]

    async def find_etag(self, document: int, etag: str) -> int | None:
        """The newest revision that said what this tag stands for."""
        row = await self._run.row("newest_revision_with_etag", document=document, etag=etag)
        return row[0] if row else None

    async def add_secret(self, secret: str, document: int, place: str, sealed: bytes) -> None:
        """Keep a sealed secret of a document under its id."""
        await self._run.change("insert_secret", secret=secret, document=document, place=place, sealed=sealed)

    async def get_secret(self, secret: str) -> bytes | None:
        """The sealed secret with this id."""
        row = await self._run.row("get_secret", secret=secret)
        return row[0] if row else None

    async def some_secret(self) -> tuple[str, bytes] | None:
        """Place and sealed text of any one secret."""
        row: tuple[str, bytes] | None = await self._run.row("some_secret")
        return row

    async def all_secrets(self) -> list[tuple[str, str, bytes]]:
        """Id, place and sealed text of every secret."""
        return [tuple(row) for row in await self._run.rows("all_secrets")]

    async def replace_secret(self, secret: str, sealed: bytes) -> None:
        """Keep the same secret, sealed anew."""
        await self._run.change("replace_secret", secret=secret, sealed=sealed)

    async def find_answer(self, account: int, key: str, since: str) -> Answer | None:
        """The first answer under an idempotency key, unless it is older than `since`."""
        row = await self._run.row("find_answer", account=account, key=key, since=since)
        return Answer(row[0], row[1], row[2], row[3], bool(row[4])) if row else None

    async def add_answer(self, account: int, key: str, created_at: str, answer: Answer, since: str) -> None:
        """Keep the first answer under an idempotency key. Raises AnswerTaken when there is one from `since` on."""
        place = {"account": account, "key": key, "created_at": created_at}
        if not await self._run.change("insert_answer", **place, **asdict(answer), since=since):
            raise AnswerTaken(f"There is an answer under the key {key!r} already.")

    async def forget_documents(self, before: str, most: int) -> list[tuple[str, str, int, int]]:
        """Take away for good at most `most` documents that were deleted before a time: kind, id, owner, revision."""
        return [tuple(row) for row in await self._run.rows("delete_old_documents", before=before, most=most)]

    async def forget_answers(self, before: str, most: int) -> int:
        """Take away at most `most` first answers from before a time, and tell how many there were."""
        return await self._run.change("delete_old_answers", before=before, most=most)

    # --- Drafts -------------------------------------------------------------------------------------------------------

    async def open_draft(self, document: int) -> Draft | None:
        """The changes of a document that wait to be published."""
        row = await self._run.row("open_draft", document=document)
        return Draft(*row) if row else None

    async def get_draft(self, document: int, number: int) -> Draft | None:
        """A draft of a document, in whatever state."""
        row = await self._run.row("get_draft", document=document, number=number)
        return Draft(*row) if row else None

    async def drafts(self, document: int, *, before: int, limit: int) -> list[Draft]:
        """At most `limit` drafts with numbers below `before`, newest first."""
        return [
            Draft(*row) for row in await self._run.rows("page_of_drafts", document=document, before=before, limit=limit)
        ]

    async def put_draft(self, draft: Draft) -> None:
        """Keep a draft as it is now, whether it is new or not. Raises DraftOpen when another one is open."""
        if not await self._run.change("put_draft", **asdict(draft)):
            raise DraftOpen(f"Document {draft.document} has an open draft already.")

    # --- Names --------------------------------------------------------------------------------------------------------

    async def claim(self, scope: str, name: str, kind: str, id: str) -> None:
        """Take a name that only one object may hold. Raises NameTaken."""
        if not await self._run.change("claim_name", scope=scope, name=name, kind=kind, id=id):
            raise NameTaken(scope, name)

    async def release(self, scope: str, name: str, kind: str, id: str) -> None:
        """Give a name back; nothing happens when this object does not hold it."""
        await self._run.change("release_name", scope=scope, name=name, kind=kind, id=id)

    async def is_claimed(self, scope: str, name: str) -> bool:
        """Whether some object of any account holds the name."""
        return await self._run.row("is_claimed", scope=scope, name=name) is not None

    # --- Accounts and keys --------------------------------------------------------------------------------------------

    async def find_key(self, digest: bytes) -> tuple[str, bytes, int, str | None] | None:
        """Public id, SHA-256, account and date of revocation of the key with this SHA-256."""
        row: tuple[str, bytes, int, str | None] | None = await self._run.row("find_key", digest=digest)
        return row

    async def list_keys(self) -> list[KeyRow]:
        """All keys, oldest first."""
        return [KeyRow(*row) for row in await self._run.rows("list_keys")]

    async def insert_key(
        self, *, key_id: str, digest: bytes, account: int, label: str, hint: str, created_at: str
    ) -> None:
        """Store a new key's SHA-256. Raises IdTaken when the key or its id exists."""
        columns = {"key_id": key_id, "digest": digest, "account": account, "label": label, "hint": hint}
        if not await self._run.change("insert_key", **columns, created_at=created_at):
            raise IdTaken("This key exists already.")

    async def revoke_key(self, key_id: str, revoked_at: str) -> int | None:
        """End a key from now on and return its account; None when there is no such key or it was ended before."""
        row = await self._run.row("revoke_key", key_id=key_id, revoked_at=revoked_at)
        return row[0] if row else None

    async def find_account(self, name: str) -> int | None:
        """The number of the account with this name."""
        row = await self._run.row("find_account", name=name)
        return row[0] if row else None

    async def insert_account(self, name: str, created_at: str) -> int:
        """Store a new account and return its number, from 1 on. Raises IdTaken when the name exists."""
        row = await self._run.row("insert_account", name=name, created_at=created_at)
        if row is None:
            raise IdTaken(f"The account {name!r} exists already.")
        return int(row[0])

    async def account_names(self) -> dict[int, str]:
        """The name of every account by its number."""
        return dict(await self._run.rows("account_names"))

    # --- The audit log, and what it is sealed with --------------------------------------------------------------------

    async def add_audit(self, deed: Deed, chain: Chain | None) -> None:
        """Add a row to the audit log, bound to those before it. Without a chain nothing is logged, only told."""
        if chain is None:
            self.unlogged.append(deed)
        else:
            self.sealed_with = chain
            self.deeds.append(deed)

    async def add_audit_head(self, head: Head) -> bool:
        """Begin a chain of the log; False when it has begun already."""
        return bool(await self._run.change("add_audit_head", **head._asdict()))

    async def hold_first_chain(self) -> None:
        """What this transaction does is logged in the first chain, where others could also be written to."""
        await self._run.row("hold_first_chain")

    async def audit_chains(self) -> list[int]:
        """The numbers of the chains that have rows."""
        return [row[0] for row in await self._run.rows("audit_chains")]

    async def audit_heads(self) -> list[Head]:
        """What proves where each chain of the log ends, but for those where it was taken away."""
        return [Head(*row) for row in await self._run.rows("audit_heads")]

    async def audit_rows(self, number: int = 0, first: int = 1 - (1 << 63)) -> AsyncIterator[Row]:
        """The rows of one chain of the audit log from a row on, in order."""
        while rows := await self._run.rows("audit_rows", chain=number, first=first, most=AUDIT_ROWS_AT_ONCE):
            for row in rows:
                yield row_of(row)
            if len(rows) < AUDIT_ROWS_AT_ONCE:
                return
            first = rows[-1][1] + 1

    async def get_server_secret(self, name: str) -> bytes | None:
        """A sealed secret of the server's own."""
        row = await self._run.row("get_server_secret", name=name)
        return row[0] if row else None

    async def all_server_secrets(self) -> list[tuple[str, bytes]]:
        """Name and sealed text of every secret of the server's own."""
        return [tuple(row) for row in await self._run.rows("all_server_secrets")]

    async def add_server_secret(self, name: str, sealed: bytes) -> bool:
        """Keep a new sealed secret of the server's own; False when there is one already."""
        return bool(await self._run.change("add_server_secret", name=name, sealed=sealed))

    async def put_server_secret(self, name: str, sealed: bytes) -> None:
        """Keep a sealed secret of the server's own, new or sealed anew."""
        await self._run.change("put_server_secret", name=name, sealed=sealed)
