"""Who sends: every kind of auth as a server sees it; and that no secret is seen by anybody else."""

import hashlib
import hmac
import json
import logging
import traceback
from base64 import b64encode
from dataclasses import asdict
from typing import Any

import pytest
from structlog.testing import capture_logs

from palace.fetching import Request
from palace.tool_delivery import Delivered
from palace.tool_delivery.outcomes import MOST_BYTES
from palace.tool_delivery.proofs import proven, secrets_of, without_secrets
from tests.api.test_fetching import Names
from tests.tool_delivery.tool_server import OK, ToolServer, cut_off, echo

SECRET = 'sesame/open "ü" +1'
QUOTED = "sesame%2Fopen%20%22%C3%BC%22%20%2B1"
LATIN = SECRET.encode().decode("latin-1")
"""as Python's server reads the bytes of a header"""


def seen(server: ToolServer, auth: dict[str, Any], **api: Any) -> tuple[dict[str, str], str]:
    """The headers and the path that the tool's server is asked with."""
    assert server.deliver(server.tool(auth=auth, **api), {"a": 1}).status == "success"
    return server.asked[0].headers, server.asked[0].path


def test_without_auth_nothing_is_shown(server: ToolServer) -> None:
    headers, _ = seen(server, {"type": "none"})
    assert set(headers) == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
    }


def test_bearer(server: ToolServer) -> None:
    assert seen(server, {"type": "bearer", "token": SECRET})[0]["authorization"] == f"Bearer {LATIN}"


def test_basic(server: ToolServer) -> None:
    headers, _ = seen(server, {"type": "basic", "username": "ann", "password": SECRET})
    assert headers["authorization"] == "Basic " + b64encode(f"ann:{SECRET}".encode()).decode()


def test_an_api_key_in_a_header(server: ToolServer) -> None:
    headers, _ = seen(server, {"type": "api_key", "name": "X-Key", "value": SECRET, "location": "header"})
    assert headers["x-key"] == LATIN


@pytest.mark.parametrize(
    ("path", "method", "query"),
    [
        ("/rate", "POST", f"?api_key={QUOTED}"),
        ("/rate?v=1", "POST", f"?v=1&api_key={QUOTED}"),
        ("/rate?v=1&api_key=other", "POST", f"?v=1&api_key={QUOTED}"),
        ("/rate", "GET", f"?a=1&api_key={QUOTED}"),
    ],
)
def test_an_api_key_in_the_query(server: ToolServer, path: str, method: str, query: str) -> None:
    auth = {"type": "api_key", "name": "api_key", "value": SECRET, "location": "query"}
    server.deliver(server.tool(path, auth=auth, method=method), {"a": 1})
    assert server.asked[0].path == f"/rate{query}"


def test_no_argument_stands_for_the_api_key(server: ToolServer) -> None:
    auth = {"type": "api_key", "name": "api key", "value": "the key", "location": "query"}
    server.deliver(server.tool(auth=auth, method="GET"), {"api key": ["mine", "mine too"], "a": 1})
    assert server.asked[0].path == "/rate?a=1&api%20key=the%20key"


def test_the_auth_counts_more_than_a_header_of_the_tool(server: ToolServer) -> None:
    headers, _ = seen(server, {"type": "bearer", "token": "right"}, headers={"Authorization": "wrong"})
    assert headers["authorization"] == "Bearer right"


