"""The address of a PAL's own model leads outwards only; that of the operator's leads where the operator says.

127.0.0.2 plays the part of the internet (it is the only address allowed), 127.0.0.1 that of the network within.
"""

import ssl
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import pytest

from palace.addresses import parse_networks
from palace.engines.base import Means
from palace.engines.openai_compatible import Endpoint, OpenAiCompatible
from palace.fetching import Fetcher
from tests.api.test_fetching_tls import certificate
from tests.engines.asking import ask, down, heard
from tests.engines.model_server import Doing, ModelServer, serve_model

OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
ALLOWED = parse_networks(f"{OUTSIDE}/32")
SHOWN = "The model gpt"


@pytest.fixture
def outside() -> Iterator[ModelServer]:
    with serve_model(OUTSIDE) as running:
        yield running


@pytest.fixture
def inside() -> Iterator[ModelServer]:
    with serve_model(INSIDE) as running:
        yield running


def guarded(url: str, *answers: Sequence[str], trusted: ssl.SSLContext | None = None) -> OpenAiCompatible:
    """A PAL's own model; names have these addresses, one answer after another."""
    taking_turns = cycle(answers or [[OUTSIDE]])

    async def resolve(_host: str) -> Sequence[str]:
        return next(taking_turns)

    async def no_wait(_seconds: float) -> None:
        pass

    endpoint = Endpoint(SHOWN, url, "gpt", "sk-secret", is_guarded=True)
    fetcher = Fetcher(ALLOWED, resolve, lambda: trusted) if trusted else Fetcher(ALLOWED, resolve)
    return OpenAiCompatible(endpoint, Means(fetcher, sleep=no_wait))


def named(server: ModelServer, name: str) -> str:
    return server.url.replace(OUTSIDE, name).replace(INSIDE, name)


def test_a_name_that_leads_outwards_is_asked_by_that_name(outside: ModelServer) -> None:
    assert heard(guarded(named(outside, "models.example"))).text == "Hello."
    assert outside.asked[0].headers["host"].startswith("models.example:")


@pytest.mark.parametrize("addresses", [[INSIDE], [OUTSIDE, INSIDE], ["169.254.169.254"], ["::1"], []])
def test_a_name_that_leads_inwards_is_not_asked(inside: ModelServer, addresses: list[str]) -> None:
    problem = down(guarded(named(inside, "models.example"), addresses))
    assert problem.reason == "unreachable"
    assert problem.text == f"{SHOWN} cannot be reached. models.example has no public address."
    assert inside.connections == 0


def test_a_name_that_changes_its_mind_is_judged_at_every_connection(inside: ModelServer, outside: ModelServer) -> None:
    outside.answer("Hello.", cut_after=1)
    problem = down(guarded(named(outside, "models.example"), [OUTSIDE], [INSIDE]))
    assert problem.text == f"{SHOWN} cannot be reached. models.example has no public address."
    assert (outside.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:8000/v1", "Must not lead to a private address: this server fetches from public ones only."),
        ("http://[::1]/v1", "Must not lead to a private address: this server fetches from public ones only."),
        ("http://2130706433/v1", "Must not lead to a private address: this server fetches from public ones only."),
        ("http://metadata.internal:x/v1", "Not a valid URL."),
        ("file:///etc/passwd", "Must be an http or https URL."),
        ("http://user:pass@models.example/v1", "Must not have a user name or a password in it."),
        ("models.example/v1", "Must be an http or https URL."),
    ],
)
def test_a_base_url_that_cannot_lead_outwards_is_told(url: str, problem: str) -> None:
    found = down(guarded(url))
    assert (found.reason, found.text) == ("unreachable", f"{SHOWN} cannot be asked. base_url: {problem}")


def test_a_redirect_is_not_followed(inside: ModelServer, outside: ModelServer) -> None:
    outside.do(Doing(status=308, headers={"location": inside.url + "/chat/completions"}))
    assert down(guarded(named(outside, "models.example"))).text == f"{SHOWN} answered 308."
    assert inside.connections == 0


def test_the_model_of_the_operator_may_be_within(inside: ModelServer) -> None:
    model = OpenAiCompatible(Endpoint(SHOWN, inside.url, "gpt"), Means(Fetcher()))
    assert heard(model, ask()).text == "Hello."


@pytest.mark.parametrize(("name", "is_proven"), [("models.example", True), ("other.example", False)])
def test_a_certificate_proves_the_name_though_the_connection_is_by_address(
    tmp_path: Path, name: str, is_proven: bool
) -> None:
    pem = certificate(tmp_path, "models.example")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(pem)
    trusted = ssl.create_default_context(cafile=str(pem))
    with serve_model(OUTSIDE, own) as server:
        model = guarded(named(server, name), trusted=trusted)
        if is_proven:
            assert heard(model).text == "Hello."
        else:
            assert down(model).text == f"{SHOWN} cannot be reached."
            assert server.asked == []
