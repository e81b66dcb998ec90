"""PocketBase: Go over SQLite. It has no JSON Patch, so a PATCH carries the whole document; it keeps no history.

It comes with `synchronous=NORMAL`, under which a commit does not wait for the disk: an acknowledged write may be gone
after a power cut. A hook sets FULL on its one writing connection, as everybody else here has it (seen with strace: one
fsync for each PATCH, and none without the hook). As it comes it takes part under a name of its own.
"""

from benchmarks.rivals.environment import program, run
from benchmarks.servers import Contender, Place, ask
from benchmarks.wires import Wire, pocketbase_wire

_USER = "bench@example.com"

_DURABLE = """
onBootstrap((event) => {
    event.next();
    event.app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
    const found = new DynamicModel({"synchronous": 0});
    event.app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(found);
    if (found.synchronous !== 2) { throw new Error("synchronous is " + found.synchronous); }
});
"""


def _folders(place: Place) -> list[str]:
    return ["--dir", str(place.data), "--hooksDir", str(place.data / "hooks"), "--hooksWatch=false"]


def _prepare_as_it_comes(place: Place) -> None:
    run("pocketbase", "superuser", "upsert", _USER, place.api_key, *_folders(place))


def _prepare(place: Place) -> None:
    (place.data / "hooks").mkdir()
    (place.data / "hooks" / "durable.pb.js").write_text(_DURABLE)
    _prepare_as_it_comes(place)


def _command(place: Place) -> list[str]:
    return [program("pocketbase"), "serve", "--http", f"127.0.0.1:{place.port}", *_folders(place)]


def _wire(place: Place) -> Wire:
    """Log in, switch the log of requests off, and create the collection where it is missing."""
    login = {"identity": _USER, "password": place.api_key}
    answer = ask(place, "pocketbase", "POST", "/api/collections/_superusers/auth-with-password", login)
    wire = pocketbase_wire(answer["token"])
    ask(place, "pocketbase", "PATCH", "/api/settings", {"logs": {"maxDays": 0}}, wire.headers)
    there = ask(place, "pocketbase", "GET", "/api/collections?perPage=200", None, wire.headers)["items"]
    if not any(collection["name"] == "pals" for collection in there):
        fields = [{"name": "document", "type": "json", "maxSize": 4 << 20}]
        pals = {"name": "pals", "type": "base", "fields": fields}
        ask(place, "pocketbase", "POST", "/api/collections", pals, wire.headers)
    return wire


POCKETBASE = Contender(
    name="pocketbase",
    title="PocketBase, SQLite",
    command=_command,
    wire=_wire,
    prepare=_prepare,
    health="/api/health",
    is_foreign=True,
)

POCKETBASE_AS_IT_COMES = Contender(
    name="pocketbase-normal",
    title="PocketBase as it comes (not durable), SQLite",
    command=_command,
    wire=_wire,
    prepare=_prepare_as_it_comes,
    health="/api/health",
    is_foreign=True,
)
