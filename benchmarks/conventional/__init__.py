"""The server the benchmark compares Palace with: PALs on FastAPI, SQLAlchemy (async) and SQLite, written the usual way.

One worker, uvicorn with uvloop and httptools, a session per request, a connection pool, indexes, WAL with
`synchronous=FULL`. It speaks the part of the wire the benchmark needs: create, read and patch a PAL, `x-api-key`,
304, 400, 401 and 422.
"""
