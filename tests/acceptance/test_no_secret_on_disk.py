"""No secret in any file, log or answer after a long session, in any form; and each still works, before and after a
rotation of the master key.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from tests.cli.test_commands import palace as run
from tests.rows import everything
from tests.serving import KEY, STOCK_FACE, Palace, database_of, start_palace

MASK = "*" * 8
LLM, TTS = "/layers/llm/api_key", "/layers/tts/api_key"
ADDRESS = "https://llm.example.org/v1"
MERGE = {"content-type": "application/merge-patch+json"}
REFUSED = (400, 422)
Operation = tuple[str, str, Any]


# --- What to look for -------------------------------------------------------------------------------------------------


def forms(secret: str) -> set[bytes]:
    """Ways in which a text is found in files, answers and logs; any two are far from each other."""
    raw = secret.encode()
    texts = {secret, repr(secret)[1:-1], quote(secret, safe=""), quote(secret), quote_plus(secret)}
    texts |= {quote(secret, safe="").lower(), raw.hex(), raw.hex().upper()}
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        texts |= {escaped, json.dumps(escaped)[1:-1], escaped.replace("/", "\\/")}
    for shift in range(3):  # Base64 of a text that holds the secret at any place: only what depends on nothing else.
        core = slice((8 * shift + 5) // 6, 8 * (shift + len(raw)) // 6)
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            texts.add(encode(bytes(shift) + raw)[core].decode())
    return {text.encode() for text in texts} | {secret.encode("utf-16-le"), secret.encode("utf-16-be")}


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(str.encode, id="plain"),
        pytest.param(lambda text: json.dumps({"a": text}).encode(), id="JSON"),
        pytest.param(lambda text: json.dumps(json.dumps([text])).encode(), id="JSON in JSON"),
        pytest.param(lambda text: base64.b64encode(text.encode() + b"after"), id="base64"),
        pytest.param(lambda text: base64.urlsafe_b64encode(text.encode() + b"a"), id="base64 for URLs"),
        pytest.param(lambda text: text.encode().hex().encode(), id="hexadecimal"),
        pytest.param(lambda text: quote(text, safe="").encode(), id="in a URL"),
        pytest.param(lambda text: repr({"a": text}).encode(), id="Python's repr"),
    ],
)
def test_the_search_finds_a_secret_in_each_form(before: str, written: Callable[[str], bytes]) -> None:
    secret = next(new_secrets())
    assert any(form in written(before + secret) for form in forms(secret))


def new_secrets() -> Iterator[str]:
    """Long ones, with what has to be escaped somewhere, and nothing in common but that."""
    for number in itertools.count(1):
        digits = f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}"
        yield f'{digits}-"q"\\b/s&p=ü✓+{digits[::-1]}'


# --- The session ------------------------------------------------------------------------------------------------------


class Session:
    """A client that remembers every answer, and every secret that it ever sent."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._new = new_secrets()
        self.secrets: list[str] = []
        self.answers: list[bytes] = []

    def secret(self) -> str:
        self.secrets.append(next(self._new))
        return self.secrets[-1]

    def send(self, method: str, path: str, *statuses: int, **options: Any) -> httpx.Response:
        answer = self._client.request(method, path, **options)
        assert answer.status_code in (statuses or (200, 204)), answer.text
        headers = b"\n".join(b": ".join(pair) for pair in answer.headers.raw)
        self.answers.append(headers + b"\n\n" + answer.content)
        return answer

    def patch(self, pal: str, *operations: Operation, status: int = 200, **headers: str) -> httpx.Response:
        return self.send("PATCH", f"/v2/pals/{pal}", status, json=as_json(*operations), headers=headers)

    def new_body(self, **members: Any) -> dict[str, Any]:
        llm = {"model": "m", "base_url": ADDRESS, "api_key": self.secret()}
        layers = {"llm": llm, "tts": {"tts_engine": "elevenlabs", "api_key": self.secret()}}
        return {"system_prompt": "Answer.", "default_face_id": STOCK_FACE, "layers": layers, **members}

    def create(self, family: str = "pals", **headers: str) -> str:
        answer = self.send("POST", f"/v2/{family}", json=self.new_body(), headers=headers).json()
        created: str = answer.get("pal_id") or answer["persona_id"]
        return created


def as_json(*operations: Operation) -> list[dict[str, Any]]:
    return [{"op": op, "path": path, "value": value} for op, path, value in operations]


