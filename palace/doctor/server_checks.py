"""Checks of a running server, from outside."""

from collections.abc import Sequence

import httpx

from palace.doctor.checks import Finding, Patient, ok, problem

SECONDS = 10


async def check_server(patient: Patient) -> Sequence[Finding]:
    """It lives, it takes requests, and the key opens an account."""
    if not patient.url:
        return []
    try:
        headers = {"x-api-key": patient.key} if patient.key else {}
        async with httpx.AsyncClient(base_url=patient.url, headers=headers, timeout=SECONDS) as client:
            return [*await _alive(client), *(await _key_works(client) if patient.key else [])]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = f"{patient.url} does not answer: {str(error).rstrip('.') or type(error).__name__}."
        return problem("server", said, "Start it, or name its URL with --url.")


async def _alive(client: httpx.AsyncClient) -> Sequence[Finding]:
    for path, meaning in (("/healthz", "alive"), ("/readyz", "ready")):
        answer = await client.get(path)
        if answer.status_code != httpx.codes.OK:
            said = f"The server is not {meaning}: GET {path} is answered with {answer.status_code}."
            return problem("server", said, "Look at its log; it may be stopping.")
    return ok("server", f"It is alive and ready ({client.base_url}).")


async def _key_works(client: httpx.AsyncClient) -> Sequence[Finding]:
    answer = await client.get("/v2/pals", params={"limit": 1})
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return problem("API key", "The server does not know the key.", "See `palace keys list`, or make another one.")
    if answer.status_code != httpx.codes.OK:
        return problem("API key", f"GET /v2/pals is answered with {answer.status_code}.", "Look at the server's log.")
    return ok("API key", "It opens an account.")
