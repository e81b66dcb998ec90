"""What is no tool, and what a client is told about it: each thing at its place, all at once (contract 5)."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.tooling import BEARER, HMAC, KEY, MASK, NIGHTS, OAUTH, URL, WITH_SECRET, create, created, with_api
from tests.api.wire import refused
from tests.serving import start_palace

MISSING, NULL, UNKNOWN = "Missing data for required field.", "Field may not be null.", "Unknown field."
STRING, TOO_SHORT = "Not a valid string.", "Shorter than minimum length 1."
NO_HTTPS = "Must begin with https://."
NO_URL = "Not a valid URL: https://, a host, then path and query; without a user name, spaces and backslashes."
HOST = "/delivery/api/url"
AUTH_TYPES = "Must be one of: none, bearer, basic, api_key, hmac, oauth2_client_credentials."

REFUSED: list[Any] = [
    ({"name": ...}, "/name", MISSING),
    ({"name": None}, "/name", NULL),
    *(({"name": name}, "/name", "String does not match expected pattern.")
      for name in ("", "1st", "room rate", "room-rate", "x" * 65, "räume", "x\n")),
    ({"description": ...}, "/description", MISSING),
    ({"description": ""}, "/description", TOO_SHORT),
    ({"description": "x" * 9_999}, "/description", "Together with parameters longer than maximum length 10000."),
    ({"parameters": []}, "/parameters", "Not a valid mapping type."),
    ({"parameters": {"type": "string"}}, "/parameters/type", "Must be one of: object."),
    ({"parameters": {"properties": ["nights"]}}, "/parameters/properties", "Not a valid mapping type."),
    ({"parameters": {"properties": {"n": "integer"}}}, "/parameters/properties/n", "Not a valid mapping type."),
    ({"parameters": {"required": "nights"}}, "/parameters/required", "Not a valid list."),
    ({"parameters": {"properties": {"tavus_id": {}}}}, "/parameters/properties/tavus_id",
     "Names of parameters must not start with tavus_: the server has placeholders like that."),
    ({"tags": ["desk", 5]}, "/tags/1", STRING),
    ({"colour": "red"}, "/colour", UNKNOWN),
    ({"tool_id": "t1"}, "/tool_id", UNKNOWN),
    ({"trigger_type": "later"}, "/trigger_type", "Must be one of: in_call, post_call."),
    ({"origin": "ears"}, "/origin", "Must be one of: llm, vision, audio."),
    ({"on_call": "sing"}, "/on_call", "Must be one of: generate_filler, static_filler, silent, passthrough."),
    ({"on_resolve": "sing"}, "/on_resolve",
     "Must be one of: generate_response, response_in_result, add_to_context, fire_and_forget."),
    ({"on_call": "static_filler"}, "/static_filler", "Required when on_call is static_filler."),
    ({"on_call": "static_filler", "static_filler": ""}, "/static_filler", "Required when on_call is static_filler."),
    ({"static_filler": "Hm."}, "/static_filler", "Must be null unless on_call is static_filler."),
    ({"on_call": "silent", "static_filler": "Hm."}, "/static_filler", "Must be null unless on_call is static_filler."),
    *(({"origin": origin} | member, f"/{name}", problem.format(origin)) for origin in ("vision", "audio")
      for member, name, problem in (
          ({"on_call": "silent"}, "on_call", "Must be null for {} tools."),
          ({"static_filler": "Hm."}, "static_filler", "Must be null for {} tools."),
          ({"on_resolve": "add_to_context"}, "on_resolve",
           "Must be one of: fire_and_forget. Others are not for {} tools."))),
    ({"trigger_type": "post_call"}, "/delivery/api", "Required for post_call tools."),
    ({"trigger_type": "post_call", "origin": "llm", **with_api()}, "/origin", "Must be null for post_call tools."),
    ({"trigger_type": "post_call", "on_call": "silent", **with_api()}, "/on_call", "Must be null for post_call tools."),
    ({"delivery": None}, "/delivery", NULL),
    ({"delivery": {}}, "/delivery", "Exactly one channel: set app_message to true, or give api."),
    ({"delivery": {"app_message": False}}, "/delivery", "Exactly one channel: set app_message to true, or give api."),
    ({"delivery": {"app_message": True, "api": {"url": URL}}}, "/delivery",
     "Exactly one channel: leave api out, or set app_message to false."),
    ({"delivery": {"api": {}}}, HOST, MISSING),
    ({"delivery": {"mail": "x"}}, "/delivery/mail", UNKNOWN),
    (with_api(path="/x"), "/delivery/api/path", UNKNOWN),
    (with_api(method="get"), "/delivery/api/method", "Must be one of: GET, POST, PUT, PATCH, DELETE, HEAD."),
    *((with_api(timeout=timeout), "/delivery/api/timeout", "Must be greater than 0 and less than or equal to 60.")
      for timeout in (0, -1, 60.5, 61)),
    *((with_api(timeout=timeout), "/delivery/api/timeout", "Not a valid number.") for timeout in ("10", True, [])),
    (with_api(headers={"X-A": 5}), "/delivery/api/headers/X-A", STRING),
    (with_api(headers={"X A": "5"}), "/delivery/api/headers/X A", "Not a valid name of a header."),
    (with_api(headers={"X-A": "a\r\nHost: b"}), "/delivery/api/headers/X-A", "Must not have control characters."),
    (with_api(content_type="a\r\nHost: b"), "/delivery/api/content_type", "Must not have control characters."),
    *((with_api(headers={name: "x"}), f"/delivery/api/headers/{name}", "This header is set by the server.")
      for name in ("Host", "content-length", "Transfer-Encoding", "connection")),
    (with_api(query_params={"n": 5}), "/delivery/api/query_params/n", STRING),
    (with_api(body_template="x"), "/delivery/api/body_template", "Not a valid mapping type."),
    *((with_api(body_template={"a": 1}, method=method), "/delivery/api/body_template",
       f"A {method} request has no body: leave it out, or use POST, PUT or PATCH.")
      for method in ("GET", "HEAD", "DELETE")),
    *((with_api(**member), f"/delivery/api/{next(iter(member))}",
       "Placeholder {room} must be declared in parameters.properties.") for member in (
           {"url": URL + "/{room}"}, {"url": URL + "?r={room}"}, {"query_params": {"r": "a {room}"}},
           {"body_template": {"a": [{"b": "{room}"}]}})),
    (with_api(auth={"type": "digest"}), "/delivery/api/auth/type", AUTH_TYPES),
    (with_api(auth={"type": 5}), "/delivery/api/auth/type", AUTH_TYPES),
    (with_api(auth={}), "/delivery/api/auth/type", MISSING),
    (with_api(auth="bearer"), "/delivery/api/auth", "Not a valid mapping type."),
    *((with_api(auth={name: auth[name] for name in auth if name != gone}), f"/delivery/api/auth/{gone}", MISSING)
      for auth, _ in WITH_SECRET for gone in auth if gone != "type"),
    *((with_api(auth=auth | {name: ""}), f"/delivery/api/auth/{name}", TOO_SHORT)
      for auth, _ in WITH_SECRET for name in auth if name not in ("type", "token_url")),
    *((with_api(auth=auth | {"extra": "x"}), "/delivery/api/auth/extra", UNKNOWN)
      for auth in ({"type": "none"}, *(auth for auth, _ in WITH_SECRET))),
    *((with_api(auth=auth | {name: mask}), f"/delivery/api/auth/{name}",
       "Asterisks stand for a stored secret, and there is none here: send it.")
      for mask in (MASK, "*") for auth, name in WITH_SECRET),
    (with_api(auth=KEY | {"location": "body"}), "/delivery/api/auth/location", "Must be one of: header, query."),
    (with_api(auth=KEY | {"name": "Host"}), "/delivery/api/auth/name", "This header is set by the server."),
    (with_api(auth=KEY | {"name": "a b"}), "/delivery/api/auth/name", "Not a valid name of a header."),
    (with_api(auth=OAUTH | {"token_url": "http://login.example.org"}), "/delivery/api/auth/token_url", NO_HTTPS),
    *((with_api(auth=HMAC, **{name: {"a": "b"}}), f"/delivery/api/{name}", "Cannot be used together with hmac.")
      for name in ("query_params", "body_template")),
    (with_api(auth=HMAC, url=URL + "/{tavus_id}"), HOST, "Placeholders cannot be used together with hmac."),
    *((with_api(url=url), HOST, NO_HTTPS) for url in (
        "", "http://api.example.org", "api.example.org", "//api.example.org", "ftp://api.example.org",
        " https://api.example.org", "https:api.example.org")),
    *((with_api(url=url), HOST, NO_URL) for url in (
        "https://", "https:///path", "https://user@api.example.org", "https://a:b@api.example.org",
        "https://api.example.org\\@x.example", "https://api.example.org/a b", "https://api.example.org/\n",
        "https://api.example.org:port/", "https://api.example.org:0/", "https://api.example.org:65536/", "https://[::1",
        "https://api%2eexample.org", "https://a,b.example",
        "https://api.example.org ")),
    *((with_api(url=url), HOST, "Placeholders may stand in the path and in the query only.") for url in (
        "https://{tavus_host}/", "https://{tavus_host}.example.org/x", "https://api.example.org:{tavus_port}/x",
        "https://{tavus_user}@api.example.org")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "pointer", "problem"),
    [pytest.param(*case, id=f"{number}: {case[1]}") for number, case in enumerate(REFUSED)],
)
def test_what_is_no_tool_is_refused_at_its_place(api: httpx.Client, members: Any, pointer: str, problem: str) -> None:
    details = refused(create(api, **members), 400)
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(pointer, problem)]


def test_all_problems_are_told_at_once_in_the_words_of_the_api(api: httpx.Client) -> None:
    answer = create(api, name="1", **with_api(url="http://x.example", timeout=0, auth=BEARER | {"token": ""}))
    said = refused(answer, 400)
    assert [detail["pointer"] for detail in said] == ["/name", "/delivery/api/auth/token"]
    url, timeout = NO_HTTPS, "Must be greater than 0 and less than or equal to 60."
    sentence = f"Bad Request. {{'delivery': {{'api': {{'url': ['{url}'], 'timeout': ['{timeout}']}}}}}}"
    refused(create(api, **with_api(url="http://x.example", timeout=0)), 400, sentence)


PRIVATE = "Must be a public host. An operator can let tools call private addresses (allow_private_addresses)."
HOSTS = """localhost api.localhost printer.local metadata.google.internal 127.0.0.1 127.1 0 2130706433 0x7f000001 0x7f.1
0177.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 0xa9fea9fe 2852039166 0.0.0.0 [::1] [::]
[::ffff:127.0.0.1] [::ffff:7f00:1] [fe80::1] [fc00::1] [fd00:ec2::254] [64:ff9b::7f00:1] [2002:7f00:1::1]
LOCALHOST localhost.""".split()


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_not_public_is_refused_in_every_spelling(api: httpx.Client, host: str) -> None:
    for url in (f"https://{host}/x", f"https://{host}", f"https://{host}:8443?a=b"):
        details = refused(create(api, **with_api(url=url)), 400)
        assert [(one["code"], one["pointer"], one["problem"]) for one in details] == [
            ("private_address", HOST, PRIVATE)
        ]
    oauth = with_api(auth=OAUTH | {"token_url": f"https://{host}/token"})
    assert [one["pointer"] for one in refused(create(api, **oauth), 400)] == ["/delivery/api/auth/token_url"]


def test_an_operator_can_allow_networks_that_are_not_public(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", PALACE_ALLOW_PRIVATE_ADDRESSES="10.0.0.0/8") as palace, palace.client() as api:
        tool = created(create(api, **with_api(url="https://10.1.2.3/x")))["tool_id"]
        assert api.patch(f"/v2/tools/{tool}", json=with_api(url="https://10.1.2.4/y")).status_code == 200
        details = refused(api.patch(f"/v2/tools/{tool}", json=with_api(url="https://127.0.0.1/x")), 400)
        assert [detail["code"] for detail in details] == ["private_address"]


def test_description_and_parameters_have_ten_thousand_characters_together(api: httpx.Client) -> None:
    room = 10_000 - len(json.dumps(NIGHTS))
    created(create(api, parameters=NIGHTS, description="x" * room))
    refused(create(api, parameters=NIGHTS, description="x" * (room + 1)), 400)


@pytest.mark.parametrize("body", [[], [{"op": "add", "path": "/name", "value": "x"}], "x", 5])
def test_a_tool_is_an_object(api: httpx.Client, body: Any) -> None:
    refused(api.post("/v2/tools", json=body), 400, "Bad Request. {'_schema': ['Invalid input type.']}")