def accepted_writes(session: Session) -> str:
    """Every way to store a secret, to exchange it, to lose it and to bring it back; a PAL with both secrets."""
    pal, secret = session.create(), session.secret
    session.patch(pal, ("replace", LLM, secret()), ("replace", TTS, secret()))
    session.patch(pal, ("replace", "/layers/llm/base_url", ADDRESS + "/2"), ("replace", LLM, secret()))
    merge = {"layers": {"tts": {"api_key": secret()}}}
    session.send("PATCH", f"/v2/pals/{pal}", json=merge, headers=MERGE | {"x-comment": "merged"})
    session.send("PATCH", f"/v2/pals/{pal}?comment=same", 304, json=merge, headers=MERGE)
    session.patch(pal, ("remove", "/layers/tts", None))
    session.patch(pal, ("add", "/layers/tts", {"tts_engine": "elevenlabs", "api_key": secret()}))
    session.patch(pal, ("replace", "", session.send("GET", f"/v2/pals/{pal}").json()), status=304)
    session.send("POST", f"/v2/pals/{pal}/rollback", json={"to": 1, "comment": "back"})
    session.patch(pal, ("replace", LLM, secret()))
    session.send("POST", f"/v2/pals/{pal}/revisions/2/revert", 409)
    session.send("POST", f"/v2/pals/{pal}/revisions/8/revert", json={"comment": "not this key"})
    session.patch(pal, ("add", "/layers/stt/hotwords", "Wren"), prefer="handling=lenient")
    session.send("DELETE", f"/v2/pals/{pal}")
    session.send("POST", f"/v2/pals/{pal}/restore", json={"comment": "again"})
    session.send("DELETE", f"/v2/personas/{session.create('personas')}")
    return pal


def drafts(session: Session, pal: str) -> None:
    """Secrets in a draft that is changed, refused, discarded, brought back, published and met by a live write."""
    path, secret = f"/v2/pals/{pal}", session.secret

    def draft(*operations: Operation, status: int = 200, **headers: str) -> None:
        session.send("PATCH", f"{path}/draft", status, json=as_json(*operations), headers=headers)

    draft(("replace", LLM, secret()), ("replace", TTS, secret()))
    draft(("replace", LLM, secret()), **{"idempotency-key": "draft"})
    draft(("replace", LLM, [secret()]), status=400, **{"idempotency-key": "refused-draft"})
    draft(("replace", "/layers/llm/api_kye", secret()), status=422)
    session.send("GET", f"{path}/draft")
    session.patch(pal, ("replace", TTS, secret()), status=409)
    session.send("PATCH", f"{path}?on_draft=rebase", json=as_json(("replace", "/greeting", "Hi.")))
    session.send("DELETE", f"{path}/draft")
    session.send("POST", f"{path}/drafts/1/restore")
    session.send("POST", f"{path}/publish")
    draft(("replace", LLM, secret()))
    session.send("PATCH", f"{path}?force=true", json=as_json(("replace", LLM, secret())))
    session.send("GET", f"{path}/drafts")


def previews_and_repetitions(session: Session, pal: str) -> None:
    """Dry runs, and requests under idempotency keys, each sent twice."""
    dry, path = {"dry_run": "true"}, f"/v2/pals/{pal}"
    session.send("POST", "/v2/pals", json=session.new_body(), params=dry)
    session.send("PATCH", path, json=as_json(("replace", LLM, session.secret())), params=dry)
    session.send("PATCH", path, json={"layers": {"tts": {"api_key": session.secret()}}}, headers=MERGE, params=dry)
    session.send("POST", f"{path}/rollback", json={"to": 2}, params=dry)
    session.send("DELETE", path, params=dry)
    accepted = [("replace", LLM, session.secret())], 200
    refused = [("replace", LLM, [session.secret()]), ("replace", "/layers/llm/modle", "n")], 422
    for number, (operations, status) in enumerate((accepted, refused)):
        once = {"idempotency-key": f"once-{number}"}
        for _ in range(2):
            session.send("PATCH", path, status, json=as_json(*operations), headers=once)
        session.send("PATCH", path, 422, json=as_json(("replace", LLM, session.secret())), headers=once)
    body = session.new_body()
    for _ in range(2):
        session.send("POST", "/v2/pals", json=body, headers={"idempotency-key": "created-once"})


