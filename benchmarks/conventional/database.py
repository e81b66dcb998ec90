"""The tables, an engine with a pool, and the pragmas that make a commit to SQLite survive a power cut."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

Document = JSON().with_variant(JSONB, "postgresql")


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
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    __mapper_args__ = {"version_id_col": revision}


class PalRevision(Base):
    """One state of a PAL, whole, as it became with a create or a patch: the ordinary way to keep history."""

    __tablename__ = "pal_revisions"
    __table_args__ = (UniqueConstraint("pal_id", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    pal_id: Mapped[str] = mapped_column(ForeignKey("pals.id"))
    revision: Mapped[int] = mapped_column()
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


def hash_key(api_key: str) -> str:
    """SHA-256 of the key in hexadecimal: what the database keeps instead of the key."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def create_engine(uri: str) -> AsyncEngine:
    """An engine for `sqlite:///FILE` through aiosqlite or `postgresql://…` through asyncpg, with the default pool.

    Connections to SQLite use WAL and synchronous=FULL and wait up to 30 seconds for the write lock.
    """
    if uri.startswith("postgresql://"):
        return create_async_engine(uri.replace("postgresql://", "postgresql+asyncpg://", 1))
    engine = create_async_engine(uri.replace("sqlite://", "sqlite+aiosqlite://", 1), connect_args={"timeout": 30})

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
