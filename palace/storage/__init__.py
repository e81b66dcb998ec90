"""Keeping documents: what a store keeps, what it promises and the one on SQLite."""

from palace.storage.base import (
    Answer,
    Draft,
    DraftOpen,
    IdTaken,
    KeyRow,
    Label,
    Listing,
    NameTaken,
    Overloaded,
    Owned,
    Page,
    Record,
    Revision,
    Shown,
    Stale,
    StorageFailure,
    Use,
    User,
)
from palace.storage.jobs import Job, JobState
from palace.storage.sqlite import Image, SqliteStore
from palace.storage.transaction import Transaction

__all__ = [
    "Answer",
    "Draft",
    "DraftOpen",
    "IdTaken",
    "Image",
    "Job",
    "JobState",
    "KeyRow",
    "Label",
    "Listing",
    "NameTaken",
    "Overloaded",
    "Owned",
    "Page",
    "Record",
    "Revision",
    "Shown",
    "SqliteStore",
    "Stale",
    "StorageFailure",
    "Transaction",
    "Use",
    "User",
]
