"""Calls one method of Pipecat's Tavus client, and prints what came of it: run by the Python that has Pipecat.

    python in_pipecat.py METHOD ARGUMENT…

The client has no setting for its URL; its base URL is patched, as its users have to do.
"""

import asyncio
import json
import os
import sys
from typing import Any

import aiohttp
from pipecat.transports.tavus.transport import TavusApi

TavusApi.BASE_URL = os.environ["TAVUS_PUBLIC_API_BASE_URL"]


async def call(method: str, *arguments: str) -> dict[str, Any]:
    """What the method returned, or the status that it stumbled over."""
    async with aiohttp.ClientSession(headers={"user-agent": "pipecat-ai"}) as session:
        try:
            return {"returned": await getattr(TavusApi(os.environ["TAVUS_API_KEY"], session), method)(*arguments)}
        except aiohttp.ClientResponseError as error:
            return {"status": error.status}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(call(*sys.argv[1:]))))
