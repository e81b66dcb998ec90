"""Fetching from outside, against real servers: what comes, what is refused, and that nothing leads inwards.

127.0.0.2 plays the part of the internet (it is the only address allowed), 127.0.0.1 that of the network within.
"""

import asyncio
import gzip
import io
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import cycle

import pytest

from palace.addresses import parse_networks
from palace.fetching import Bounds, Fetcher, FetchFailed, FetchRefused, fetch, problem_with_url
from tests.ports import kept_port
from tests.sites import Handler, Site, site

OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
ALLOWED = parse_networks(f"{OUTSIDE}/32")
BOUNDS = Bounds(most_bytes=100_000, seconds=5)
NO_ADDRESS = "pictures.example has no public address."
LEADS_INWARDS = "The redirect of pictures.example leads to an address that this server does not fetch from."


@pytest.fixture
def outside() -> Iterator[Site]:
    with kept_port() as port, site(OUTSIDE, port) as running:
        running.pages["/hello"] = (200, {"content-type": "text/plain"}, b"hello")
        yield running


@pytest.fixture
def inside(outside: Site) -> Iterator[Site]:
    """A server within, on the very port of the one outside."""
    with site(INSIDE, outside.port) as running:
        running.pages["/hello"] = (200, {"content-type": "text/plain"}, b"a secret")
        yield running


