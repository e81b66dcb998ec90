"""Whatever is sent: a documented status, an error that says what was wrong, and a PAL that stays as it was."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.api.wire import JSON_PATCH, MERGE_PATCH, add, document, patch, refused, replace, send
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
MALFORMED = "Invalid JSON patch format"
LARGEST_BODY = 16 << 20


def wrapped(text: bytes) -> bytes:
    """A patch whose value is this text."""
    return b'[{"op":"replace","path":"/pal_name","value":' + text + b"}]"


NOT_JSON: list[Any] = [
    pytest.param(b"", "empty", id="nothing"),
    pytest.param(b" \n", "empty", id="blanks"),
    pytest.param(b"[", "syntax", id="an open bracket"),
    pytest.param(b"[,]", "syntax", id="a comma too many"),
    pytest.param(b"[] []", "trailing_text", id="two values"),
    pytest.param(b"{'a': 1}", "syntax", id="single quotes"),
    pytest.param(b"\xef\xbb\xbf[]", "byte_order_mark", id="a byte order mark"),
    pytest.param("[]".encode("utf-16"), "invalid_utf8", id="UTF-16"),
    pytest.param(wrapped(b'"\xff"'), "invalid_utf8", id="a byte that is not UTF-8"),
    pytest.param(wrapped(b'"\xed\xa0\x80"'), "invalid_utf8", id="an encoded surrogate"),
    pytest.param(wrapped(b'"\xc0\xaf"'), "invalid_utf8", id="an overlong encoding"),
    pytest.param(wrapped(b'"a\nb"'), "syntax", id="a line break in a string"),
    pytest.param(wrapped(b"NaN"), "not_finite", id="NaN"),
    pytest.param(wrapped(b"-Infinity"), "not_finite", id="minus infinity"),
    pytest.param(wrapped(b"1e999"), "number_out_of_range", id="a float too large"),
    pytest.param(wrapped(b"18446744073709551616"), "number_out_of_range", id="an integer too large"),
    pytest.param(wrapped(b"9" * 10_000), "number_out_of_range", id="an integer of 10,000 digits"),
    pytest.param(wrapped(b'"\\ud800"'), "lone_surrogate", id="half a surrogate pair"),
    pytest.param(wrapped(b'"\\udc00\\ud800"'), "lone_surrogate", id="a pair the wrong way round"),
    pytest.param(wrapped(b'{"\\ud800":1}'), "lone_surrogate", id="half a surrogate pair in a name"),
    pytest.param(wrapped(b'"\\u0000"'), "null_character", id="U+0000"),
    pytest.param(wrapped(b'{"a\\u0000":1}'), "null_character", id="U+0000 in a name"),
    pytest.param(wrapped(b'{"a":1,"a":2}'), "duplicate_member", id="a member twice in a value"),
    pytest.param(b'[{"op":"add","path":"/pal_name","path":"/greeting","value":1}]', "duplicate_member", id="two paths"),
    pytest.param(wrapped(b"[" * 65 + b"]" * 65), "too_deep", id="deeper than allowed"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, "too_deep", id="100,000 levels"),
    pytest.param(wrapped(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "too_deep", id="50,000 objects"),
]


@pytest.mark.parametrize(("body", "code"), NOT_JSON)
def test_a_body_that_is_no_strict_json_is_refused_and_changes_nothing(
    api: httpx.Client, new_pal: NewPal, body: bytes, code: str
) -> None:
    pal = new_pal()
    before = document(api, pal)
    path = f"/v2/pals/{pal}"
    for media in ("application/json", JSON_PATCH):
        details = refused(send(api, "PATCH", path, body, media), 422, MALFORMED)
        assert [detail["code"] for detail in details] == [code]
    for answer in (send(api, "PATCH", path, body, MERGE_PATCH), send(api, "POST", "/v2/pals", body)):
        details = refused(answer, 400)
        assert [detail["code"] for detail in details] == [code]
    assert document(api, pal) == before


MEDIA_TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "json",
    "application/jsonp",
    "*/*",
    "application/vnd.api+json",
    "\u00e4/\u00e4",
]


@pytest.mark.parametrize("media", MEDIA_TYPES)
def test_another_media_type_is_415_and_tells_which_are_read(api: httpx.Client, new_pal: NewPal, media: str) -> None:
    pal = new_pal()
    headers = {b"content-type": media.encode()}
    answer = api.patch(f"/v2/pals/{pal}", content=b"[]", headers=headers)
    refused(answer, 415)
    told = answer.headers["accept-patch"]
    assert [each.strip() for each in told.split(",")] == ["application/json", JSON_PATCH, MERGE_PATCH]
    refused(api.post("/v2/pals", content=b"{}", headers=headers), 415)


def test_a_patch_is_no_way_to_create(api: httpx.Client) -> None:
    for media in (JSON_PATCH, MERGE_PATCH):
        refused(send(api, "POST", "/v2/pals", b"{}", media), 415)


# --- Sizes ------------------------------------------------------------------------------------------------------------


def sized(size: int) -> bytes:
    frame = wrapped(b'""')
    return frame.replace(b'""', b'"' + b"x" * (size - len(frame)) + b'"')


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_over_the_limit_is_413(api: httpx.Client, new_pal: NewPal, method: str, is_chunked: bool) -> None:
    pal = new_pal()
    path = f"/v2/pals/{pal}" if method == "PATCH" else "/v2/pals"
    body = sized(LARGEST_BODY + 1)
    content: Any = (body[start : start + 65536] for start in range(0, len(body), 65536)) if is_chunked else body
    answer = api.request(method, path, content=content, headers={"content-type": "application/json"})
    details = refused(answer, 413)
    assert (details[0]["limit"], details[0]["maximum"]) == ("max_body_bytes", LARGEST_BODY)
    assert document(api, pal)["pal_name"] == "Night Desk"


def test_a_body_of_a_mebibyte_is_read(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answer = send(api, "PATCH", f"/v2/pals/{pal}", sized(1 << 20))
    assert answer.status_code == 200
    assert api.delete(f"/v2/pals/{pal}").status_code == 204


LIMITS: list[Any] = [
    pytest.param([add("/memories/-", "x")] * 1001, "operations", id="1,001 operations"),
    pytest.param([add("/" + "x" * 1024, 1)], "pointer_characters", id="a pointer of 1,025 characters"),
    pytest.param([add("/x" * 65, 1)], "pointer_tokens", id="a pointer of 65 tokens"),
    pytest.param([add("/layers/llm/extra_body/x", json.loads("[" * 61 + "]" * 61))], "depth", id="65 levels in all"),
    pytest.param(
        [add("/layers/llm/extra_body/x", "x" * 100_000)]
        + [{"op": "copy", "from": "/layers/llm/extra_body", "path": f"/layers/llm/extra_body/{n}"} for n in range(30)],
        "copy_bytes",
        id="a copy bomb",
    ),
]


@pytest.mark.parametrize(("operations", "limit"), LIMITS)
def test_a_patch_beyond_a_limit_is_422_and_names_it(
    api: httpx.Client, new_pal: NewPal, operations: list[Any], limit: str
) -> None:
    pal = new_pal(layers={"llm": {"extra_body": {"a": 1}}})
    before = document(api, pal)
    details = refused(patch(api, pal, *operations), 422, MALFORMED)
    assert [detail["limit"] for detail in details] == [limit]
    assert details[0]["actual"] > details[0]["maximum"]
    assert document(api, pal) == before


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("small") / "data"
    with start_palace(data, PALACE_MAX_DOCUMENT_BYTES="4000") as palace, palace.client() as client:
        yield client


def test_a_document_that_grows_too_large_is_refused_and_stays(small: httpx.Client) -> None:
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE}
    details = refused(small.post("/v2/pals", json=body | {"greeting": "x" * 4000}), 400)
    assert details[0]["code"] == "document_too_large"
    pal = small.post("/v2/pals", json=body | {"greeting": "x" * 2000}).json()["pal_id"]
    before = document(small, pal)
    refused(patch(small, pal, replace("/context", "x" * 2000)), 400)
    refused(patch(small, pal, {"op": "copy", "from": "/greeting", "path": "/context"}), 400)
    assert document(small, pal) == before