def refused_writes(session: Session, pal: str) -> None:
    """Secrets in requests that fail, each for another reason, with an idempotency key and without."""
    secret, path = session.secret, f"/v2/pals/{pal}"
    refused: list[Operation] = [
        ("replace", LLM, [secret()]),
        ("replace", LLM, {"key": secret()}),
        ("test", LLM, secret()),
        ("add", "/layers/llm/apikey", secret()),
        ("replace", "/layers/llm/api_kye", secret()),
        ("replace", "/layers/lm/api_key", secret()),
        ("replace", "/layers/llm", {"api_key": secret(), "base_url": ADDRESS, "modle": "m"}),
        ("add", "/layers/tts", {"api_key": secret(), "tts_engine": "none"}),
        ("add", "/layers/llm", {"api_key": secret()}),
        ("add", "/api_key", secret()),
        ("ad", LLM, secret()),
        ("replace", "layers/llm/api_key", secret()),
        ("add", "", {"layers": {"llm": {"api_key": secret()}}}),
    ]
    for number, operation in enumerate(refused):
        both = as_json(operation, ("replace", TTS, secret()))
        for headers in ({}, {"idempotency-key": f"refused-{number}"}, {"prefer": "handling=lenient"}):
            session.send("PATCH", path, *REFUSED, json=both, headers=headers)
    session.patch(pal, ("replace", LLM, secret()), status=412, **{"if-match": '"0000000000000000"'})
    session.send("PATCH", path, 400, json={"layers": {"llm": {"api_key": secret(), "modle": secret()}}}, headers=MERGE)
    session.send("POST", f"{path}/rollback", *REFUSED, json={"to": 1, "api_key": secret()})
    session.send("POST", f"{path}/revisions/1/revert", *REFUSED, json={"comment": [secret()]})


def wrong_bodies(session: Session, pal: str) -> None:
    """What is no JSON, no patch, no PAL, or too large."""
    secret, path = session.secret, f"/v2/pals/{pal}"
    for body in (b'{"layers": {"llm": {"api_key": "%b' % secret().encode(), b"api_key=%b" % secret().encode()):
        session.send("POST", "/v2/pals", 400, content=body, headers={"content-type": "application/json"})
        session.send("PATCH", path, *REFUSED, content=body, headers={"content-type": "application/json"})
        session.send("POST", "/v2/pals", 415, content=body, headers={"content-type": "text/plain"})
    session.send("POST", "/v2/pals", 400, json=[session.new_body()])
    session.send("POST", "/v2/pals", 400, json=session.new_body(pipeline_mode="none", greeting=5))
    session.send("POST", "/v2/pals", 400, json=session.new_body(layers={"llm": {"api_key": secret()}}))
    session.send("POST", "/v2/pals", 413, json=session.new_body(system_prompt="x" * (16 << 20)))
    session.send("PATCH", path, 422, json={"api_key": secret()})
    session.send("GET", f"/v2/pals?api_key={quote(secret())}")


AUTHS: list[tuple[str, dict[str, str], str]] = [
    ("token", {"type": "bearer"}, "type"),
    ("password", {"type": "basic", "username": "desk"}, "username"),
    ("value", {"type": "api_key", "name": "X-Key"}, "name"),
    ("secret", {"type": "hmac"}, "type"),
    ("client_secret", {"type": "oauth2_client_credentials", "token_url": ADDRESS, "client_id": "x"}, "client_id"),
]
"""Where each kind of auth has its secret, what belongs to it, and a member that a client may fill in wrongly."""


def delivered(name: str, rest: dict[str, str], secret: Any, /, url: str = ADDRESS, **members: Any) -> dict[str, Any]:
    return {"delivery": {"api": {"url": url, "auth": {**rest, name: secret, **members}}}}


