"""A model behind HTTP, against a real server: what is asked, what is heard, what happens when it goes wrong."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from palace.clock import Clock
from palace.engines.base import Answer, Ask, Means, ModelDown, Piece, Usage, Wish
from palace.ids import Ids
from tests.engines.asking import SECRET, Waits, ask, down, heard, listen, model_at
from tests.engines.model_server import MODEL, Doing, ModelServer, chunk, serve_model

NO_USAGE = {"message": "Extra inputs are not permitted", "loc": ["body", "stream_options"]}
TOOL = {"type": "function", "function": {"name": "find_room", "parameters": {"type": "object"}}}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve_model() as running:
        yield running


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_the_question_goes_to_the_route_below_the_base_url_with_everything_that_is_configured(
    server: ModelServer,
) -> None:
    model = model_at(
        server,
        base_url=server.url + "/?version=2",
        headers={"X-Tenant": 5},
        extra_body={"temperature": 0.2, "reasoning": {"effort": "low"}, "stream": False, "model": "dear", "n": 4},
        default_query={"api-version": "2026-01-01"},
    )
    asked = Ask([{"role": "user", "content": "Hello."}], [TOOL], {"temperature": 1, "max_tokens": 50})
    assert heard(model, asked).text == "Hello."
    [seen] = server.asked
    assert seen.path == "/v1/chat/completions?version=2&api-version=2026-01-01"
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert seen.headers["x-tenant"] == "5"
    assert seen.body == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "Hello."}],
        "tools": [TOOL],
        "temperature": 0.2,
        "max_tokens": 50,
        "reasoning": {"effort": "low"},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/org%2Fmodel/", "/org%2Fmodel/chat/completions"), ("/a%20b?c=%2F", "/a%20b/chat/completions?c=%2F")],
)
def test_a_path_is_asked_as_it_is_written(server: ModelServer, path: str, asked: str) -> None:
    heard(model_at(server, base_url=server.url + path))
    assert [seen.path for seen in server.asked] == [f"/v1{asked}"]


def test_nothing_of_the_environment_and_nothing_about_this_machine_is_sent(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL", "ADMIN_KEY"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://of-the-operator")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-of-the-operator: 1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    heard(model_at(server, api_key="", headers={"Host": "other.example", "Connection": "upgrade", "content-length": 1}))
    [seen] = server.asked
    assert set(seen.headers) == {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent"}
    assert seen.headers["user-agent"].startswith("palace/")
    assert "operator" not in json.dumps([seen.path, seen.headers, seen.body])
    assert seen.headers["host"] == server.url.split("/")[2]


def test_a_header_of_its_own_wins_over_the_api_key(server: ModelServer) -> None:
    heard(model_at(server, headers={"authorization": "Basic abc"}))
    assert server.asked[0].headers["authorization"] == "Basic abc"


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x y": "a"}, {"": "a"}, {"x": "\0"}])
def test_a_header_that_cannot_be_sent_is_told_and_not_repeated(server: ModelServer, headers: dict[str, str]) -> None:
    problem = down(model_at(server, headers=headers))
    assert (problem.reason, server.asked) == ("unreachable", [])
    assert "\r" not in problem.text


def test_connections_are_used_again(server: ModelServer) -> None:
    model = model_at(server)

    async def thrice() -> None:
        for _ in range(3):
            await listen(model, ask())
        await model.close()

    asyncio.run(thrice())
    assert (len(server.asked), server.connections) == (3, 1)


# --- What is heard ----------------------------------------------------------------------------------------------------


def test_words_come_one_by_one_and_then_the_whole(server: ModelServer) -> None:
    server.answer("Good evening, this is the night desk.")
    found = asyncio.run(listen(model_at(server), ask()))
    assert found.pieces == ["Good ", "evening, ", "this ", "is ", "the ", "night ", "desk."]
    assert found.answer == Answer("Good evening, this is the night desk.", (), Usage(7, 7), MODEL)


def test_parts_of_tool_calls_are_put_together(server: ModelServer) -> None:
    server.answer("One moment.", [("find_room", {"beds": 2}), ("ring", {})])
    answer = heard(model_at(server))
    assert answer.text == "One moment."
    assert answer.wishes == (Wish("call_0", "find_room", '{"beds": 2}'), Wish("call_1", "ring", "{}"))


def called(*parts: dict[str, Any]) -> tuple[Any, ...]:
    return (*(chunk({"tool_calls": [part]}) for part in parts), chunk({}, "tool_calls"))


CALLS: dict[str, tuple[tuple[Any, ...], list[tuple[str, str, str]]]] = {
    "whole calls under one index": (
        called(
            {"index": 0, "id": "a", "function": {"name": "ring", "arguments": "{}"}},
            {"index": 0, "id": "b", "function": {"name": "find_room", "arguments": "{}"}},
        ),
        [("a", "ring", "{}"), ("b", "find_room", "{}")],
    ),
    "calls without an index": (
        called(
            {"id": "a", "function": {"name": "ring", "arguments": '{"x":'}},
            {"function": {"arguments": "1}"}},
            {"id": "b", "function": {"name": "find_room"}},
        ),
        [("a", "ring", '{"x":1}'), ("b", "find_room", "{}")],
    ),
    "arguments that are an object": (
        called({"index": 0, "id": "a", "function": {"name": "ring", "arguments": {"x": 1}}}),
        [("a", "ring", '{"x": 1}')],
    ),
    "a name in every part": (
        called(
            {"index": 0, "id": "a", "function": {"name": "ring", "arguments": "{"}},
            {"index": 0, "id": "a", "function": {"name": "ring", "arguments": "}"}},
        ),
        [("a", "ring", "{}")],
    ),
    "no id": (
        called({"index": 0, "function": {"name": "ring", "arguments": "{}"}}),
        [(Ids(5).new("call_", 24), "ring", "{}")],
    ),
    "no name": (called({"index": 0, "id": "a", "function": {"arguments": "{}"}}), []),
}


@pytest.mark.parametrize("kind", CALLS)
def test_models_that_stream_calls_in_other_ways_are_understood(server: ModelServer, kind: str) -> None:
    chunks, wishes = CALLS[kind]
    server.do(Doing(chunks))
    answer = heard(model_at(server, Means(ids=Ids(5))))
    assert answer.wishes == tuple(Wish(*wish) for wish in wishes)


@pytest.mark.parametrize(
    ("parts", "pieces", "whole"),
    [
        (("Hi \ud83d", "\ude00!"), ["Hi ", "\U0001f600!"], "Hi \U0001f600!"),
        (("\ud83d", "\ud83d", "\ude00"), ["\ufffd", "\U0001f600"], "\ufffd\U0001f600"),
        (("a\ud83d", "b"), ["a", "\ufffdb"], "a\ufffdb"),
        (("a\x00b\ude00",), ["a\ufffdb\ufffd"], "a\ufffdb\ufffd"),
        (("a\ud83d",), ["a"], "a\ufffd"),
    ],
)
def test_halves_of_characters_are_put_together_or_left_out(
    server: ModelServer, parts: tuple[str, ...], pieces: list[str], whole: str
) -> None:
    server.do(Doing((*(chunk({"content": part}) for part in parts), chunk({}, "stop"))))
    found = asyncio.run(listen(model_at(server), ask()))
    assert found.answer is not None
    assert (found.pieces, found.answer.text) == (pieces, whole)


def test_halves_of_characters_in_a_call_are_put_together_or_left_out(server: ModelServer) -> None:
    first = {"index": 0, "id": "a\ud83d", "function": {"name": "ring\ude00", "arguments": '{"x": "\ud83d'}}
    server.do(Doing(called(first, {"index": 0, "function": {"arguments": '\ude00\ud83d"}'}})))
    assert heard(model_at(server)).wishes == (Wish("a\ufffd", "ring\ufffd", '{"x": "\U0001f600\ufffd"}'),)


ENDINGS: dict[str, Doing] = {
    "a reason, and no [DONE]": Doing((chunk({"content": "Hello."}), chunk({}, "stop")), says_done=False),
    "[DONE], and no reason": Doing((chunk({"content": "Hello."}),)),
    "a reason, then a cut": Doing((chunk({"content": "Hello."}, "stop"),), cut_after=1),
    "null where nothing is": Doing((chunk({"content": "Hello.", "tool_calls": None}) | {"usage": None}, chunk({}))),
    "comments between": Doing((b": ping\n\n", chunk({"content": "Hello."}), b": ping\n\n")),
    "other choices": Doing(({"choices": [{"index": 1, "delta": {"content": "x"}}]}, chunk({"content": "Hello."}))),
}


@pytest.mark.parametrize("kind", ENDINGS)
def test_models_that_end_in_other_ways_are_understood(server: ModelServer, kind: str) -> None:
    server.do(ENDINGS[kind])
    assert heard(model_at(server)).text == "Hello."


def test_a_model_that_cannot_tell_its_usage_is_not_asked_for_it_again(server: ModelServer) -> None:
    server.refuse(422, {"message": "Extra inputs are not permitted", "loc": ["body", "stream_options"]})
    model = model_at(server)

    async def twice() -> list[Usage]:
        answers = [(await listen(model, ask())).answer for _ in range(2)]
        return [answer.usage for answer in answers if answer is not None]

    server.answer("Hello.", usage=False)
    server.answer("Hello.", usage=False)
    assert asyncio.run(twice()) == [Usage(0, 0), Usage(0, 0)]
    assert ["stream_options" in seen.body for seen in server.asked] == [True, False, False]


def test_a_refusal_to_tell_the_usage_is_no_try(server: ModelServer) -> None:
    waits = Waits()
    server.refuse(503)
    server.refuse(503)
    server.refuse(400, NO_USAGE)
    assert heard(model_at(server, Means(sleep=waits))).text == "Hello."
    assert waits.seconds == [0.25, 0.5]


def test_of_several_first_questions_at_once_none_fails_because_the_usage_is_not_told(server: ModelServer) -> None:
    for _ in range(3):
        server.refuse(400, NO_USAGE)
    model = model_at(server)

    async def at_once() -> list[str]:
        found = await asyncio.gather(*(listen(model, ask()) for _ in range(3)))
        await model.close()
        return [one.answer.text for one in found if one.answer is not None]

    assert asyncio.run(at_once()) == ["Hello."] * 3
    assert sorted("stream_options" in seen.body for seen in server.asked) == [False] * 3 + [True] * 3


# --- What goes wrong --------------------------------------------------------------------------------------------------

NO_COMPLETION = "bad_answer", "sent something that is no chat completion."
WRONG: dict[str, tuple[Doing, str, str]] = {
    "no JSON": (Doing((b"data: {oops\n\n",)), *NO_COMPLETION),
    "no chunk": (Doing((["hello"],)), *NO_COMPLETION),
    "a text that is none": (Doing((chunk({"content": 5}),)), *NO_COMPLETION),
    "bytes that are no text": (Doing((b"data: \xff\xfe\n\n",)), *NO_COMPLETION),
    "no stream": (
        Doing(body=b'{"choices": []}', headers={"content-type": "application/json"}),
        "bad_answer",
        "sent no chunk of an answer: it must stream server-sent events.",
    ),
    "packed": (
        Doing((chunk({"content": "x"}),), headers={"content-encoding": "gzip"}),
        "bad_answer",
        "compressed its answer, which it was not asked to.",
    ),
    "endless": (
        Doing((chunk({"content": "x" * (1 << 20)}),) * 9),
        "bad_answer",
        "sent more than is taken of one answer.",
    ),
    "an endless line": (Doing((b"x" * (1 << 20),) * 9), "bad_answer", "sent more than is taken of one answer."),
    "a redirect": (Doing(status=307, headers={"location": "http://127.0.0.1/"}), "refused", "answered 307."),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_answer_is_told_and_not_tried_again(server: ModelServer, kind: str) -> None:
    doing, reason, sentence = WRONG[kind]
    server.do(doing)
    problem = down(model_at(server))
    assert (problem.reason, problem.text) == (reason, f"The model gpt at example.com {sentence}")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_not_tried_again_and_tells_nothing_of_what_the_model_wrote_but_its_code(
    server: ModelServer, status: int
) -> None:
    server.refuse(status, {"message": f"Incorrect key: {SECRET}", "code": "invalid_api_key"})
    problem = down(model_at(server))
    assert problem.reason == "refused"
    assert problem.text == f"The model gpt at example.com answered {status} (invalid_api_key)."
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [SECRET.upper(), "a b", "x" * 65, 5, None, ""])
def test_a_code_that_is_no_word_is_not_repeated(server: ModelServer, code: Any) -> None:
    server.refuse(400, {"message": "No.", "code": code, "type": code})
    assert down(model_at(server)).text == "The model gpt at example.com answered 400."


PASSING: dict[str, Any] = {
    "500": lambda server: server.refuse(500),
    "503": lambda server: server.refuse(503),
    "408": lambda server: server.refuse(408),
    "429": lambda server: server.refuse(429),
    "cut before the answer": lambda server: server.answer("Hello.", cut_after=0),
    "cut before there is text": lambda server: server.answer("Hello.", cut_after=1),
    "an error before there is text": lambda server: server.do(Doing(({"error": {"message": "overloaded"}},))),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_may_pass_is_tried_again_until_there_is_text(server: ModelServer, kind: str) -> None:
    waits = Waits()
    for _ in range(2):
        PASSING[kind](server)
    assert heard(model_at(server, Means(sleep=waits))).text == "Hello."
    assert (len(server.asked), waits.seconds) == (3, [0.25, 0.5])


LASTING = {
    "500": ("unreachable", "answered 500 (some_error)."),
    "429": ("rate_limited", "answered 429 (some_error)."),
    "cut before the answer": ("unreachable", "cannot be reached."),
    "cut before there is text": ("broken_stream", "broke off in the middle."),
    "an error before there is text": ("broken_stream", "broke off with an error."),
}


@pytest.mark.parametrize("kind", LASTING)
def test_what_does_not_pass_is_told_after_three_tries(server: ModelServer, kind: str) -> None:
    for _ in range(3):
        PASSING[kind](server)
    problem = down(model_at(server))
    reason, sentence = LASTING[kind]
    assert (problem.reason, problem.text) == (reason, f"The model gpt at example.com {sentence}")
    assert len(server.asked) == 3


def test_where_nobody_listens_it_is_unreachable() -> None:
    with serve_model() as gone:
        pass
    assert down(model_at(gone)).reason == "unreachable"


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [("0", 0.0), ("1.5", 1.5), ("Thu, 01 Jan 2026 00:00:07 GMT", 7.0), ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
     ("soon", 0.25), ("nan", 0.25), ("Mon, 01 Jan 2024 00:00:00 +99999999999999999", 0.25)],
)  # fmt: skip
def test_the_time_that_a_busy_model_names_is_waited(server: ModelServer, retry_after: str, waited: float) -> None:
    waits = Waits()
    server.refuse(429, retry_after=retry_after)
    assert heard(model_at(server, Means(sleep=waits, clock=Clock(NOW)))).text == "Hello."
    assert waits.seconds == [waited]


def test_a_time_beyond_the_limit_is_not_waited(server: ModelServer) -> None:
    waits = Waits()
    server.refuse(429, retry_after="31")
    assert down(model_at(server, Means(sleep=waits))).reason == "rate_limited"
    assert (len(server.asked), waits.seconds) == (1, [])


@pytest.mark.parametrize("kind", ["cut", "error"])
def test_what_breaks_off_after_the_first_word_is_not_tried_again(server: ModelServer, kind: str) -> None:
    if kind == "cut":
        server.answer("One two three.", cut_after=3)
    else:
        server.do(Doing((chunk({"content": "One two "}), {"error": {"message": SECRET, "type": "overloaded"}})))
    model = model_at(server)
    pieces: list[str] = []

    async def hear() -> None:
        async for item in model.stream(ask()):
            assert isinstance(item, Piece)
            pieces.append(item.text)

    with pytest.raises(ModelDown) as caught:
        asyncio.run(hear())
    assert caught.value.reason == "broken_stream"
    assert SECRET not in caught.value.text
    assert "".join(pieces) == "One two "
    assert len(server.asked) == 1


def test_a_stream_that_ends_without_an_end_is_broken(server: ModelServer) -> None:
    for _ in range(3):
        server.do(Doing((chunk({"content": "Hello"}),), says_done=False))
    assert down(model_at(server)).reason == "broken_stream"
