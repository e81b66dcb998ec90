"""`python -m tests.trusting serve …`: a Palace that takes the word of a test for which names lead where, and whom TLS
trusts. Everything else, the guard of addresses first of all, is what it always is.

`TRUSTED_PEM` is a file with certificates, `NAMES` JSON that gives the addresses of names.
"""

import json
import os
import ssl
from collections.abc import Sequence
from functools import cache

from palace import app
from palace.addresses import Networks
from palace.cli import main
from palace.fetching import Fetcher
from palace.lookups import Lookups

LOOKUPS = Lookups()


async def resolve(host: str) -> Sequence[str]:
    return json.loads(os.environ["NAMES"]).get(host) or await LOOKUPS.look_up(host)


@cache
def certificates() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ["TRUSTED_PEM"])


def fetcher(allowed: Networks) -> Fetcher:
    return Fetcher(allowed, resolve, certificates)


if __name__ == "__main__":
    app.Fetcher = fetcher  # type: ignore[assignment,misc]
    main()
