"""Browsers: pages of other origins may call the API, and read its errors, where the operator lets them."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.api.wire import replace
from tests.serving import Palace, start_palace

NewPal = Callable[..., str]
PAGE = "https://app.example.org"
EXPOSED = {"x-request-id", "x-message", "retry-after", "accept-patch"}


def preflight(client: httpx.Client, origin: str, method: str = "PATCH") -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "content-type, x-api-key",
    }
    return client.options("/v2/pals/pcb7a34da5fe", headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_needs_no_key_and_lets_every_method_through(palace: Palace, method: str) -> None:
    with palace.client(key=None) as client:
        answer = preflight(client, PAGE, method)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in ("*", PAGE)
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "x-api-key" in allowed
    assert "content-type" in allowed
    assert answer.headers["x-request-id"]


ANSWERS = [
    pytest.param("GET", "/v2/pals", None, {}, 200, id="a success"),
    pytest.param("PATCH", "{pal}", [], {}, 304, id="no change"),
    pytest.param("DELETE", "{pal}", None, {}, 204, id="a deletion"),
    pytest.param("PATCH", "{pal}", [replace("/pal_name", 5)], {}, 400, id="a bad request"),
    pytest.param("GET", "/v2/pals", None, {"x-api-key": "wrong"}, 401, id="a wrong key"),
    pytest.param("GET", "/v2/nothing", None, {}, 404, id="an unknown path"),
    pytest.param("PUT", "{pal}", None, {}, 405, id="a method that is not there"),
    pytest.param("PATCH", "{pal}", [], {"content-type": "text/plain"}, 415, id="a wrong media type"),
    pytest.param("PATCH", "{pal}", {}, {}, 422, id="a malformed patch"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), ANSWERS)
def test_a_page_can_read_every_answer(
    api: httpx.Client, new_pal: NewPal, method: str, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    path = path.replace("{pal}", f"/v2/pals/{new_pal()}")
    answer = api.request(method, path, json=body, headers={"origin": PAGE} | headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["access-control-allow-origin"] in ("*", PAGE)
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].lower().split(",")}
    assert exposed >= EXPOSED
    assert "access-control-allow-credentials" not in answer.headers


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    origins = f"{PAGE}, https://second.example.org"
    with (
        start_palace(tmp_path_factory.mktemp("cors") / "data", PALACE_CORS_ORIGINS=origins) as palace,
        palace.client() as client,
    ):
        yield client


@pytest.mark.parametrize("origin", [PAGE, "https://second.example.org"])
def test_an_origin_on_the_list_is_let_through(restricted: httpx.Client, origin: str) -> None:
    assert preflight(restricted, origin).headers["access-control-allow-origin"] == origin
    for path in ("/v2/pals", "/v2/pals/nobody"):
        answer = restricted.get(path, headers={"origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{PAGE}.evil.org", "null", "http://app.example.org"])
def test_an_origin_that_is_not_on_the_list_is_not(restricted: httpx.Client, origin: str) -> None:
    refused = preflight(restricted, origin)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    for path in ("/v2/pals", "/v2/pals/nobody"):
        answer = restricted.get(path, headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
