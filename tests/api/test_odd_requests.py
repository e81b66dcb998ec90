"""Odd paths, queries, methods and request ids: a documented status, never a bug."""

import re
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import DOCUMENTED, patch, refused, replace
from tests.serving import KEY, Palace

NewPal = Callable[..., str]

ODD_IDS = [
    "a%2Fb",
    "a%00b",
    "%00",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "x" * 5000,
    "%F0%9F%98%80",
    "%FF%FE",
    "%0d%0aset-cookie:a",
    "'%20OR%201=1--",
    "%25",
    "%",
    "a;b",
    "null",
    "-1",
    "{id}",
    "PCB7A34DA5FE",
    "pcb7a34da5fe%20",
    "pcb7a34da5fe%0A",
]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", ODD_IDS, ids=[id[:30] for id in ODD_IDS])
def test_an_odd_id_is_nobodys(api: httpx.Client, method: str, id: str) -> None:
    answer = api.request(method, f"/v2/pals/{id}", json=[] if method == "PATCH" else None)
    assert answer.status_code in (400, 404)
    refused(answer, answer.status_code)
    if "%2F" not in id.upper():
        refused(answer, 400, "Invalid pal_id")


def test_an_id_cannot_write_a_line_of_its_own_into_the_log(palace: Palace, api: httpx.Client) -> None:
    api.get("/v2/pals/x%0Aforged%20line%0D%0Aforged%20too%1B%5B31m")
    log = palace.log.read_bytes()
    assert b"\nforged" not in log
    assert b"\x1b" not in log


UNKNOWN_PATHS = [
    "/",
    "/v2",
    "/v1/pals",
    "/v2/nothing",
    "/v2/pals/pcb7a34da5fe/nothing",
    "/V2/pals",
    "/v2//pals",
    "/static",
]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_unknown_path_is_404(api: httpx.Client, path: str, method: str) -> None:
    refused(api.request(method, path), 404)


@pytest.mark.parametrize("path", ["/static/no", "/static/swagger-ui", "/static/%00", "/static/" + "x" * 300])
def test_an_unknown_static_file_is_404_and_none_can_be_posted(api: httpx.Client, path: str) -> None:
    refused(api.get(path), 404)
    assert api.post(path).status_code in (404, 405)


WRONG_METHODS: list[Any] = [
    pytest.param("PUT", "/v2/pals", {"GET", "POST"}, id="PUT on the collection"),
    pytest.param("DELETE", "/v2/pals/", {"GET", "POST"}, id="DELETE on the collection"),
    pytest.param("POST", "/v2/personas/pb87e71797da", {"GET", "PATCH", "DELETE"}, id="POST on a persona"),
    pytest.param("PATCH", "/v2/pals/check-username", {"GET"}, id="PATCH on the check"),
    pytest.param("PUT", "/v2/faces", {"GET", "POST"}, id="PUT on the faces"),
    pytest.param("PROPFIND", "/v2/voices", {"GET"}, id="a method of another protocol"),
    pytest.param("POST", "/healthz", {"GET"}, id="POST on a page"),
]


@pytest.mark.parametrize(("method", "path", "allowed"), WRONG_METHODS)
def test_a_method_that_is_not_there_is_405_with_allow(
    api: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.request(method, path)
    refused(answer, 405)
    assert {name.strip() for name in answer.headers["allow"].split(",")} - {"HEAD", "OPTIONS"} == allowed


@pytest.mark.parametrize("path", ["/v2/pals", "/v2/pals/pb87e71797da", "/healthz", "/openapi.json"])
def test_head_is_get_without_the_body(api: httpx.Client, path: str) -> None:
    get, head = api.get(path), api.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert api.head("/v2/pals/nobody").status_code == 400


ODD_QUERIES = [
    "?",
    "??",
    "&&&",
    "?a&a&a",
    "?%",
    "?%FF=%00",
    "?" + "a=1&" * 3000,
    "?limit[]=5",
    "?limit=5&limit=6",
    "?=x",
    "?page=%2B1",
]


@pytest.mark.parametrize("query", ODD_QUERIES, ids=[query[:12] for query in ODD_QUERIES])
def test_an_odd_query_is_no_bug(api: httpx.Client, query: str) -> None:
    assert api.get(f"/v2/pals{query}").status_code in (200, 400, 404)
    assert api.get(f"/v2/pals/check-username{query}&username=ok-{len(query)}").status_code in (200, 400, 404)


RAW: list[Any] = [
    pytest.param(b"GET /v2/pals/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", id="bytes in the path"),
    pytest.param(b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n", id="a broken target"),
    pytest.param(
        b"PATCH /v2/pals/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", id="length"
    ),
    pytest.param(b"PATCH /v2/pals/x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", id="a negative length"),
    pytest.param(b"PATCH /v2/pals/x HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n", id="a length in words"),
    pytest.param(b"PATCH /v2/pals/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", id="a bad chunk"),
    pytest.param(b"\x00\x01\x02\r\n\r\n", id="no HTTP at all"),
]


@pytest.mark.parametrize("request_bytes", RAW)
def test_broken_http_is_the_clients_mistake(palace: Palace, api: httpx.Client, request_bytes: bytes) -> None:
    host, _, port = palace.url.removeprefix("http://").partition(":")
    with_key = request_bytes.replace(b"Host: a", b"Connection: close\r\nx-api-key: " + KEY.encode() + b"\r\nHost: a")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(with_key)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"HTTP/1\.1 4\d\d |$", answer), answer[:200]
    assert api.get("/healthz").status_code == 200


# --- Request ids ------------------------------------------------------------------------------------------------------


def test_every_answer_has_a_request_id_of_its_own(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answers = [api.get(path) for path in ("/v2/pals", f"/v2/pals/{pal}", "/v2/nope", "/healthz", "/docs", "/llms.txt")]
    answers += [
        patch(api, pal),
        patch(api, pal, replace("/pal_name", 5)),
        api.put("/v2/pals"),
        api.delete(f"/v2/pals/{pal}"),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(answers)
    assert {answer.status_code for answer in answers} <= DOCUMENTED


@pytest.mark.parametrize("id", ["abc", "A.b_c-9", "x" * 64])
def test_a_plain_request_id_of_the_client_comes_back_and_is_logged(palace: Palace, api: httpx.Client, id: str) -> None:
    assert api.get("/v2/nope", headers={"x-request-id": id}).json()["request_id"] == id
    api.get("/healthz")  # A line is written when its answer is on its way, and so before the next request is read.
    assert f"request_id={id}" in palace.log.read_text()


@pytest.mark.parametrize("id", ["", "a b", "x" * 65, 'a"b', "ä", "<script>", "a;b"])
def test_an_odd_request_id_of_the_client_is_replaced(api: httpx.Client, id: str) -> None:
    answer = api.get("/v2/pals", headers={b"x-request-id": id.encode()})
    assert re.fullmatch(r"r-[0-9a-f]{12}", answer.headers["x-request-id"])


def test_a_request_to_change_to_another_protocol_is_answered_as_any_other(palace: Palace, api: httpx.Client) -> None:
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    logged = len(palace.log.read_text())
    assert api.get("/v2/pals", headers=headers).status_code == 200
    assert "Traceback" not in palace.log.read_text()[logged:]
