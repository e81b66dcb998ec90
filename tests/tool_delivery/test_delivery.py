"""Calls carried out against a real HTTPS server: what it is asked, what becomes of its answer."""

import asyncio
import gzip
import ssl
import time
from pathlib import Path

import pytest

from palace import fetching
from palace.clock import Clock
from palace.tool_delivery import Tokens, deliver
from tests.api.test_fetching import INSIDE, Names
from tests.tool_delivery.tool_server import (
    FACTS,
    HOST,
    OK,
    Asked,
    Handler,
    ToolServer,
    cut_off,
    silent,
    tool_at,
    tool_server,
)

ARGUMENTS = {"nights": 3}


def test_a_call_is_sent_and_its_answer_is_the_result(server: ToolServer) -> None:
    done = server.deliver(server.tool("/rate/{nights}"), ARGUMENTS)
    assert (done.status, done.output, done.response_status, done.attempts) == ("success", '{"price": 90}', 200, 1)
    assert done.problem is None
    assert 0 < done.ms < 5000
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/rate/3", b'{"nights":3}')
    assert asked.headers["host"] == f"{HOST}:{server.port}"
    assert asked.headers["user-agent"].startswith("palace/")
    assert done.request == {
        "method": "POST",
        "url": server.url("/rate/3"),
        "headers": {"content-type": "application/json"},
        "body": '{"nights":3}',
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_every_method_is_sent_as_it_is(server: ToolServer, method: str) -> None:
    done = server.deliver(server.tool(method=method), ARGUMENTS)
    assert (done.status, server.asked[0].method) == ("success", method)
    assert done.output == ("" if method == "HEAD" else '{"price": 90}')


# --- Outcomes ---------------------------------------------------------------------------------------------------------

HMAC = {"type": "hmac", "secret": "the secret of the tool"}


@pytest.mark.parametrize(
    ("auth", "statuses", "success", "attempts"),
    [
        (None, [200], True, 1),
        (None, [201], True, 1),
        (None, [204], True, 1),
        (None, [500, 200], True, 2),
        (None, [501, 200], True, 2),
        (None, [502, 200], True, 2),
        (None, [503, 200], True, 2),
        (None, [504, 200], True, 2),
        (None, [500, 500, 200], False, 2),
        (None, [400, 200], False, 1),
        (None, [401, 200], False, 1),
        (None, [404, 200], False, 1),
        (None, [429, 200], False, 1),
        (None, [304, 200], False, 1),
        (HMAC, [500, 200], True, 2),
        (HMAC, [502, 200], True, 2),
        (HMAC, [504, 200], True, 2),
        (HMAC, [501, 200], False, 1),
        (HMAC, [503, 200], False, 1),
        (HMAC, [401, 200], False, 1),
    ],
)
def test_statuses_are_results_failures_or_tried_once_more(
    server: ToolServer, auth: dict[str, str] | None, statuses: list[int], success: bool, attempts: int
) -> None:
    server.answers[:] = [(status, {}, b"") for status in statuses]
    done = server.deliver(server.tool(auth=auth), ARGUMENTS)
    assert (done.status == "success", done.attempts, len(server.asked)) == (success, attempts, attempts)
    assert done.response_status == statuses[attempts - 1]
    assert len({(asked.path, asked.body) for asked in server.asked}) == 1


def test_a_failure_tells_the_model_what_the_server_said_and_the_owner_the_status(server: ToolServer) -> None:
    server.answers[:] = [(422, {}, b'{"error": "nights must be 1 to 14"}')]
    done = server.deliver(server.tool(), ARGUMENTS)
    assert done.output == (
        'The tool failed: its server answered 422 Unprocessable Entity. {"error": "nights must be 1 to 14"}'
    )
    assert done.problem == "The server answered 422 Unprocessable Entity."


def test_a_long_failure_is_cut(server: ToolServer) -> None:
    server.answers[:] = [(599, {}, b"x" * 50_000)]
    done = server.deliver(server.tool(), ARGUMENTS)
    assert done.output.startswith("The tool failed: its server answered 599. xxx")
    assert len(done.output) < 2100


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server: ToolServer, status: int) -> None:
    server.answers[:] = [(status, {"location": server.url("/elsewhere")}, b"")]
    done = server.deliver(server.tool(), ARGUMENTS)
    assert (done.status, done.attempts, len(server.asked)) == ("error", 1, 1)
    assert done.output.endswith("Redirects are not followed.")


def test_a_slow_server_is_given_up_after_the_timeout(server: ToolServer) -> None:
    server.answers[:] = [silent]
    done = server.deliver(server.tool(timeout=0.3), ARGUMENTS)
    assert (done.status, done.attempts, done.response_status) == ("error", 1, None)
    assert done.output == "The tool failed: its server took too long."
    assert done.problem == "The server took longer than 0.3 seconds."
    assert 250 < done.ms < 15_000


def test_the_timeout_is_for_both_tries_together(server: ToolServer) -> None:
    def fail(handler: Handler, _asked: Asked) -> None:
        server.caller.skip(60)
        handler.send_response(500)
        handler.send_header("content-length", "0")
        handler.end_headers()

    def hang(handler: Handler, asked: Asked) -> None:
        server.caller.skip(60)
        silent(handler, asked)

    server.answers[:] = [fail, hang]
    done = server.deliver(server.tool(timeout=100), ARGUMENTS)
    assert (done.status, done.attempts, done.response_status) == ("error", 2, None), "of the last try"
    assert done.problem == "The server took longer than 100 seconds."


def test_a_server_may_be_silent_for_as_long_as_the_timeout_says(
    server: ToolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetching.WAITS, "read", 0.1)  # What downloads have.

    def think(handler: Handler, asked: Asked) -> None:
        time.sleep(0.4)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")

    server.answers[:] = [think]
    assert server.deliver(server.tool(), ARGUMENTS).output == "done"


