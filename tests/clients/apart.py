"""Other people's programs, unmodified, each in a process and an environment of its own.

All they are told is the URL of the server and a key. Whatever they would call outside goes to a proxy that notes it
down and hangs up.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.serving import KEY

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".venv-clients/bin"
SHIM = ROOT / ".venv-clients/daily-shim"
"""Where our stand-in for Daily's Python module is installed: beside the real one, which Pipecat needs."""
SECONDS_TO_RUN = 60
ASKS_FOR_UPDATES = "CONNECT pypi.org:443 HTTP/1.1"
"""The one call outside of the MCP server: its framework looks for a newer version of itself, and does without."""
PROTOCOL = "2025-06-18"
"""The version of the Model Context Protocol that the tests speak."""

Done = subprocess.CompletedProcess[str]


@dataclass
class Outside:
    """A proxy that lets nothing out: `calls` are the first lines of what came."""

    port: int
    calls: list[str] = field(default_factory=list)


@contextmanager
def nothing_outside() -> Iterator[Outside]:
    """A proxy for as long as the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    outside = Outside(listener.getsockname()[1])

    def note() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(5)
                outside.calls.append(caller.recv(1000).decode("latin-1").split("\r\n")[0])

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    try:
        yield outside
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)


def environment(url: str, home: Path, outside: Outside, key: str = KEY) -> dict[str, str]:
    """All that a program finds: a path, an empty home, a proxy, and the two variables."""
    proxy = f"http://127.0.0.1:{outside.port}"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), proxy)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "COLUMNS": "200",
        **proxies,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "TAVUS_PUBLIC_API_BASE_URL": url,
        "TAVUS_API_KEY": key,
    }


def with_shim(variables: dict[str, str]) -> dict[str, str]:
    """The same, with our stand-in in the place of Daily's Python module."""
    assert SHIM.exists(), f"{SHIM} is not there: run `make test-clients`, which installs it"
    return variables | {"PYTHONPATH": str(SHIM)}


def program(name: str) -> str:
    """The path of a program in the environment of the clients."""
    path = PROGRAMS / name
    assert path.exists(), f"{path} is not there: run `make test-clients`, which installs it"
    return str(path)


class Launcher:
    """Starts commands of the vendor's command line; see `in_tavus.py`."""

    def __init__(self) -> None:
        command = [program("python"), str(Path(__file__).with_name("in_tavus.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, words: tuple[str, ...], home: Path, variables: dict[str, str]) -> Done:
        """What a command prints, and how it ends."""
        out, err = home / "out.txt", home / "err.txt"
        told = {"words": words, "folder": str(home), "variables": variables, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate(timeout=SECONDS_TO_RUN)


def installed(words: tuple[str, ...], home: Path, variables: dict[str, str]) -> Done:
    """The program `tavus` itself: what it prints, and how it ends."""
    command = [program("tavus"), *words]
    return subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True, timeout=SECONDS_TO_RUN)


@dataclass(frozen=True)
class CommandLine:
    """The vendor's command line, pointed at a server."""

    home: Path
    variables: dict[str, str]
    start: Callable[[tuple[str, ...], Path, dict[str, str]], Done] = installed

    def run(self, *words: str) -> Done:
        """What a command prints, and how it ends."""
        return self.start(words, self.home, self.variables)

    def __call__(self, *words: str) -> Any:
        """The JSON that a command prints. It must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, f"tavus {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        """What a command prints that must fail, as an error and not as a crash."""
        done = self.run(*words)
        assert done.returncode == 1, f"tavus {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def file(self, content: Any) -> str:
        """The path of a file that holds this as JSON."""
        path = self.home / f"{len(list(self.home.iterdir()))}.json"
        path.write_text(json.dumps(content))
        return str(path)


class Mcp:
    """The vendor's MCP server, spoken to over its standard input and output: JSON-RPC, one message a line."""

    def __init__(self, home: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [program("tavus-mcp")],
            env=variables,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(home / "mcp.log").open("w"),
            text=True,
        )
        self._last_id = 0
        client = {"name": "palace-tests", "version": "1"}
        self.ask("initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, **parameters: Any) -> Any:
        """The result of one request."""
        self._last_id += 1
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": parameters})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == self._last_id:
                assert "result" in message, message
                return message["result"]
        raise AssertionError("The MCP server has ended.")

    def __call__(self, tool: str, **arguments: Any) -> Any:
        """What a tool returns. It must succeed."""
        result = self.ask("tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), f"{tool}: {result['content']}"
        content = result.get("structuredContent")
        if content is None:
            return json.loads(result["content"][0]["text"]) if result["content"] else None
        return content["result"] if set(content) == {"result"} else content

    def refused(self, tool: str, **arguments: Any) -> str:
        """The text of a failure, which must be one."""
        result = self.ask("tools/call", name=tool, arguments=arguments)
        assert result.get("isError"), result
        text: str = result["content"][0]["text"]
        return text

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
