"""The verbs of a store, over one connection to SQLite. Each runs one named statement of `sqlite.sql`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from typing import Any

import apsw

from palace.audit import Chain, Deed, Head, Row
from palace.storage.base import (
    Answer,
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
from palace.storage.jobs import Files, Jobs
from palace.storage.links import Links, owners
from palace.storage.queries import load_queries
from palace.storage.traces import Traces

QUERIES = load_queries("sqlite.sql")
REVISION_COLUMNS = tuple(field.name for field in fields(Revision))


def _columns(revision: Revision) -> dict[str, Any]:
    return {name: getattr(revision, name) for name in REVISION_COLUMNS}


def _text(stored: bytes | None) -> Any:
    return None if stored is None else stored.decode("utf-8", "backslashreplace")


class Transaction:
    """The verbs of a store, over one connection. What a verb writes is seen by those that follow, and by nobody else
    before the commit.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.links = Links(connection)
        self.jobs = Jobs(connection)
        self.files = Files(connection)
        self.traces = Traces(connection)

    async def get(self, kind: str, id: str, account: int) -> Record | None:
        """The document, if `account` may read it: its own, or a stock object."""
        row = self._row("get_document", kind=kind, id=id, account=account)
        return Record(*row) if row else None

    async def get_with_deleted(self, kind: str, id: str, account: int) -> tuple[Record, str | None] | None:
        """What `get` finds, also when it is deleted, and when that was."""
        row = self._row("get_document_with_deleted", kind=kind, id=id, account=account)
        return (Record(*row[:-1]), row[-1]) if row else None

    async def read(self, kind: str, id: str, account: int) -> Shown | None:
        """What is shown of the document that `get` would find."""
        row = self._row("read_document", kind=kind, id=id, account=account)
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
        rows = self._execute(name, kind=kind, **whose, limit=limit, offset=offset)
        total = self._row("count_documents", kind=kind, **whose)
        return Page([row[0] for row in rows], total[0] if total else 0)

    async def exists(self, kind: str, id: str, account: int) -> bool:
        """Whether the account may read such an object."""
        return self._row("document_exists", kind=kind, id=id, account=account) is not None

    async def insert(self, record: Record) -> int:
        """Store a new document and return its number in the store. Raises IdTaken."""
        columns = asdict(record)
        del columns["seq"]
        try:
            row = self._row("insert_document", **columns)
        except apsw.ConstraintError as error:
            raise IdTaken(f"{record.kind} {record.id} exists already.") from error
        return int(row[0])

    async def replace(
        self, record: Record, *, body: bytes, secrets: bytes | None, updated_at: str, etag: str, base: int
    ) -> None:
        """Store the next revision of `record`, also of a deleted one. Raises Stale when it is not the newest one."""
        columns = {"body": body, "secrets": secrets, "updated_at": updated_at, "etag": etag, "base": base}
        self._execute("replace_document", seq=record.seq, revision=record.revision, **columns)
        self._refuse_stale(record)

    async def hide(self, record: Record, deleted_at: str, base: int) -> None:
        """Delete the document so that it can be restored: a revision of it. Raises Stale like `replace`."""
        columns = {"base": base, "deleted_at": deleted_at}
        self._execute("mark_document_deleted", seq=record.seq, revision=record.revision, **columns)
        self._refuse_stale(record)
        self._execute("release_all_names", kind=record.kind, id=record.id)

    async def delete(self, record: Record) -> None:
        """Delete the document and all that is remembered of it. Raises Stale like `replace`."""
        self._execute("delete_document", seq=record.seq, revision=record.revision)
        self._refuse_stale(record)
        self._execute("release_all_names", kind=record.kind, id=record.id)

    def _refuse_stale(self, record: Record) -> None:
        if self._connection.changes() != 1:
            raise Stale(f"{record.kind} {record.id} is not at revision {record.revision} any more.")

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """Whatever is written inside is seen inside, and undone at its end."""
        self._connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK TO rehearsal")
            self._connection.execute("RELEASE rehearsal")

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Whatever is read inside is read from one and the same state of the database."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    # --- What is remembered -------------------------------------------------------------------------------------------

    async def add_revision(self, revision: Revision) -> None:
        """Remember one change of a document."""
        self._connection.execute(QUERIES["insert_revision"], _columns(revision))

    async def revisions(self, document: int, *, before: int, limit: int) -> list[Revision]:
        """At most `limit` revisions with numbers below `before`, newest first."""
        return [
            Revision(*row) for row in self._execute("page_of_revisions", document=document, before=before, limit=limit)
        ]

    async def chain(self, document: int, number: int) -> list[Revision]:
        """The whole document that a revision builds on and the patches up to it, oldest first; [] without it."""
        return [Revision(*row) for row in self._execute("chain_of_revision", document=document, number=number)]

    async def find_etag(self, document: int, etag: str) -> int | None:
        """The newest revision that said what this tag stands for."""
        row = self._row("newest_revision_with_etag", document=document, etag=etag)
        return row[0] if row else None

    async def add_secret(self, secret: str, document: int, place: str, sealed: bytes) -> None:
        """Keep a sealed secret of a document under its id."""
        self._execute("insert_secret", secret=secret, document=document, place=place, sealed=sealed)

    async def get_secret(self, secret: str) -> bytes | None:
        """The sealed secret with this id."""
        row = self._row("get_secret", secret=secret)
        return row[0] if row else None

    async def some_secret(self) -> tuple[str, bytes] | None:
        """Place and sealed text of any one secret."""
        row: tuple[str, bytes] | None = self._row("some_secret")
        return row

    async def all_secrets(self) -> list[tuple[str, str, bytes]]:
        """Id, place and sealed text of every secret."""
        return list(self._execute("all_secrets"))

    async def replace_secret(self, secret: str, sealed: bytes) -> None:
        """Keep the same secret, sealed anew."""
        self._execute("replace_secret", secret=secret, sealed=sealed)

    async def find_answer(self, account: int, key: str, since: str) -> Answer | None:
        """The first answer under an idempotency key, unless it is older than `since`."""
        row = self._row("find_answer", account=account, key=key, since=since)
        return Answer(row[0], row[1], row[2], row[3], bool(row[4])) if row else None

    async def add_answer(self, account: int, key: str, created_at: str, answer: Answer) -> None:
        """Keep the first answer under an idempotency key."""
        self._execute("insert_answer", account=account, key=key, created_at=created_at, **asdict(answer))

    async def forget_documents(self, before: str, most: int) -> list[tuple[str, str, int, int]]:
        """Take away for good at most `most` documents that were deleted before a time: kind, id, owner, revision."""
        gone: list[Any] = self._execute("delete_old_documents", before=before, most=most).fetchall()
        return gone

    async def forget_answers(self, before: str, most: int) -> int:
        """Take away at most `most` first answers from before a time, and tell how many there were."""
        self._execute("delete_old_answers", before=before, most=most)
        return self._connection.changes()

    # --- Drafts -------------------------------------------------------------------------------------------------------

    async def open_draft(self, document: int) -> Draft | None:
        """The changes of a document that wait to be published."""
        row = self._row("open_draft", document=document)
        return Draft(*row) if row else None

    async def get_draft(self, document: int, number: int) -> Draft | None:
        """A draft of a document, in whatever state."""
        row = self._row("get_draft", document=document, number=number)
        return Draft(*row) if row else None

    async def drafts(self, document: int, *, before: int, limit: int) -> list[Draft]:
        """At most `limit` drafts with numbers below `before`, newest first."""
        return [Draft(*row) for row in self._execute("page_of_drafts", document=document, before=before, limit=limit)]

    async def put_draft(self, draft: Draft) -> None:
        """Keep a draft as it is now, whether it is new or not. Raises DraftOpen when another one is open."""
        try:
            self._execute("put_draft", **asdict(draft))
        except apsw.ConstraintError as error:
            raise DraftOpen(f"Document {draft.document} has an open draft already.") from error

    # --- Names --------------------------------------------------------------------------------------------------------

    async def claim(self, scope: str, name: str, kind: str, id: str) -> None:
        """Take a name that only one object may hold. Raises NameTaken."""
        try:
            self._execute("claim_name", scope=scope, name=name, kind=kind, id=id)
        except apsw.ConstraintError as error:
            raise NameTaken(scope, name) from error

    async def release(self, scope: str, name: str, kind: str, id: str) -> None:
        """Give a name back; nothing happens when this object does not hold it."""
        self._execute("release_name", scope=scope, name=name, kind=kind, id=id)

    async def is_claimed(self, scope: str, name: str) -> bool:
        """Whether some object of any account holds the name."""
        return self._row("is_claimed", scope=scope, name=name) is not None

    # --- Accounts and keys --------------------------------------------------------------------------------------------

    async def find_key(self, digest: bytes) -> tuple[str, bytes, int, str | None] | None:
        """Public id, SHA-256, account and date of revocation of the key with this SHA-256."""
        row: tuple[str, bytes, int, str | None] | None = self._row("find_key", digest=digest)
        return row

    async def list_keys(self) -> list[KeyRow]:
        """All keys, oldest first."""
        return [KeyRow(*row) for row in self._execute("list_keys")]

    async def insert_key(
        self, *, key_id: str, digest: bytes, account: int, label: str, hint: str, created_at: str
    ) -> None:
        """Store a new key's SHA-256. Raises IdTaken when the key or its id exists."""
        columns = {"key_id": key_id, "digest": digest, "account": account, "label": label, "hint": hint}
        try:
            self._execute("insert_key", **columns, created_at=created_at)
        except apsw.ConstraintError as error:
            raise IdTaken("This key exists already.") from error

    async def revoke_key(self, key_id: str, revoked_at: str) -> int | None:
        """End a key from now on and return its account; None when there is no such key or it was ended before."""
        row = self._row("revoke_key", key_id=key_id, revoked_at=revoked_at)
        return row[0] if row else None

    async def find_account(self, name: str) -> int | None:
        """The number of the account with this name."""
        row = self._row("find_account", name=name)
        return row[0] if row else None

    async def insert_account(self, name: str, created_at: str) -> int:
        """Store a new account and return its number, from 1 on. Raises IdTaken when the name exists."""
        try:
            row = self._row("insert_account", name=name, created_at=created_at)
        except apsw.ConstraintError as error:
            raise IdTaken(f"The account {name!r} exists already.") from error
        assert row is not None
        return int(row[0])

    async def account_names(self) -> dict[int, str]:
        """The name of every account by its number."""
        return dict(self._execute("account_names"))

    # --- The audit log, and what it is sealed with --------------------------------------------------------------------

    async def add_audit(self, deed: Deed, chain: Chain | None) -> None:
        """Add a row to the audit log, bound to those before it. Without a chain nothing is logged.

        The head is read anew each time: another process may have written in between.
        """
        if chain is None:
            return
        last, tag = self._row("end_of_audit")
        seq = last + 1
        mac = chain.mac(tag, seq, deed)
        self._connection.execute(QUERIES["insert_audit"], (seq, *deed, mac))
        self._connection.execute(QUERIES["set_audit_head"], chain.head(seq, mac))

    async def set_audit_head(self, head: Head) -> None:
        """Keep what proves where the log ends."""
        self._connection.execute(QUERIES["set_audit_head"], head)

    async def audit_head(self) -> Head | None:
        """What proves where the log ends; None when it was taken away."""
        row = self._row("audit_head")
        return Head(*row) if row else None

    async def audit_rows(self, first: int = 1 - (1 << 63)) -> AsyncIterator[Row]:
        """The audit log from a row on, in order."""
        for seq, at, account, key_id, action, kind, id, revision, request_id, mac in self._execute(
            "audit_rows", first=first
        ):
            said = (_text(at), account, _text(key_id), _text(action), _text(kind), _text(id))
            yield Row(seq, Deed(*said, revision, _text(request_id)), mac)

    async def get_server_secret(self, name: str) -> bytes | None:
        """A sealed secret of the server's own."""
        row = self._row("get_server_secret", name=name)
        return row[0] if row else None

    async def all_server_secrets(self) -> list[tuple[str, bytes]]:
        """Name and sealed text of every secret of the server's own."""
        return list(self._execute("all_server_secrets"))

    async def put_server_secret(self, name: str, sealed: bytes) -> None:
        """Keep a sealed secret of the server's own, new or sealed anew."""
        self._execute("put_server_secret", name=name, sealed=sealed)

    def _execute(self, query: str, **values: Any) -> apsw.Cursor:
        return self._connection.execute(QUERIES[query], values)

    def _row(self, query: str, **values: Any) -> Any:
        return self._connection.execute(QUERIES[query], values).fetchone()