def test_an_answer_that_breaks_off_is_a_failure_and_not_sent_again(server: ToolServer) -> None:
    server.answers[:] = [cut_off, OK]
    done = server.deliver(server.tool(), ARGUMENTS)
    assert (done.status, done.attempts) == ("error", 1)
    assert done.output == "The tool failed: its server broke off."
    assert done.problem == f"{HOST} broke off, or did not speak HTTP."


def test_a_server_that_is_not_there_is_tried_twice(server: ToolServer) -> None:
    done = server.deliver(tool_at(f"https://{HOST}:1/"), ARGUMENTS)
    assert (done.status, done.attempts, done.response_status) == ("error", 2, None)
    assert done.output == "The tool failed: its server could not be reached."
    assert done.problem == f"{HOST} could not be reached."


def test_nothing_is_sent_when_an_argument_is_missing(server: ToolServer) -> None:
    done = server.deliver(server.tool("/rate/{nights}"), {})
    assert (done.status, done.attempts, server.asked) == ("error", 0, [])
    assert done.output == done.problem == "The tool was not called. It needs these arguments: nights."
    assert done.request["url"] == server.url("/rate/{nights}")


# --- Content ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "output"),
    [
        pytest.param({}, b"plain", "plain", id="no media type"),
        pytest.param({"content-type": "text/plain; charset=iso-8859-1"}, b"K\xf6ln", "Köln", id="latin-1"),
        pytest.param({"content-type": 'text/html; charset="UTF-8"'}, "Köln".encode(), "Köln", id="quoted charset"),
        pytest.param({"content-type": "text/plain; charset=utf-16"}, "ö".encode("utf-16"), "ö", id="utf-16"),
        pytest.param({"content-type": "text/plain; charset=punycode"}, b"ab-", "ab-", id="a charset that is not read"),
        pytest.param({"content-type": "application/hal+json"}, b"{}", "{}", id="a kind of JSON"),
        pytest.param({}, b"a\xff\x00b", "a\ufffd\ufffdb", id="what is no text"),
        pytest.param({"content-type": "image/png"}, b"\x89PNG", "(The answer is 4 bytes that are no text.)"),
        pytest.param({"content-encoding": "gzip"}, gzip.compress(b"packed"), "packed", id="packed"),
        pytest.param({}, b"", "", id="nothing"),
    ],
)
def test_the_content_of_an_answer_is_read_as_text(
    server: ToolServer, headers: dict[str, str], body: bytes, output: str
) -> None:
    server.answers[:] = [(200, headers, body)]
    assert server.deliver(server.tool(), ARGUMENTS).output == output


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_very_long_answer_is_cut_off_with_a_note(server: ToolServer, encoding: str) -> None:
    whole = b"x" * 5_000_000
    body = gzip.compress(whole) if encoding == "gzip" else whole
    server.answers[:] = [(200, {"content-encoding": encoding}, body)]
    done = server.deliver(server.tool(), ARGUMENTS)
    assert done.status == "success"
    assert done.output == "x" * 262_144 + "\n(Cut off: the answer has more than 262144 bytes.)"


def test_content_that_is_packed_in_another_way_is_a_failure(server: ToolServer) -> None:
    server.answers[:] = [(200, {"content-encoding": "br"}, b"?")]
    assert server.deliver(server.tool(), ARGUMENTS).status == "error"


# --- Where it may go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "https://[::1]:{port}/",
        "https://2130706433:{port}/",
        "https://0x7f.1:{port}/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1:{port}/",
        "https://user@tools.example:{port}/",
        "http://tools.example:{port}/",
    ],
)
def test_no_call_goes_to_an_address_within_or_without_tls(server: ToolServer, url: str) -> None:
    done = server.deliver(tool_at(url.format(port=server.port)), ARGUMENTS)
    assert (done.status, done.response_status, server.asked, server.names.asked) == ("error", None, [], [])
    assert done.output == "The tool failed: its server must not be called, or sent what cannot be read."


@pytest.mark.parametrize("found", [[INSIDE], ["::1"], ["169.254.169.254"], ["127.0.0.2", INSIDE], []])
def test_a_name_that_leads_within_is_refused(server: ToolServer, found: list[str]) -> None:
    server.names = Names(found)
    done = server.deliver(server.tool(), ARGUMENTS)
    assert (done.problem, done.attempts, server.asked) == (f"{HOST} has no public address.", 1, [])


def test_a_name_that_changes_its_mind_changes_nothing(pem: Path, server: ToolServer) -> None:
    with tool_server(pem, INSIDE, server.port) as inside:
        server.names = Names(["127.0.0.2"], [INSIDE])
        assert server.deliver(server.tool(), ARGUMENTS).status == "success"
        assert (server.names.asked, inside.asked) == ([HOST], [])


def test_a_certificate_of_another_name_is_refused(server: ToolServer) -> None:
    done = server.deliver(tool_at(server.url(host="other.example")), ARGUMENTS)
    assert (done.problem, server.asked) == ("other.example could not be reached.", [])


def test_a_certificate_that_nobody_trusts_is_refused(server: ToolServer) -> None:
    server.trust = ssl.create_default_context()
    assert server.deliver(server.tool(), ARGUMENTS).status == "error"
    assert server.asked == []


def test_a_call_that_is_called_off_ends_at_once(server: ToolServer) -> None:
    async def called_off() -> None:
        clock = Clock()
        call = deliver(server.tool(timeout=60), ARGUMENTS, FACTS, server.fetcher(), clock, Tokens(clock))
        await asyncio.wait_for(call, 0.2)

    server.answers[:] = [silent]
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(called_off())
    assert time.monotonic() - began < 15
