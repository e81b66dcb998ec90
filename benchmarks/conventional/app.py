"""The routes: create, read and patch a PAL, each with a session of its own and the account behind `x-api-key`."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jsonpatch
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from jsonpointer import JsonPointerException
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from benchmarks.conventional.database import ApiKey, Pal, PalRevision, create_engine, hash_key, prepare
from benchmarks.conventional.models import Operation, PalCreated, PalDocument, PalRead

router = APIRouter()
api_key_header = APIKeyHeader(name="x-api-key", auto_error=False)


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for one request, closed afterwards; what was not committed is rolled back."""
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(open_session)]


async def current_account(session: Session, api_key: Annotated[str | None, Security(api_key_header)]) -> int:
    """The account the key belongs to; 401 without a key or with an unknown one."""
    query = select(ApiKey.account_id).where(ApiKey.key_hash == hash_key(api_key or ""))
    account_id = await session.scalar(query)
    if account_id is None:
        raise HTTPException(401, "Invalid access token")
    return account_id


CurrentAccount = Annotated[int, Depends(current_account)]


async def find_pal(pal_id: str, account_id: CurrentAccount, session: Session) -> Pal:
    """The PAL with this id if the account owns it; otherwise 400."""
    pal = await session.scalar(select(Pal).where(Pal.id == pal_id, Pal.account_id == account_id))
    if pal is None:
        raise HTTPException(400, "Invalid pal_id")
    return pal


CurrentPal = Annotated[Pal, Depends(find_pal)]


def as_read(pal: Pal) -> dict[str, Any]:
    return {**pal.document, "pal_id": pal.id, "created_at": pal.created_at, "updated_at": pal.updated_at}


def patched(document: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """The document after all operations, or 422 when one does not fit, or 400 when the result is not a valid PAL."""
    patch = [operation.model_dump(by_alias=True, exclude_unset=True) for operation in operations]
    try:
        result = jsonpatch.JsonPatch(patch).apply(document)
    except jsonpatch.JsonPatchException as error:
        raise HTTPException(422, str(error)) from error
    except JsonPointerException as error:
        raise HTTPException(400, f"Bad Request. {error}") from error
    try:
        return PalDocument.model_validate(result).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        problems = {".".join(map(str, problem["loc"])): problem["msg"] for problem in error.errors()}
        raise HTTPException(400, f"Bad Request. {problems}") from error


@router.get("/healthz")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.post("/v2/pals", response_model=PalCreated)
async def create_pal(request: Request, body: PalDocument, account_id: CurrentAccount, session: Session) -> Any:
    document = body.model_dump(mode="json", exclude_unset=True)
    pal = Pal(id=f"p{secrets.token_hex(6)[:11]}", account_id=account_id, document=document)
    session.add(pal)
    if request.app.state.keeps_history:
        await session.flush()
        session.add(PalRevision(pal_id=pal.id, revision=1, document=document))
    await session.commit()
    return as_read(pal)


@router.get("/v2/pals/{pal_id}", response_model=PalRead, response_model_exclude_unset=True)
async def read_pal(pal: CurrentPal) -> Any:
    return as_read(pal)


@router.patch("/v2/pals/{pal_id}", response_model=PalRead, response_model_exclude_unset=True)
async def patch_pal(request: Request, pal: CurrentPal, operations: list[Operation], session: Session) -> Any:
    document = patched(pal.document, operations)
    if document == pal.document:
        return Response(status_code=304)
    pal.document = document
    if request.app.state.keeps_history:
        session.add(PalRevision(pal_id=pal.id, revision=pal.revision + 1, document=document))
    try:
        await session.commit()
    except StaleDataError as error:
        raise HTTPException(409, "The PAL was changed by another request") from error
    return as_read(pal)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """The text under `message` and `error`, with the status the exception carries."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail, "error": error.detail}, error.status_code)


async def answer_invalid_body(request: Request, error: Exception) -> JSONResponse:
    """422 `Invalid JSON patch format` for a malformed patch, 400 for any other body that does not fit its model."""
    assert isinstance(error, RequestValidationError)
    if request.method == "PATCH":
        return JSONResponse({"message": "Invalid JSON patch format", "error": "Invalid JSON patch format"}, 422)
    problems = {".".join(map(str, problem["loc"][1:])): problem["msg"] for problem in error.errors()}
    return JSONResponse({"message": f"Bad Request. {problems}", "error": f"Bad Request. {problems}"}, 400)


def create_app(database: str, api_key: str, keeps_history: bool) -> FastAPI:
    """The application on the database at this URI, whose tables are created; `api_key` opens account 1."""
    engine = create_engine(database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await prepare(engine, api_key)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        app.state.keeps_history = keeps_history
        yield
        await engine.dispose()

    app = FastAPI(title="A conventional PAL server", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(HTTPException, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_body)
    return app
