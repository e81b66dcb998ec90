"""What there is to take along: every table, its columns and its order, the same on every database.

A test proves that these are the tables and columns of the schemas. A table stands behind those that it refers to.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["integer", "text", "bytes", "json"]
"""`json` is JSON as the UTF-8 bytes that it is stored in."""

INTEGER: Kind = "integer"
TEXT: Kind = "text"
BYTES: Kind = "bytes"
JSON: Kind = "json"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its rows are taken in the order of `key`, texts by their bytes."""

    name: str
    key: tuple[str, ...]
    columns: dict[str, Kind]
    is_numbered: bool = False
    """whether the database itself gives new rows their numbers"""


TABLES: tuple[Table, ...] = (
    Table("accounts", ("account",), {"account": INTEGER, "name": TEXT, "created_at": TEXT}, is_numbered=True),
    Table(
        "keys",
        ("key_id",),
        {
            "key_id": TEXT,
            "digest": BYTES,
            "account": INTEGER,
            "label": TEXT,
            "hint": TEXT,
            "created_at": TEXT,
            "revoked_at": TEXT,
        },
    ),
    Table("server_secrets", ("name",), {"name": TEXT, "sealed": BYTES}),
    Table(
        "documents",
        ("seq",),
        {
            "seq": INTEGER,
            "kind": TEXT,
            "id": TEXT,
            "owner": INTEGER,
            "revision": INTEGER,
            "base": INTEGER,
            "etag": TEXT,
            "created_at": TEXT,
            "updated_at": TEXT,
            "deleted_at": TEXT,
            "secrets": JSON,
            "body": JSON,
        },
        is_numbered=True,
    ),
    Table("claims", ("scope", "name"), {"scope": TEXT, "name": TEXT, "kind": TEXT, "id": TEXT}),
    Table("secrets", ("secret",), {"secret": TEXT, "document": INTEGER, "place": TEXT, "sealed": BYTES}),
    Table(
        "revisions",
        ("document", "number"),
        {
            "document": INTEGER,
            "number": INTEGER,
            "base": INTEGER,
            "created_at": TEXT,
            "action": TEXT,
            "etag": TEXT,
            "key_id": TEXT,
            "request_id": TEXT,
            "comment": TEXT,
            "touched": JSON,
            "about": JSON,
            "secrets": JSON,
            "content": JSON,
        },
    ),
    Table(
        "drafts",
        ("document", "number"),
        {
            "document": INTEGER,
            "number": INTEGER,
            "state": TEXT,
            "base_revision": INTEGER,
            "key_id": TEXT,
            "created_at": TEXT,
            "updated_at": TEXT,
            "etag": TEXT,
            "base_secrets": JSON,
            "secrets": JSON,
            "base": JSON,
            "body": JSON,
        },
    ),
    Table("uses", ("document", "pointer"), {"document": INTEGER, "pointer": TEXT, "kind": TEXT, "id": TEXT}),
    Table(
        "labels", ("document", "label", "value"), {"document": INTEGER, "label": TEXT, "value": TEXT, "folded": TEXT}
    ),
    Table(
        "jobs",
        ("job",),
        {
            "job": INTEGER,
            "kind": TEXT,
            "document": INTEGER,
            "state": TEXT,
            "attempts": INTEGER,
            "due_at": TEXT,
            "leased_until": TEXT,
            "input": JSON,
        },
    ),
    Table(
        "files",
        ("name",),
        {"name": TEXT, "document": INTEGER, "created_at": TEXT, "media_type": TEXT, "body": BYTES},
    ),
    Table(
        "conversations",
        ("document",),
        {"document": INTEGER, "number": INTEGER, "wake_at": TEXT, "state": JSON, "script": JSON, "given": JSON},
    ),
    Table(
        "conversation_log",
        ("document", "step", "place"),
        {"document": INTEGER, "step": INTEGER, "place": INTEGER, "kind": TEXT, "seq": INTEGER, "body": JSON},
    ),
    Table(
        "conversation_turns",
        ("document", "turn"),
        {
            "document": INTEGER,
            "turn": INTEGER,
            "account": INTEGER,
            "pal": TEXT,
            "revision": INTEGER,
            "at": TEXT,
            "context_built_us": INTEGER,
            "first_token_us": INTEGER,
            "first_sentence_us": INTEGER,
            "last_token_us": INTEGER,
            "tools_us": INTEGER,
            "delivered_us": INTEGER,
        },
    ),
    Table("conversation_words", ("document", "word"), {"document": INTEGER, "word": TEXT, "account": INTEGER}),
    Table(
        "deliveries",
        ("seq",),
        {
            "seq": INTEGER,
            "id": TEXT,
            "account": INTEGER,
            "document": INTEGER,
            "lane": TEXT,
            "url": TEXT,
            "event_type": TEXT,
            "state": TEXT,
            "attempts": INTEGER,
            "tries": INTEGER,
            "created_at": TEXT,
            "asked_at": TEXT,
            "due_at": TEXT,
            "leased_until": TEXT,
            "last_status": INTEGER,
            "last_problem": TEXT,
            "delivered_at": TEXT,
            "body": BYTES,
        },
        is_numbered=True,
    ),
    Table(
        "delivery_attempts",
        ("delivery", "attempt"),
        {
            "delivery": INTEGER,
            "attempt": INTEGER,
            "at": TEXT,
            "ms": INTEGER,
            "status": INTEGER,
            "problem": TEXT,
            "answer": BYTES,
        },
    ),
    Table(
        "answers",
        ("account", "key"),
        {
            "account": INTEGER,
            "key": TEXT,
            "created_at": TEXT,
            "fingerprint": BYTES,
            "status": INTEGER,
            "is_spelled": INTEGER,
            "headers": JSON,
            "body": JSON,
        },
    ),
    Table(
        "audit",
        ("chain", "seq"),
        {
            "chain": INTEGER,
            "seq": INTEGER,
            "at": TEXT,
            "account": INTEGER,
            "key_id": TEXT,
            "action": TEXT,
            "kind": TEXT,
            "id": TEXT,
            "revision": INTEGER,
            "request_id": TEXT,
            "mac": BYTES,
        },
    ),
    Table("audit_heads", ("chain",), {"chain": INTEGER, "seq": INTEGER, "tag": BYTES}),
)
