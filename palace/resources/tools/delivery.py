"""How a tool is carried out: by a message to the page, or by an HTTP request to somebody's server (contract 5)."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, WrapValidator, model_validator

from palace.addresses import Networks, is_public_host
from palace.fetching import HEADER_NAME, NOT_IN_A_HEADER
from palace.resource import Document, Problem, Secret, value_at
from palace.resources.members import LONGEST_URL
from palace.tool_delivery.placeholders import AUTHORITY, PLACEHOLDER, RESERVED_PREFIX, placeholders_in
from palace.tool_delivery.requests import SENT_BY_THE_SERVER, WITHOUT_BODY
from palace.validation import Model

Text = Annotated[str, StringConstraints(min_length=1)]
Place = tuple[str, ...]

API: Place = ("delivery", "api")
AUTH: Place = (*API, "auth")
URL_PLACE: Place = (*API, "url")
TOKEN_URL_PLACE: Place = (*AUTH, "token_url")

LONGEST_TIMEOUT = 60
MOST_FIELDS = 50
"""headers, and parameters in the query"""

URL = re.compile(
    r"https://(?P<host>\[[0-9a-f:.]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?#][^\x00-\x20\x7f\\]*)?", re.IGNORECASE
)
HIGHEST_PORT = 65_535

NOT_HTTPS = "Must begin with https://."
NOT_STATIC = "Placeholders may stand in the path and in the query only."
NO_URL = "Not a valid URL: https://, a host, then path and query; without a user name, spaces and backslashes."
NOT_PUBLIC = "Must be a public host. An operator can let tools call private addresses (allow_private_addresses)."


# --- Models -----------------------------------------------------------------------------------------------------------


class ToolAuthNone(Model):
    """Nothing to show."""

    type: Literal["none"]


class ToolAuthBearer(Model):
    """`Authorization: Bearer …`."""

    type: Literal["bearer"]
    token: Text
    """Shown as `********`; leave it out of a change to keep it."""


class ToolAuthBasic(Model):
    """`Authorization: Basic …`."""

    type: Literal["basic"]
    username: Text
    password: Text
    """Shown as `********`; leave it out of a change to keep it."""


class ToolAuthApiKey(Model):
    """A header or a query parameter of this name."""

    type: Literal["api_key"]
    name: Text
    value: Text
    """Shown as `********`; leave it out of a change to keep it."""
    location: Literal["header", "query"] = "header"

    @model_validator(mode="after")
    def _as_stored(self) -> "ToolAuthApiKey":
        self.__pydantic_fields_set__.add("location")
        return self


class ToolAuthHmac(Model):
    """Requests are signed in `X-Tavus-Signature`; their body is the server's, their URL has no placeholders."""

    type: Literal["hmac"]
    secret: Text
    """Shown as `********`; leave it out of a change to keep it."""


class ToolAuthOauth2(Model):
    """A token is fetched from `token_url` with the client's credentials."""

    type: Literal["oauth2_client_credentials"]
    token_url: Annotated[Text, StringConstraints(max_length=LONGEST_URL)]
    client_id: Text
    client_secret: Text
    """Shown as `********`; leave it out of a change to keep it."""
    scope: str | None = None


AUTH_TYPES: dict[str, type[Model]] = {
    "none": ToolAuthNone,
    "bearer": ToolAuthBearer,
    "basic": ToolAuthBasic,
    "api_key": ToolAuthApiKey,
    "hmac": ToolAuthHmac,
    "oauth2_client_credentials": ToolAuthOauth2,
}
SECRET_OF = {
    "bearer": "token",
    "basic": "password",
    "api_key": "value",
    "hmac": "secret",
    "oauth2_client_credentials": "client_secret",
}
SECRETS = tuple(
    Secret((*AUTH, name), bound_to=("token_url",) if name == "client_secret" else (), origin=URL_PLACE)
    for name in SECRET_OF.values()
)
"""The token that a client secret is exchanged for goes to the tool's URL, so that one is bound to both."""


def _by_type(value: Any, judge: Callable[[Any], Any]) -> Any:
    """Judged by its one model, so that problems have their place: pydantic puts the type into it, too."""
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in AUTH_TYPES:
        return AUTH_TYPES[kind].model_validate(value)
    return judge(value)


def _as_sent(value: Any, judge: Callable[[Any], Any]) -> Any:
    """Judged, and kept as it came: 10 stays 10 and does not become 10.0."""
    judge(value)
    return value


ToolAuth = Annotated[
    ToolAuthNone | ToolAuthBearer | ToolAuthBasic | ToolAuthApiKey | ToolAuthHmac | ToolAuthOauth2,
    Field(discriminator="type"),
    WrapValidator(_by_type),
]
Seconds = Annotated[
    float, WrapValidator(_as_sent), Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT})
]


