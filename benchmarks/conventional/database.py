"""Two tables, an engine with a pool, and the pragmas that make a commit survive a power cut."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry


def utc_now() -> datetime:
    """The time in UTC, without a zone: SQLite would not keep one."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)


class ApiKey(Base):
    __tablename__ = "api_keys"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))


class Pal(Base):
    """A PAL and its revision; SQLAlchemy guards every UPDATE by the revision it read, so no update is lost."""

    __tablename__ = "pals"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    __mapper_args__ = {"version_id_col": revision}


def hash_key(api_key: str) -> str:
    """SHA-256 of the key in hexadecimal: what the database keeps instead of the key."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def create_engine(file: Path) -> AsyncEngine:
    """An engine whose connections use WAL and synchronous=FULL and wait up to 30 seconds for the write lock."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine


async def prepare(engine: AsyncEngine, api_key: str) -> None:
    """Create the tables where they are missing and make sure that `api_key` opens account 1."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        await session.merge(Account(id=1))
        await session.flush()
        await session.merge(ApiKey(key_hash=hash_key(api_key), account_id=1))
        await session.commit()