def test_a_request_that_is_sent_again_is_proven_once() -> None:
    auth, request = {"type": "bearer", "token": "right"}, Request("GET", "https://tools.example/", (("a", "b"),))
    once = proven(request, auth)
    assert once.headers == (("a", "b"), ("authorization", "Bearer right"))
    assert proven(once, auth) == once
    query = {"type": "api_key", "name": "key", "value": "right", "location": "query"}
    assert proven(proven(request, query), query).url == "https://tools.example/?key=right"


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_a_signature_is_over_the_bytes_of_the_body(server: ToolServer, method: str) -> None:
    headers, _ = seen(server, {"type": "hmac", "secret": SECRET}, method=method)
    body = server.asked[0].body
    assert headers["x-tavus-signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    said = json.loads(body)
    assert list(said) == sorted(said) == ["arguments", "conversation_id", "name", "tool_call_id"]
    assert (said["name"], json.loads(said["arguments"])) == ("room_rate", {"a": 1})
    assert (said["conversation_id"], said["tool_call_id"]) == ("c0123456789abcdef", "call_1")


# --- No secret is seen ------------------------------------------------------------------------------------------------

AUTHS: dict[str, dict[str, Any]] = {
    "bearer": {"type": "bearer", "token": SECRET},
    "basic": {"type": "basic", "username": "ann", "password": SECRET},
    "header": {"type": "api_key", "name": "X-Whatever", "value": SECRET, "location": "header"},
    "query": {"type": "api_key", "name": "whatever", "value": SECRET, "location": "query"},
    "hmac": {"type": "hmac", "secret": SECRET},
}
FORMS = (SECRET, QUOTED, json.dumps(SECRET)[1:-1], LATIN, json.dumps(LATIN)[1:-1], "sesame")
CREDENTIALS = b64encode(f"ann:{SECRET}".encode()).decode()


def everything_said(done: Delivered, logged: list[Any], records: list[logging.LogRecord]) -> str:
    return (
        json.dumps(asdict(done)) + repr(done) + json.dumps(logged) + "".join(map(logging.LogRecord.getMessage, records))
    )


@pytest.mark.parametrize("kind", AUTHS)
@pytest.mark.parametrize("way", ["echoed", "failed", "broken off", "missing", "refused", "unreachable"])
def test_no_secret_is_in_results_records_and_logs(
    server: ToolServer, kind: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tool = server.tool("/{gone}" if way == "missing" else "/rate", auth=AUTHS[kind])
    server.answers[:] = {"echoed": [echo], "broken off": [cut_off]}.get(way, [OK])
    if way == "failed":
        server.answers[:] = [(400, {}, json.dumps(secrets_of(AUTHS[kind])).encode())]
    if way == "refused":
        server.names = Names([])
    if way == "unreachable":
        tool["delivery"]["api"]["url"] = "https://tools.example:1/"
    with capture_logs() as logged:
        done = server.deliver(tool, {"a": 1})
    assert (done.status == "success") == (way == "echoed")
    said = everything_said(done, logged, caplog.records)
    assert [form for form in (*FORMS, CREDENTIALS) if form in said] == []


@pytest.mark.parametrize("kind", ["bearer", "header"])
@pytest.mark.parametrize("secret", ["sesame\r\nx-other: 1", "sesame\x00", "sesame\x7f"])
def test_a_secret_that_no_header_can_carry_is_not_shown_either(server: ToolServer, kind: str, secret: str) -> None:
    member = "token" if kind == "bearer" else "value"
    done = server.deliver(server.tool(auth={**AUTHS[kind], member: secret}), {})
    assert done.problem == "A header has characters that no header can carry."
    assert "sesame" not in repr(done)
    assert server.asked == []


def test_no_secret_is_in_an_exception_of_a_fault_of_our_own(server: ToolServer) -> None:
    with pytest.raises(AssertionError) as caught:
        server.deliver(server.tool(auth={"type": "unknown", "secret": SECRET}), {})
    assert "sesame" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("kind", "url", "header"),
    [
        ("bearer", "/rate", {"authorization": "********"}),
        ("basic", "/rate", {"authorization": "********"}),
        ("header", "/rate", {"x-whatever": "********"}),
        ("query", "/rate?whatever=********", {}),
        ("hmac", "/rate", {"x-tavus-signature": "********"}),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "xyz"])
def test_the_record_tells_that_a_secret_was_sent_and_not_which(
    server: ToolServer, kind: str, url: str, header: dict[str, str], secret: str
) -> None:
    [member] = {"token", "password", "value", "secret"} & set(AUTHS[kind])
    done = server.deliver(server.tool(auth={**AUTHS[kind], member: secret}), {})
    assert done.request["url"] == server.url(url)
    assert done.request["headers"] == {"content-type": "application/json", **header}
    assert "xyz" not in repr(done)


def test_values_whose_names_sound_secret_are_not_recorded(server: ToolServer) -> None:
    headers = {"X-Api-Key": "one", "Cookie": "two", "X-Author": "Ann", "X-Team": "red"}
    done = server.deliver(server.tool("/x?secret=three&keyword=four&access_token=five", headers=headers), {})
    assert done.request["headers"] == {
        "x-api-key": "********",
        "cookie": "********",
        "x-author": "Ann",
        "x-team": "red",
        "content-type": "application/json",
    }
    assert done.request["url"] == server.url("/x?secret=********&keyword=four&access_token=********")
    assert server.asked[0].path == "/x?secret=three&keyword=four&access_token=five"


def test_what_sounds_secret_is_masked_where_it_comes_back_and_words_are_not(server: ToolServer) -> None:
    server.answers[:] = [echo]
    headers = {
        "X-Api-Key": f"{SECRET}-1",
        "Authorization": f"Bearer {SECRET}-2",
        "X-Sort-Key": "nights",
        "X-Team": "reds",
    }
    query = {"token": f"{SECRET}-3", "key": "{nights}"}
    tool = server.tool("/x?secret=four-four-four", headers=headers, query_params=query)
    done = server.deliver(tool, {"nights": 123456789012})
    said = json.loads(done.output)
    assert (said["headers"]["x-api-key"], said["headers"]["authorization"]) == ("********", "********")
    assert (said["headers"]["x-sort-key"], said["headers"]["x-team"]) == ("nights", "reds")
    assert said["path"] == "/x?secret=********&token=********&key=123456789012"
    server.answers[:] = [(200, {}, f"{SECRET}-2".encode())]
    assert server.deliver(server.tool(headers=headers), {}).output == "********"


@pytest.mark.parametrize("cut_at", range(1, len(SECRET) + 1))
def test_the_beginning_of_a_secret_where_an_answer_was_cut_off_is_not_shown(cut_at: int) -> None:
    text = f"said: {SECRET[:cut_at]}"
    assert without_secrets(text, [SECRET], is_cut=True) == "said: ********"


def test_an_answer_that_is_cut_off_in_the_middle_of_a_secret_does_not_show_its_beginning(server: ToolServer) -> None:
    server.answers[:] = [(200, {}, b"x" * (MOST_BYTES - 5) + SECRET.encode())]
    done = server.deliver(server.tool(auth=AUTHS["bearer"]), {})
    assert done.output.startswith("x" * (MOST_BYTES - 5) + "********\n(Cut off:")


def test_a_very_short_secret_does_not_make_answers_unreadable() -> None:
    assert without_secrets("abracadabra", secrets_of({"type": "bearer", "token": "a"})) == "abracadabra"
