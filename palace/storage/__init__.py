"""Keeping documents: what a store keeps, what it promises and the one on SQLite."""

from palace.storage.base import (
    Answer,
    Draft,
    DraftOpen,
    IdTaken,
    KeyRow,
    NameTaken,
    Page,
    Record,
    Revision,
    Shown,
    Stale,
    StorageFailure,
)
from palace.storage.sqlite import SqliteStore
from palace.storage.transaction import Owned, Transaction

__all__ = [
    "Answer",
    "Draft",
    "DraftOpen",
    "IdTaken",
    "KeyRow",
    "NameTaken",
    "Owned",
    "Page",
    "Record",
    "Revision",
    "Shown",
    "SqliteStore",
    "Stale",
    "StorageFailure",
    "Transaction",
]