class Names:
    """A resolver whose answers take turns; what it was asked is remembered."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = cycle(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return next(self.answers)


def fetched(url: str, bounds: Bounds = BOUNDS, names: Names | None = None) -> bytes:
    into = io.BytesIO()
    done = asyncio.run(fetch(url, bounds, into, Fetcher(ALLOWED, names or Names([OUTSIDE]))))
    assert done.size == len(into.getvalue())
    return into.getvalue()


def refused(url: str, bounds: Bounds = BOUNDS, names: Names | None = None) -> str:
    with pytest.raises(FetchRefused) as caught:
        fetched(url, bounds, names)
    assert not caught.value.is_temporary
    return caught.value.text


def failed(url: str, bounds: Bounds = BOUNDS, names: Names | None = None) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetched(url, bounds, names)
    return caught.value


# --- What comes -------------------------------------------------------------------------------------------------------


def test_what_is_public_comes(outside: Site) -> None:
    names = Names([OUTSIDE])
    assert fetched(outside.url("/hello"), names=names) == b"hello"
    assert names.asked == ["pictures.example"]
    [headers] = [{name.lower(): value for name, value in asked.items()} for asked in outside.headers]
    assert headers["host"] == f"pictures.example:{outside.port}"
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_the_next_address_is_tried_when_one_does_not_answer(outside: Site) -> None:
    allowed = parse_networks("127.0.0.2/31")
    into = io.BytesIO()
    asyncio.run(fetch(outside.url("/hello"), BOUNDS, into, Fetcher(allowed, Names(["127.0.0.3", OUTSIDE]))))
    assert into.getvalue() == b"hello"


def test_redirects_are_followed(outside: Site) -> None:
    outside.pages["/a"] = (302, {"location": "/b?x=1#part"}, b"")
    outside.pages["/b?x=1"] = (307, {"location": f"//other.example:{outside.port}/hello"}, b"")
    assert fetched(outside.url("/a")) == b"hello"
    assert outside.asked == ["/a", "/b?x=1", "/hello"]


def test_an_answer_may_be_packed_though_that_was_not_asked_for(outside: Site) -> None:
    outside.pages["/packed"] = (200, {"content-encoding": "gzip"}, gzip.compress(b"hello" * 1000))
    assert fetched(outside.url("/packed")) == b"hello" * 1000


def test_no_cookie_is_kept(outside: Site) -> None:
    outside.pages["/a"] = (302, {"location": "/hello", "set-cookie": "a=b"}, b"")
    fetched(outside.url("/a"))
    assert not any("cookie" in name.lower() for headers in outside.headers for name in headers)


def test_proxies_of_the_environment_are_not_used(outside: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{INSIDE}:9")
    assert fetched(outside.url("/hello")) == b"hello"


# --- Nothing leads inwards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("2130706433", id="decimal"),
        pytest.param("0x7f000001", id="hexadecimal"),
        pytest.param("0177.0.0.1", id="octal"),
        pytest.param("127.1", id="short"),
        pytest.param("[::1]", id="IPv6"),
        pytest.param("[::ffff:127.0.0.1]", id="IPv4-mapped"),
        pytest.param("[64:ff9b::7f00:1]", id="NAT64"),
        pytest.param("[2002:7f00:1::]", id="6to4"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("169.254.169.254", id="metadata"),
    ],
)
def test_an_address_within_is_refused_in_every_spelling(outside: Site, inside: Site, host: str) -> None:
    names = Names([INSIDE])
    said = refused(inside.url("/hello", host), names=names)
    assert said in (
        "Must not lead to a private address: this server fetches from public ones only.",
        "Not a valid URL.",
    )
    assert names.asked == inside.asked == []


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([INSIDE], id="loopback"),
        pytest.param(["::1"], id="IPv6 loopback"),
        pytest.param([f"::ffff:{INSIDE}"], id="IPv4-mapped"),
        pytest.param(["10.0.0.1"], id="private"),
        pytest.param(["169.254.169.254"], id="metadata"),
        pytest.param(["fd00:ec2::254"], id="IPv6 metadata"),
        pytest.param(["fe80::1%1"], id="link-local with a zone"),
        pytest.param([OUTSIDE, INSIDE], id="one of two"),
        pytest.param([], id="no address"),
    ],
)
def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(
    outside: Site, inside: Site, found: list[str]
) -> None:
    assert refused(outside.url("/hello"), names=Names(found)) == NO_ADDRESS
    assert outside.asked == inside.asked == []


def test_a_name_that_changes_its_mind_is_asked_only_once(outside: Site, inside: Site) -> None:
    names = Names([OUTSIDE], [INSIDE])
    assert fetched(outside.url("/hello"), names=names) == b"hello"
    assert (names.asked, inside.asked) == (["pictures.example"], [])


def test_a_name_that_changes_its_mind_before_a_redirect_is_judged_again(outside: Site, inside: Site) -> None:
    outside.pages["/a"] = (302, {"location": "/hello"}, b"")
    names = Names([OUTSIDE], [INSIDE])
    assert refused(outside.url("/a"), names=names) == "The redirect of pictures.example has no public address."
    assert (outside.asked, inside.asked) == (["/a"], [])


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://{inside}:{port}/hello", id="an address within"),
        pytest.param("http://2130706433:{port}/hello", id="decimal"),
        pytest.param("http://[::ffff:127.0.0.1]:{port}/hello", id="IPv4-mapped"),
        pytest.param("//169.254.169.254/latest/meta-data", id="metadata without a scheme"),
        pytest.param("http://user:password@pictures.example:{port}/hello", id="with a password"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("gopher://127.0.0.1:{port}/_hello", id="another scheme"),
    ],
)
def test_a_redirect_that_leads_inwards_is_refused(outside: Site, inside: Site, location: str) -> None:
    target = location.format(inside=INSIDE, port=outside.port)
    outside.pages["/a"] = (302, {"location": target}, b"")
    assert refused(outside.url("/a")) == LEADS_INWARDS
    assert inside.asked == []


def test_a_redirect_to_localhost_is_refused(outside: Site, inside: Site) -> None:
    outside.pages["/a"] = (302, {"location": f"http://localhost:{outside.port}/hello"}, b"")
    said = refused(outside.url("/a"), names=Names([OUTSIDE], [INSIDE]))
    assert said == "The redirect of pictures.example has no public address."
    assert inside.asked == []


@pytest.mark.parametrize("location", ["http:////[pictures]/a", "http://[::1/a", "http://pictures.example:port/a"])
def test_a_redirect_that_is_no_url_is_refused(outside: Site, location: str) -> None:
    outside.pages["/a"] = (302, {"location": location}, b"")
    assert refused(outside.url("/a")) == "pictures.example sends a redirect that is no URL."


def test_a_chain_of_redirects_ends(outside: Site) -> None:
    outside.pages["/a"] = (301, {"location": "/a"}, b"")
    said = refused(outside.url("/a"))
    assert said == "The redirect of pictures.example leads on after 5 redirects."
    assert len(outside.asked) == 6


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("ftp://pictures.example/a", "Must be an http or https URL.", id="another scheme"),
        pytest.param("file:///etc/passwd", "Must be an http or https URL.", id="a file"),
        pytest.param("pictures.example/a", "Must be an http or https URL.", id="no scheme"),
        pytest.param("http:///a", "Not a valid URL.", id="no host"),
        pytest.param("http://a b/", "Not a valid URL.", id="a blank"),
        pytest.param("http://pictures.example\\@127.0.0.1/", "Not a valid URL.", id="a backslash"),
        pytest.param("http://pictures.example/\r\nhost: x", "Not a valid URL.", id="a line end"),
        pytest.param("http://ⓛocalhost/", "Not a valid URL.", id="a circled letter"),
        pytest.param("http://[::1", "Not a valid URL.", id="half a bracket"),
        pytest.param("http://pictures.example:99999/", "Not a valid URL.", id="no port"),
        pytest.param("http://u:p@pictures.example/", "Must not have a user name or a password in it.", id="password"),
        pytest.param("http://u@127.0.0.1/", "Must not have a user name or a password in it.", id="user name"),
        pytest.param("http://pictures.example/" + "a" * 2048, "Not a valid URL.", id="too long"),
    ],
)
def test_a_url_that_cannot_be_fetched_is_told(url: str, problem: str) -> None:
    assert problem_with_url(url) == problem
    assert refused(url) == problem


def test_plain_http_can_be_refused(outside: Site) -> None:
    assert refused(outside.url("/hello"), Bounds(1000, 5, https_only=True)) == "Must be an https URL."


# --- Limits -----------------------------------------------------------------------------------------------------------


def endless(handler: Handler) -> None:
    handler.begin(200, {"content-type": "text/plain"})
    while True:
        handler.wfile.write(b"a" * 10_000)


def drop_by_drop(handler: Handler) -> None:
    handler.begin(200, {"content-length": "1000"})
    for _ in range(1000):
        handler.wfile.write(b"a")
        time.sleep(0.05)


def cut_off(handler: Handler) -> None:
    handler.begin(200, {"content-length": "1000"})
    handler.wfile.write(b"a")


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        pytest.param((200, {"content-length": "100001"}, b""), "sent more than 100000 bytes.", id="announced"),
        pytest.param(endless, "sent more than 100000 bytes.", id="endless"),
        pytest.param(
            (200, {"content-encoding": "gzip"}, gzip.compress(bytes(50_000_000))),
            "sent more than 100000 bytes.",
            id="packed a thousandfold",
        ),
        pytest.param(
            (200, {"content-encoding": "br"}, b"?"), "sent a content-encoding that was not asked for.", id="brotli"
        ),
        pytest.param(
            (200, {"content-encoding": "gzip, gzip"}, b"?"),
            "sent a content-encoding that was not asked for.",
            id="packed twice",
        ),
        pytest.param(
            (200, {"content-encoding": "gzip"}, b"?"), "sent content that is not gzip, as it says.", id="not gzip"
        ),
    ],
)
def test_an_answer_beyond_a_limit_is_refused(outside: Site, page: object, problem: str) -> None:
    outside.pages["/large"] = page  # type: ignore[assignment]
    assert refused(outside.url("/large")) == f"pictures.example {problem}"


def test_an_answer_as_large_as_the_limit_comes(outside: Site) -> None:
    outside.pages["/large"] = (200, {}, b"a" * 100_000)
    outside.pages["/packed"] = (200, {"content-encoding": "gzip"}, gzip.compress(b"a" * 100_000))
    assert len(fetched(outside.url("/large"))) == len(fetched(outside.url("/packed"))) == 100_000


def test_another_media_type_is_refused(outside: Site) -> None:
    said = refused(outside.url("/hello"), Bounds(1000, 5, ("image/png", "image/jpeg")))
    assert said == "pictures.example sent another media type than one of: image/png, image/jpeg."
    assert fetched(outside.url("/hello"), Bounds(1000, 5, ("text/plain",))) == b"hello"


def test_a_slow_server_is_given_up(outside: Site) -> None:
    outside.pages["/slow"] = drop_by_drop
    began = time.monotonic()
    error = failed(outside.url("/slow"), Bounds(1000, 0.5))
    assert time.monotonic() - began < 2
    assert (error.text, error.is_temporary) == ("pictures.example took longer than 0.5 seconds.", True)


@pytest.mark.parametrize(
    ("status", "is_temporary"),
    [(404, False), (403, False), (206, False), (304, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_a_failure_tells_whether_another_try_makes_sense(outside: Site, status: int, is_temporary: bool) -> None:
    outside.pages["/a"] = (status, {}, b"the reason")
    error = failed(outside.url("/a"))
    assert (error.text, error.is_temporary) == (f"pictures.example answered {status}.", is_temporary)


def test_a_connection_that_breaks_may_be_tried_again(outside: Site) -> None:
    outside.pages["/cut"] = cut_off
    error = failed(outside.url("/cut"))
    assert (error.text, error.is_temporary) == ("pictures.example broke off, or did not speak HTTP.", True)
    assert failed("http://pictures.example:1/").is_temporary


def test_the_system_finds_no_address_for_a_name_that_cannot_exist() -> None:
    with pytest.raises(FetchFailed) as caught:
        asyncio.run(fetch("http://no-such-name.invalid/", BOUNDS, io.BytesIO(), Fetcher()))
    assert "no-such-name.invalid" in caught.value.text


def test_the_table_of_addresses_is_about_the_address_that_is_allowed() -> None:
    assert ip_address(OUTSIDE) in ALLOWED[0]
    assert ip_address(INSIDE) not in ALLOWED[0]