class ToolApi(Model):
    """The HTTP request that carries the tool out. `{name}` stands for what the model gave as that parameter."""

    url: Annotated[str, StringConstraints(max_length=LONGEST_URL)]
    """https and a public host; placeholders may stand in path and query."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "POST"
    timeout: Seconds = 10
    """Seconds, above 0 and at most 60."""
    headers: Annotated[dict[str, str], Field(max_length=MOST_FIELDS)] | None = None
    auth: ToolAuth | None = None
    body_template: dict[str, Any] | None = None
    """The body, with placeholders in its strings; all arguments as they are where it is null."""
    query_params: Annotated[dict[str, str], Field(max_length=MOST_FIELDS)] | None = None
    content_type: str | None = None
    """Of the body; `application/json` where it is null."""

    @model_validator(mode="after")
    def _as_stored(self) -> "ToolApi":
        self.__pydantic_fields_set__.update(type(self).model_fields)
        return self


class ToolDelivery(Model):
    """Exactly one channel: `app_message` is true, or there is an `api`."""

    app_message: bool | None = None
    """A message to the page, which carries the tool out."""
    api: ToolApi | None = None

    @model_validator(mode="after")
    def _as_stored(self) -> "ToolDelivery":
        self.app_message = bool(self.app_message)
        self.__pydantic_fields_set__.update(type(self).model_fields)
        return self


# --- Rules ------------------------------------------------------------------------------------------------------------


def delivery_rules(delivery: ToolDelivery, declared: Collection[str]) -> Iterator[Problem]:
    """What must hold of the way in which a tool with these parameters is carried out."""
    if delivery.app_message and delivery.api is not None:
        text = "Exactly one channel: leave api out, or set app_message to false."
        yield Problem(("delivery",), "exclusive", text, facts={"excludes": "/delivery/api"})
    if not delivery.app_message and delivery.api is None:
        yield Problem(("delivery",), "missing", "Exactly one channel: set app_message to true, or give api.")
    if delivery.api is not None:
        yield from _api_rules(delivery.api, declared)


def _api_rules(api: ToolApi, declared: Collection[str]) -> Iterator[Problem]:
    yield from _url_rules(URL_PLACE, api.url)
    if not 0 < api.timeout <= LONGEST_TIMEOUT:
        text = f"Must be greater than 0 and less than or equal to {LONGEST_TIMEOUT}."
        yield Problem((*API, "timeout"), "out_of_range", text, facts={"maximum": LONGEST_TIMEOUT})
    if api.body_template is not None and api.method in WITHOUT_BODY:
        text = f"A {api.method} request has no body: leave it out, or use POST, PUT or PATCH."
        yield Problem((*API, "body_template"), "exclusive", text, facts={"excludes": "/delivery/api/method"})
    yield from _header_rules(api)
    yield from _placeholder_rules(api, declared)
    if isinstance(api.auth, ToolAuthHmac):
        yield from _hmac_rules(api)
    if isinstance(api.auth, ToolAuthOauth2):
        yield from _url_rules(TOKEN_URL_PLACE, api.auth.token_url)


def _url_rules(place: Place, url: str) -> Iterator[Problem]:
    if not url.lower().startswith("https://"):
        yield Problem(place, "not_allowed", NOT_HTTPS)
    elif PLACEHOLDER.search(AUTHORITY.match(url).group()):  # type: ignore[union-attr]  # A URL has a colon by now.
        yield Problem(place, "not_allowed", NOT_STATIC)
    elif host_of(url) is None:
        yield Problem(place, "not_allowed", NO_URL)


def _header_rules(api: ToolApi) -> Iterator[Problem]:
    for name, value in (api.headers or {}).items():
        yield from _name_rules((*API, "headers", name), name)
        if NOT_IN_A_HEADER.search(value):
            yield Problem((*API, "headers", name), "not_allowed", "Must not have control characters.")
    if NOT_IN_A_HEADER.search(api.content_type or ""):
        yield Problem((*API, "content_type"), "not_allowed", "Must not have control characters.")
    if isinstance(api.auth, ToolAuthApiKey) and api.auth.location == "header":
        yield from _name_rules((*AUTH, "name"), api.auth.name)


def _name_rules(place: Place, name: str) -> Iterator[Problem]:
    if not HEADER_NAME.fullmatch(name):
        yield Problem(place, "pattern", "Not a valid name of a header.")
    elif name.lower() in SENT_BY_THE_SERVER:
        yield Problem(place, "reserved", "This header is set by the server.")


def _placeholder_rules(api: ToolApi, declared: Collection[str]) -> Iterator[Problem]:
    for member in ("url", "query_params", "body_template"):
        for name in dict.fromkeys(placeholders_in(getattr(api, member))):
            if name not in declared and not name.startswith(RESERVED_PREFIX):
                text = f"Placeholder {{{name}}} must be declared in parameters.properties."
                yield Problem((*API, member), "undeclared_placeholder", text, facts={"placeholder": name})


def _hmac_rules(api: ToolApi) -> Iterator[Problem]:
    facts = {"excludes": "/delivery/api/auth"}
    for member in ("body_template", "query_params"):
        if getattr(api, member):
            yield Problem((*API, member), "exclusive", "Cannot be used together with hmac.", facts=facts)
    if PLACEHOLDER.search(api.url):
        yield Problem(URL_PLACE, "exclusive", "Placeholders cannot be used together with hmac.", facts=facts)


# --- Hosts ------------------------------------------------------------------------------------------------------------


def host_of(url: str) -> str | None:
    """The host of an https URL, None when it is no such URL."""
    found = URL.fullmatch(url)
    return found["host"] if found and 0 < int(found["port"] or 443) <= HIGHEST_PORT else None


def private_hosts(document: Document, allowed: Networks) -> Iterator[Problem]:
    """A problem for each URL of a tool that leads neither to a public host nor to an allowed network."""
    for place in (URL_PLACE, TOKEN_URL_PLACE):
        url = value_at(document, place)
        host = host_of(url) if isinstance(url, str) else None
        if host is not None and not is_public_host(host, allowed):
            yield Problem(place, "private_address", NOT_PUBLIC)
