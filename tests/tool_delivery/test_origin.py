"""Whatever a model says, a request goes to the server that the tool's owner wrote, and no deeper or higher a path."""

from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palace.fetching import LONGEST_FILLED_URL, Request, problem_with_url
from palace.tool_delivery.placeholders import Undeliverable
from palace.tool_delivery.requests import make_request
from tests.tool_delivery.tool_server import FACTS, tool_at

TEMPLATES = [
    "https://tools.example:8443/a/{x}/b?q={y}&r=1",
    "https://tools.example:8443/{x}{y}",
    "https://tools.example:8443?{x}={y}",
    "https://tools.example:8443/p-{x}.json?{y}#{x}",
]
HOSTILE = [
    *("../", "..", "/", "//evil.example/", "@evil.example", ":80", "\\\\evil.example", "https://evil.example", "?"),
    *("#", "&admin=1", "%2e%2e%2f", "%00", "\r\nHost: evil.example\r\n", "\n", "\t", "\0", " ", "{x}", "[::1]"),
    *("{tavus_pal_id}", "\u3002\u3002/", "\uff0f", "\uff0e\uff0e", "\u202e", "\ud800", "x" * 20_000, "\u24d4vil"),
    *("%", "%zz", ";", "a;b", "\u2603"),
]
words = st.one_of(st.text(), st.sampled_from(HOSTILE), st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join))
values = st.recursive(
    st.one_of(words, st.integers(), st.booleans(), st.none(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)


def request_for(template: str, method: str, x: object, y: object, more: dict[str, object]) -> Request | None:
    try:
        return make_request(tool_at(template, method=method), {**more, "x": x, "y": y}, FACTS)
    except Undeliverable:
        return None


@given(st.sampled_from(TEMPLATES), st.sampled_from(["GET", "POST"]), values, values, st.dictionaries(words, values))
@settings(max_examples=300)
def test_no_argument_changes_where_a_request_goes(
    template: str, method: str, x: object, y: object, more: dict[str, object]
) -> None:
    request = request_for(template, method, x, y, more)
    if request is None:
        return
    url = httpx.URL(request.url)
    assert (url.scheme, url.raw_host, url.port, url.userinfo) == ("https", b"tools.example", 8443, b"")
    assert (request.method, url.fragment) == (method, "")
    assert problem_with_url(request.url, https_only=True, longest=LONGEST_FILLED_URL) is None
    path = url.raw_path.partition(b"?")[0].decode()
    assert path.count("/") == max(template.partition("?")[0].count("/") - 2, 1)
    assert not {".", ".."} & set(unquote(path).split("/"))
    assert path == "/" or "" not in path.split("/")[1:]
    assert all("\n" not in text and "\r" not in text for header in request.headers for text in header)


@given(words, words)
@settings(max_examples=300)
def test_what_is_sent_in_a_query_is_what_was_given(x: str, y: str) -> None:
    request = request_for("https://tools.example:8443/a?q={x}", "GET", x, y, {})
    if request is not None:
        query = httpx.URL(request.url).query.decode()
        assert parse_qsl(query, keep_blank_values=True) == [("q", x), ("y", y)]


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_hostile_is_encoded_or_refused(value: str) -> None:
    request = request_for(TEMPLATES[0], "POST", value, value, {})
    assert request is None or request.url.startswith("https://tools.example:8443/a/")
