"""Any model that speaks OpenAI's chat completions, streaming, through the `openai` client (contract 7.1).

The client takes seconds and some 40 MB to load, so it is loaded with the first question (decision 26).
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from palace.engines.base import Ask, Means, ModelDown, Piece, Stream
from palace.engines.deltas import Gathered
from palace.engines.transport import Transport, headers_of, pool_for
from palace.engines.troubles import Trouble, told_as_trouble
from palace.fetching import problem_with_url

ROUTE = "/chat/completions"
TRIES = 3
FIRST_WAIT_SECONDS = 0.25
"""before the second try; twice as long before the third, unless the model names a time"""
AFTERTHOUGHT_SECONDS = 2.0
"""how long the usage is waited for, once the model said that it is done"""

OURS = frozenset(("model", "messages", "stream", "stream_options", "n"))
"""members of a question that no configuration changes"""


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long a model may take: to connect, until the first text, between two chunks, and in all."""

    connect: float = 5.0
    first_token: float = 30.0
    """from the question on, with every try and every wait between them"""
    silence: float = 15.0
    whole: float = 120.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is, and how it is asked. What `extra_body` says wins over the parameters of a question.

    `shown` is what sentences call the model. `is_guarded`: a client named the address, so it must be a public one.
    """

    shown: str
    base_url: str
    model: str
    api_key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    default_query: Mapping[str, Any] = field(default_factory=dict)
    seconds: Seconds = Seconds()
    is_guarded: bool = False

    @property
    def url(self) -> httpx.URL:
        """What is asked; a query of `base_url` is kept. Raises httpx.InvalidURL and ValueError."""
        base = httpx.URL(self.base_url)
        path, mark, own_query = base.raw_path.partition(b"?")  # As it is written: `%2F` is no step of the path.
        target = path.rstrip(b"/") + ROUTE.encode("ascii") + mark + own_query
        query = {name: str(value) for name, value in self.default_query.items()}
        return base.copy_with(raw_path=target, fragment=None).copy_merge_params(query)


class OpenAiCompatible:
    """A language model behind HTTP."""

    def __init__(self, endpoint: Endpoint, means: Means) -> None:
        self._endpoint = endpoint
        self._means = means
        self._client: Any = None
        self._is_asked_for_usage = True
        """until it refuses to tell"""

    async def stream(self, ask: Ask) -> Stream:
        """See LanguageModel. A failure is tried again before there is text, never afterwards."""
        client = await self._connected()
        source = await self._begun(client, ask, _Patience(self._endpoint.seconds))
        try:
            while True:
                if source.text:
                    yield Piece(source.text)
                if source.is_over:
                    break
                await source.advance()
        finally:
            await source.close()
        yield source.gathered.whole()

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _begun(self, client: Any, ask: Ask, patience: "_Patience") -> "_Source":
        """An answer that has text, or is over. Raises Trouble when every try fails, or there is no time for another."""
        tried = 0
        while True:
            wants_usage = self._is_asked_for_usage
            try:
                return await self._try(client, ask, patience, wants_usage=wants_usage)
            except Trouble as trouble:
                if wants_usage and "stream_options" in trouble.said:  # That is all it refused: this was no try.
                    self._is_asked_for_usage = False
                    continue
                tried += 1
                wait = trouble.seconds_to_wait(self._means.clock.now())
                wait = FIRST_WAIT_SECONDS * 2 ** (tried - 1) if wait is None else wait
                if not trouble.is_temporary or tried == TRIES or wait >= patience.left():
                    raise
            await self._means.sleep(wait)

    async def _try(self, client: Any, ask: Ask, patience: "_Patience", *, wants_usage: bool) -> "_Source":
        from openai import AsyncStream

        shown = self._endpoint.shown
        with told_as_trouble(shown, is_reading=False):
            async with patience.limit(shown):
                url, body = str(self._endpoint.url), self._question(ask, wants_usage=wants_usage)
                stream = await client.post(url, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])
        source = _Source(stream, shown, Gathered(self._endpoint.model, self._means.ids), patience)
        try:
            while not source.gathered.has_begun and not source.is_over:
                await source.advance()
        except BaseException:
            await source.close()
            raise
        return source

    def _question(self, ask: Ask, *, wants_usage: bool) -> dict[str, Any]:
        body = {**ask.parameters, **self._endpoint.extra_body}
        body = {name: value for name, value in body.items() if name not in OURS}
        body |= {"model": self._endpoint.model, "messages": list(ask.messages), "stream": True}
        if ask.tools:
            body["tools"] = list(ask.tools)
        if wants_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    async def _connected(self) -> Any:
        """The client, made for the first question. Raises ModelDown where the address or a header cannot be used."""
        if self._client is not None:
            return self._client
        endpoint, openai = self._endpoint, await loaded()
        try:
            problem = problem_with_url(endpoint.base_url, self._means.fetcher.allowed) if endpoint.is_guarded else None
            if problem:
                raise ValueError(f"base_url: {problem}")
            host, headers = endpoint.url.host, headers_of(endpoint.api_key, endpoint.headers)
        except (httpx.InvalidURL, ValueError) as error:
            problem = "base_url: Not a valid URL." if isinstance(error, httpx.InvalidURL) else str(error)
            raise ModelDown(f"{endpoint.shown} cannot be asked. {problem}", "unreachable") from error
        if self._client is None:
            pool = pool_for(host, self._means.fetcher, is_guarded=endpoint.is_guarded)
            transport = Transport(pool, headers, endpoint.seconds.connect)
            self._client = openai.AsyncOpenAI(
                api_key="in the headers of the transport",
                base_url=endpoint.base_url,
                max_retries=0,
                http_client=httpx.AsyncClient(transport=transport, trust_env=False),
            )
        return self._client


async def loaded() -> Any:
    """The `openai` package. Loading is work of seconds, so it goes on beside the event loop."""
    return await asyncio.to_thread(importlib.import_module, "openai")


class _Patience:
    """How long one question may still take, from now on."""

    def __init__(self, seconds: Seconds) -> None:
        self._seconds = seconds
        self._time = asyncio.get_running_loop().time
        self._begun = self._time()

    def left(self) -> float:
        """Seconds until there must be text."""
        return self._begun + min(self._seconds.first_token, self._seconds.whole) - self._time()

    @asynccontextmanager
    async def limit(self, shown: str, gathered: Gathered | None = None) -> AsyncIterator[None]:
        """What is inside is the next step, and ends in time, or Trouble tells why not."""
        until, sentence = self._next_end(gathered)
        try:
            async with asyncio.timeout_at(until):
                yield
        except TimeoutError as error:
            raise Trouble(f"{shown} {sentence}.", "timeout") from error

    def _next_end(self, gathered: Gathered | None) -> tuple[float, str]:
        seconds, now = self._seconds, self._time()
        if gathered is not None and gathered.is_finished:
            end = now + AFTERTHOUGHT_SECONDS, "did not end its answer"
        elif gathered is not None and gathered.has_begun:
            end = now + seconds.silence, f"fell silent for {seconds.silence:g} seconds"
        else:
            end = self._begun + seconds.first_token, f"did not begin to answer within {seconds.first_token:g} seconds"
        return min(end, (self._begun + seconds.whole, f"took longer than {seconds.whole:g} seconds in all"))


class _Source:
    """An answer that is being read. `text` is what the last step brought."""

    def __init__(self, stream: Any, shown: str, gathered: Gathered, patience: _Patience) -> None:
        self.gathered = gathered
        self.text = ""
        self.is_over = False
        self._stream = stream
        self._shown = shown
        self._patience = patience
        self._has_chunks = False

    async def advance(self) -> None:
        """Read one chunk, or the end. Raises Trouble."""
        self.text = ""
        try:
            with told_as_trouble(self._shown, is_reading=True):
                async with self._patience.limit(self._shown, self.gathered):
                    chunk = await anext(self._stream, None)
                if chunk is not None:
                    self._has_chunks = True
                    self.text = self.gathered.take(chunk)
        except Trouble:
            if not self.gathered.is_finished:
                raise
            chunk = None  # All of the answer is there; only the usage, or the end of the stream, is not.
        if chunk is None:
            self.is_over = True
            self._check_end()

    async def close(self) -> None:
        """End the request, at once if it is not over."""
        await self._stream.close()

    def _check_end(self) -> None:
        response = self._stream.response
        if not self._has_chunks:
            sentence = f"{self._shown} sent no chunk of an answer: it must stream server-sent events."
            raise Trouble(sentence, "bad_answer")
        if not self.gathered.is_finished and not response.extensions["body"].says_done:
            raise Trouble(f"{self._shown} broke off in the middle.", "broken_stream", is_temporary=True)
