"""What is sent for a call: URL, query, body and headers, filled from arguments. Tables, without a server."""

import json
import time
from typing import Any

import pytest

from palace.fetching import Request
from palace.tool_delivery.placeholders import MOST_ENCODINGS, Undeliverable, encoded
from palace.tool_delivery.requests import Facts, make_request
from tests.tool_delivery.tool_server import FACTS, tool_at

AT = "https://tools.example"


def made(arguments: dict[str, Any], path: str = "/rate", facts: Facts = FACTS, **api: Any) -> Request:
    return make_request(tool_at(AT + path, **api), arguments, facts)


def refused(arguments: dict[str, Any], path: str = "/rate", **api: Any) -> str:
    with pytest.raises(Undeliverable) as caught:
        made(arguments, path, **api)
    return caught.value.text.removeprefix("The tool was not called. ")


@pytest.mark.parametrize(
    ("path", "arguments", "url"),
    [
        pytest.param("/rate/{nights}", {"nights": 3}, "/rate/3", id="a number in the path"),
        pytest.param("/rate/{half}", {"half": 0.5}, "/rate/0.5", id="a fraction"),
        pytest.param("/on/{on}", {"on": True}, "/on/true", id="a boolean"),
        pytest.param("/c/{city}", {"city": "São Paulo/Sé"}, "/c/S%C3%A3o%20Paulo%2FS%C3%A9", id="letters and a slash"),
        pytest.param("/c/{a}-{b}.json", {"a": "x", "b": "y"}, "/c/x-y.json", id="two in one part"),
        pytest.param("/c?q={city}&f=1", {"city": "a&b=c#d"}, "/c?q=a%26b%3Dc%23d&f=1", id="in the query"),
        pytest.param("?q={city}", {"city": "x"}, "?q=x", id="no path"),
        pytest.param("/c?q={city}", {"city": ""}, "/c?q=", id="an empty value in the query"),
        pytest.param("/c?q={l}", {"l": [1, "b"]}, "/c?q=%5B1%2C%22b%22%5D", id="a list in the query"),
        pytest.param("/c/{city}#{city}", {"city": "x"}, "/c/x", id="a fragment is not sent"),
        pytest.param("/c/{city}", {"city": "{tavus_pal_id}"}, "/c/%7Btavus_pal_id%7D", id="values are no templates"),
        pytest.param("/{tavus_conversation_id}/{tavus_tool_call_id}", {}, "/c0123456789abcdef/call_1", id="facts"),
        pytest.param("/{tavus_pal_id}/{tavus_tool_name}", {}, "/pabc/room_rate", id="more facts"),
        pytest.param("/{tavus_pal_id}", {"tavus_pal_id": "another"}, "/pabc", id="no argument stands for a fact"),
        pytest.param("/c/{not closed/{}/{1}", {}, "/c/{not closed/{}/{1}", id="what is no placeholder"),
        pytest.param("/v1/../c/{city}", {"city": "x"}, "/v1/../c/x", id="dots of the owner's own"),
        pytest.param("/c/{url}", {"url": "http://x.y//z"}, "/c/http%3A%2F%2Fx.y%2F%2Fz", id="a URL as a value"),
    ],
)
def test_placeholders_of_a_url_are_filled_and_encoded(path: str, arguments: dict[str, Any], url: str) -> None:
    assert made(arguments, path).url == AT + url


@pytest.mark.parametrize(
    "value", ["", ".", "..", "../admin", "..\\admin", "a/../../b", "%2e%2e/x", "%252e%252e", "..;/x", "a/.", "\\.."]
)
def test_no_value_leads_to_another_path(value: str) -> None:
    said = refused({"name": value}, "/files/{name}/text")
    assert said == "These must not be empty, nor lead to another path with / or dots: name."


@pytest.mark.parametrize(
    ("times", "is_refused"), [(1, False), (MOST_ENCODINGS - 2, False), (MOST_ENCODINGS - 1, True), (2000, True)]
)
def test_what_is_encoded_again_and_again_is_refused(times: int, is_refused: bool) -> None:
    value = "%" + "25" * times + "41"
    if is_refused:
        assert "lead to another path" in refused({"a": value}, "/files/{a}")
    else:
        assert made({"a": value}, "/files/{a}").url.endswith(encoded(value))


@pytest.mark.parametrize("value", ["%" + "25" * 50_000, "%25" * 30_000, "a" * 100_000])
def test_an_argument_that_is_far_too_long_is_refused_without_decoding_it(value: str) -> None:
    began = time.process_time()
    assert "Give it shorter arguments." in refused({"a": value}, "/files/{a}")
    assert time.process_time() - began < 1


