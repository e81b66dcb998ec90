"""Keeping documents: what a store keeps, what it promises and the one on SQLite."""

from palace.storage.base import IdTaken, KeyRow, NameTaken, Page, Record, Stale, StorageFailure
from palace.storage.sqlite import Owned, SqliteStore, Transaction

__all__ = [
    "IdTaken",
    "KeyRow",
    "NameTaken",
    "Owned",
    "Page",
    "Record",
    "SqliteStore",
    "Stale",
    "StorageFailure",
    "Transaction",
]
