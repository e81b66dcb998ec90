"""Plain Python clients, and how each meets the one answer that clients disagree on: 304, nothing changed."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving import KEY, STOCK_FACE, Palace

NewPal = Callable[..., str]
PAL = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
RENAME = [{"op": "replace", "path": "/pal_name", "value": "Day Desk"}]
NO_CHANGES = "No changes were made to the PAL"


def ask(palace: Palace, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON, with `urllib` alone. Raises HTTPError for anything but 2xx."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"x-api-key": KEY, "content-type": "application/json"}
    request = urllib.request.Request(palace.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.loads(answer.read() or b"null")


def test_urllib_creates_patches_reads_and_deletes_a_pal(palace: Palace) -> None:
    pal_id = ask(palace, "POST", "/v2/pals", PAL)[1]["pal_id"]
    status, patched = ask(palace, "PATCH", f"/v2/pals/{pal_id}", RENAME)
    assert (status, patched["pal_name"]) == (200, "Day Desk")
    assert ask(palace, "GET", f"/v2/pals/{pal_id}") == (200, patched)
    assert ask(palace, "DELETE", f"/v2/pals/{pal_id}") == (204, None)


def test_urllib_raises_for_304_and_finds_the_reason_in_a_header(palace: Palace, new_pal: NewPal) -> None:
    path = f"/v2/pals/{new_pal(pal_name='Day Desk')}"
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(palace, "PATCH", path, RENAME)
    with raised.value as answer:
        assert (answer.code, answer.read()) == (304, b"")
        assert answer.headers["x-message"] == NO_CHANGES


def test_urllib_reads_the_reason_of_a_refusal_from_the_error(palace: Palace) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(palace, "PATCH", "/v2/pals/p00000000000", RENAME)
    with raised.value as answer:
        assert (answer.code, json.loads(answer.read())["error"]) == (400, "Invalid pal_id")


def test_httpx_does_not_count_304_as_an_error(api: httpx.Client, new_pal: NewPal) -> None:
    answer = api.patch(f"/v2/pals/{new_pal(pal_name='Day Desk')}", json=RENAME)
    assert (answer.status_code, answer.is_error, answer.has_redirect_location) == (304, False, False)
    assert answer.content == b""
    assert answer.headers["x-message"] == NO_CHANGES


def test_a_client_that_wants_a_body_in_any_case_asks_for_it(api: httpx.Client, new_pal: NewPal) -> None:
    pal_id = new_pal(pal_name="Day Desk")
    answer = api.patch(f"/v2/pals/{pal_id}", json=RENAME, headers={"prefer": "return=representation"})
    assert answer.status_code == 200
    assert answer.json() == api.get(f"/v2/pals/{pal_id}").json()


def test_a_connection_goes_on_after_304(palace: Palace, new_pal: NewPal) -> None:
    path, headers = f"/v2/pals/{new_pal(pal_name='Day Desk')}", {"x-api-key": KEY, "content-type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(palace.url).netloc, timeout=30)
    connection.connect()
    connected = connection.sock
    for method, body, status in (("PATCH", json.dumps(RENAME), 304), ("GET", None, 200)):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    assert connection.sock is connected
    connection.close()


@pytest.mark.parametrize("slash", ["", "/"])
def test_no_path_redirects_a_client_that_follows_none(api: httpx.Client, new_pal: NewPal, slash: str) -> None:
    assert api.get(f"/v2/pals/{new_pal()}{slash}", follow_redirects=False).status_code == 200
    assert api.post(f"/v2/pals{slash}", json=PAL, follow_redirects=False).status_code == 200