def test_two_values_together_do_not_lead_to_another_path_either() -> None:
    assert "lead to another path" in refused({"a": ".", "b": "."}, "/files/{a}{b}/x")


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        pytest.param({"a": 1, "b": "x y"}, "?a=1&b=x%20y", id="one each"),
        pytest.param({"a": ["x", 2], "b": None, "c": "null"}, "?a=x&a=2&c=null", id="lists and null"),
        pytest.param({"a": {"b": [1]}}, "?a=%7B%22b%22%3A%5B1%5D%7D", id="nested as JSON"),
        pytest.param({}, "", id="none"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_without_a_body_arguments_go_into_the_query(method: str, arguments: dict[str, Any], query: str) -> None:
    request = made(arguments, method=method)
    assert (request.url, request.body) == (f"{AT}/rate{query}", None)
    assert "content-type" not in dict(request.headers)


def test_what_is_in_the_url_already_is_not_sent_twice_and_what_the_owner_wrote_there_stays() -> None:
    request = made({"nights": 3, "city": "x", "format": "evil"}, "/rate/{nights}?format=json", method="GET")
    assert request.url == f"{AT}/rate/3?format=json&city=x"


def test_query_params_are_all_of_the_query_besides_the_url() -> None:
    request = made(
        {"nights": 3, "city": "ü"}, "/rate?v=1", method="GET", query_params={"n": "{nights}", "to": "a{city}"}
    )
    assert request.url == f"{AT}/rate?v=1&n=3&to=a%C3%BC"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_without_a_template_all_arguments_are_the_body(method: str) -> None:
    arguments = {"nights": 3, "city": "Köln", "deep": {"a": [None, True]}}
    request = made(arguments, "/rate/{nights}", method=method, query_params={"c": "{city}"})
    assert json.loads(request.body or b"") == arguments
    assert dict(request.headers)["content-type"] == "application/json"
    assert request.url.endswith("/rate/3?c=K%C3%B6ln")


@pytest.mark.parametrize(
    ("template", "body"),
    [
        pytest.param({"n": "{nights}"}, {"n": 3}, id="alone it keeps its type"),
        pytest.param({"t": "for {nights} nights"}, {"t": "for 3 nights"}, id="within a text"),
        pytest.param({"a": [{"b": "{city}"}]}, {"a": [{"b": 'a"b\n'}]}, id="deep, with quotes"),
        pytest.param({"all": "{deep}"}, {"all": {"a": [1]}}, id="an object"),
        pytest.param({"x": "{none}"}, {"x": None}, id="null"),
        pytest.param({"{nights}": 1, "f": 2.5, "t": True}, {"{nights}": 1, "f": 2.5, "t": True}, id="names stay"),
        pytest.param({"c": "{tavus_conversation_id}"}, {"c": "c0123456789abcdef"}, id="a fact"),
        pytest.param({}, {}, id="an empty template"),
    ],
)
def test_a_template_of_the_body_is_filled(template: dict[str, Any], body: dict[str, Any]) -> None:
    arguments = {"nights": 3, "city": 'a"b\n', "deep": {"a": [1]}, "none": None}
    assert json.loads(made(arguments, body_template=template).body or b"") == body


def test_a_form_is_sent_where_the_content_type_says_so() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    request = made({"a": "x&y=ü", "l": [1, 2], "n": None}, content_type=form)
    assert request.body == b"a=x%26y%3D%C3%BC&l=1&l=2"
    assert dict(request.headers)["content-type"] == form
    assert made({"a": 1}, content_type=form, body_template={"b": "{a}", "c": "z"}).body == b"b=1&c=z"


def test_another_content_type_is_told_as_it_is_and_a_header_of_the_tool_counts_too() -> None:
    assert dict(made({}, content_type="application/vnd.api+json").headers)["content-type"] == "application/vnd.api+json"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert made({"a": 1}, headers=form).body == b"a=1"


def test_headers_of_the_tool_are_sent_but_for_those_that_decide_where_it_goes() -> None:
    headers = {"X-Team": "red", "HOST": "other.example", "Content-Length": "0", "Connection": "keep-alive"}
    assert made({}, headers=headers).headers == (("x-team", "red"), ("content-type", "application/json"))


def test_a_signed_body_has_four_members_in_order_whatever_the_method() -> None:
    for method in ("POST", "GET"):
        request = made({"b": 1, "a": "ü"}, method=method, auth={"type": "hmac", "secret": "s"})
        assert (
            request.body
            == (
                '{"arguments":"{\\"a\\":\\"ü\\",\\"b\\":1}","conversation_id":"c0123456789abcdef",'
                '"name":"room_rate","tool_call_id":"call_1"}'
            ).encode()
        )
        assert request.url == f"{AT}/rate"


@pytest.mark.parametrize(
    ("arguments", "path", "api", "said"),
    [
        pytest.param({}, "/{a}?b={b}", {}, "It needs these arguments: a, b.", id="all that is missing at once"),
        pytest.param({"a": None}, "/{a}", {}, "It needs these arguments: a.", id="null in a URL"),
        pytest.param({}, "/x", {"body_template": {"a": ["x {a}"]}}, "It needs these arguments: a.", id="in the body"),
        pytest.param({}, "/x", {"query_params": {"q": "{a}"}}, "It needs these arguments: a.", id="in query_params"),
        pytest.param(
            {"tavus_x": "y"},
            "/{tavus_x}",
            {},
            "Its owner used placeholders that this server does not know: tavus_x.",
            id="an unknown fact",
        ),
        pytest.param({"a": "\ud800"}, "/x", {}, "Its arguments cannot be written as JSON.", id="half a surrogate pair"),
        pytest.param({"a": float("nan")}, "/x", {}, "Its arguments cannot be written as JSON.", id="not a number"),
        pytest.param(
            {"a": "x" * 9000},
            "/{a}",
            {},
            "Its address would have 9022 characters, and at most 8000 are sent. Give it shorter arguments.",
            id="very long",
        ),
        pytest.param(
            {},
            "/x",
            {"content_type": "multipart/form-data"},
            "Its owner asked for a multipart body, which is not sent here.",
            id="multipart",
        ),
    ],
)
def test_nothing_is_sent_half_filled(arguments: dict[str, Any], path: str, api: dict[str, Any], said: str) -> None:
    assert refused(arguments, path, **api) == said
