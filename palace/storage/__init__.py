"""Keeping documents: what a store keeps, what it promises, and the stores there are."""

from palace.storage.base import (
    Answer,
    AnswerTaken,
    DatabaseInUse,
    Draft,
    DraftOpen,
    IdTaken,
    KeyRow,
    Label,
    Listing,
    NameTaken,
    OutcomeUnknown,
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
from palace.storage.conversations import Due, Kept, Logged
from palace.storage.jobs import Job, JobState
from palace.storage.sqlite import Image, SqliteStore
from palace.storage.store import Store, Work
from palace.storage.transaction import Transaction

__all__ = [
    "Answer",
    "AnswerTaken",
    "DatabaseInUse",
    "Draft",
    "DraftOpen",
    "Due",
    "IdTaken",
    "Image",
    "Job",
    "JobState",
    "Kept",
    "KeyRow",
    "Label",
    "Listing",
    "Logged",
    "NameTaken",
    "OutcomeUnknown",
    "Overloaded",
    "Owned",
    "Page",
    "Record",
    "Revision",
    "Shown",
    "SqliteStore",
    "Stale",
    "StorageFailure",
    "Store",
    "Transaction",
    "Use",
    "User",
    "Work",
]