def tools(session: Session, pal: str) -> None:
    """Secrets of tools: stored, exchanged, kept, refused, lost and brought back; and at the end the last one works."""
    for name, rest, other in AUTHS:
        delivery = partial(delivered, name, rest)
        body = {"name": f"with_{name}", "description": "x"}
        tool = session.send("POST", "/v2/tools", json=body | delivery(session.secret())).json()["tool_id"]
        path, first, last = f"/v2/tools/{tool}", session.secrets[-1], session.secret()
        session.send("POST", "/v2/tools", 409, json=body | delivery(session.secret()))
        session.send(
            "POST", "/v2/tools", json={**body, "name": "dry", **delivery(session.secret())}, params={"dry_run": ""}
        )
        for members in ({"url": "http://x.example"}, {"extra": session.secret()}, {other: [session.secret()]}):
            session.send("PATCH", path, 400, json=delivery(session.secret(), **members))
        session.send("PATCH", path, 400, json=delivery([session.secret()]))
        session.send("PATCH", path, 400, json=[{"op": "replace", "path": "/delivery", "value": session.secret()}])
        session.send("PATCH", path, 412, json=delivery(session.secret()), headers={"if-match": '"0000000000000000"'})
        session.send("PATCH", path, json={"delivery": None})
        session.send("PATCH", path, json=delivery(session.secret()), headers={"idempotency-key": f"tool-{name}"})
        session.send("PATCH", path, 400, json=delivery(MASK))
        session.send("POST", f"{path}/rollback", json={"to": 1})
        assert session.send("PATCH", path, json=delivery(first)).headers["x-revision"] == "4", "the same secret"
        session.send("PATCH", path, json=delivery(last))
        session.send("POST", f"/v2/pals/{pal}/tools", json={"tool_ids": [tool]})
        for place in (path, "/v2/tools", f"/v2/pals/{pal}/tools", f"{path}/revisions", f"{path}/diff?from=1&to=5"):
            session.send("GET", place)
        for number in range(1, 6):
            session.send("GET", f"{path}/revisions/{number}")
        assert session.send("PATCH", path, json=delivery(last)).headers["x-revision"] == "5"
        assert session.send("GET", path).json()["delivery"]["api"]["auth"][name] == MASK


def look_at_everything(session: Session, pal: str) -> None:
    path = f"/v2/pals/{pal}"
    for family in ("pals", "personas"):
        newest = session.send("GET", f"/v2/{family}/{pal}/revisions?limit=100").json()["data"][0]["revision"]
        for number in range(1, newest + 1):
            session.send("GET", f"/v2/{family}/{pal}/revisions/{number}")
            session.send("GET", f"/v2/{family}/{pal}/diff?from={number}&to={newest}")
        session.send("GET", f"/v2/{family}")
    assert session.send("GET", path).json()["layers"]["llm"]["api_key"] == MASK


def still_work(session: Session, pal: str, llm: str, tts: str) -> None:
    """The masks stand for these very secrets: nothing changes when either comes back."""
    for value in (llm, MASK):
        session.patch(pal, ("replace", LLM, value), status=304)
    for value in (tts, MASK):
        session.patch(pal, ("replace", TTS, value), status=304)


# --- The search -------------------------------------------------------------------------------------------------------


def all_of(server: Palace, session: Session) -> dict[str, bytes]:
    """Whatever a stranger could get hold of, by its name; only the key files are left out."""
    kept = {name: text for name, text in everything(server.data).items() if not name.endswith("/master.key")}
    kept |= {"log": server.log.read_bytes(), "greeting": server.greeting.encode()}
    kept["answers"] = b"\n\n".join(session.answers)
    for command in (("audit", "export"), ("audit", "export", "--format", "csv"), ("keys", "list")):
        done = run(*command, "--data", server.data)
        assert done.returncode == 0, done.stderr
        kept[" ".join(command)] = (done.stdout + done.stderr).encode()
    return kept


def search(server: Palace, session: Session) -> None:
    master_keys = (server.data / "master.key").read_text().split()
    places = all_of(server, session)
    for secret in [*session.secrets, KEY, *master_keys, *(bytes.fromhex(key).decode("latin-1") for key in master_keys)]:
        for form in forms(secret):
            assert [name for name, text in places.items() if form in text] == [], f"{secret!r} as {form!r}"


def test_no_secret_is_found_anywhere_and_each_still_works(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = {"PALACE_LOG_LEVEL": "debug", "PALACE_LOG_FORMAT": "json"}
    with start_palace(data, **settings) as server, server.client() as client:
        session = Session(client)
        pal = accepted_writes(session)
        drafts(session, pal)
        previews_and_repetitions(session, pal)
        refused_writes(session, pal)
        wrong_bodies(session, pal)
        tools(session, pal)
        llm, tts = session.secret(), session.secret()
        session.patch(pal, ("replace", LLM, llm), ("replace", TTS, tts))
        look_at_everything(session, pal)
        still_work(session, pal, llm, tts)
        assert len(session.secrets) > 110
        assert database_of(data) or (data / "palace.db-wal").stat().st_size > 0
        search(server, session)
    assert run("keys", "rotate-master", "--data", data).returncode == 0
    search(server, session)
    with start_palace(data, **settings) as server, server.client() as client:
        session._client = client
        still_work(session, pal, llm, tts)
        session.send("POST", f"/v2/pals/{pal}/rollback", json={"to": 1})
        still_work(session, pal, *session.secrets[:2])
        search(server, session)
    assert run("audit", "verify", "--data", data).returncode == 0
