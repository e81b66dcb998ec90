"""Kinto with its history plug-in on PostgreSQL, served by uWSGI with two processes of eight threads.

Kinto's own command serves it with waitress in one process, its documentation names uWSGI for production; here both were
level, and so were four processes. Authentication is basic auth, which needs no query, unlike accounts with bcrypt.
Some concurrent writes are refused with 409, although each is to a record of its own; a client has to send those again.
"""

from base64 import b64encode
from pathlib import Path

from benchmarks.rivals.environment import program, run
from benchmarks.servers import Contender, Place, ask
from benchmarks.wires import Wire, kinto_wire

PROCESSES = 2
THREADS = 8

_INI = """
[app:main]
use = egg:kinto
kinto.includes = kinto.plugins.history
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {uri}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {uri}
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = {secret}
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
multiauth.policy.basicauth.use = kinto.core.authentication.BasicAuthAuthenticationPolicy
"""

_APPLICATION = """
from configparser import ConfigParser

from kinto import main

settings = ConfigParser(interpolation=None)
settings.read({ini!r})
application = main({{}}, None, **{{name: value for name, value in settings["app:main"].items() if name != "use"}})
"""


def _prepare(place: Place) -> None:
    """Write the configuration and create Kinto's tables."""
    assert place.database is not None
    ini = _ini(place)
    ini.write_text(_INI.format(uri=place.database.uri, secret=place.api_key))
    (place.data / "application.py").write_text(_APPLICATION.format(ini=str(ini)))
    run("kinto", "migrate", "--ini", str(ini))


def _ini(place: Place) -> Path:
    return place.data / "kinto.ini"


def _command(place: Place) -> list[str]:
    workers = ["--processes", str(PROCESSES), "--threads", str(THREADS), "--lazy-apps"]
    keep_alive = ["--http-keepalive=60", "--http-timeout", "60"]
    quiet = ["--disable-logging", "--die-on-term", "--need-app", "--master"]
    application = ["--wsgi-file", str(place.data / "application.py")]
    return [program("uwsgi"), "--http", f"127.0.0.1:{place.port}", *keep_alive, *workers, *quiet, *application]


def _wire(place: Place) -> Wire:
    """Create the bucket and the collection, or find them there."""
    wire = kinto_wire("Basic " + b64encode(f"bench:{place.api_key}".encode()).decode())
    for path in ("/v1/buckets/bench", "/v1/buckets/bench/collections/pals"):
        ask(place, "kinto", "PUT", path, {}, wire.headers)
    return wire


KINTO = Contender(
    name="kinto",
    title="Kinto with history, PostgreSQL",
    command=_command,
    wire=_wire,
    prepare=_prepare,
    health="/v1/__lbheartbeat__",
    on_postgres=True,
    is_foreign=True,
    may_refuse=("409",),
)
