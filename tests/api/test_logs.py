"""The log: one event a line, each about a request with its id, nothing that is secret."""

import json
import socket
from pathlib import Path
from typing import Any

from tests.api.wire import patch, replace
from tests.serving import KEY, start_palace

SECRET, PROMPT = "hush-hush-hush", "Never say this aloud."


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_every_line_is_an_event_with_a_time_and_those_about_requests_name_them(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--log-format", "json", "--request-seconds", "1") as palace:
        host, _, port = palace.url.removeprefix("http://").partition(":")
        with palace.client() as client:
            client.get("/v2/pals", headers={"x-request-id": "one"})
            client.get("/v2/pals", headers={"x-api-key": "wrong-key", "x-request-id": "two"})
            client.get("/v2/nothing", headers={"x-request-id": "three"})
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"no HTTP at all\r\n\r\n")
            connection.recv(1000)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            head = f"POST /v2/pals HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\nx-request-id: four\r\ncontent-length: 9"
            connection.sendall(head.encode() + b"\r\n\r\n{")
            connection.recv(1000)
    logged = lines(palace.log)
    assert all({"event", "level", "timestamp"} <= line.keys() for line in logged)
    about = {line["request_id"]: line for line in logged if line["event"] == "request"}
    assert [about[id]["status"] for id in ("one", "two", "three", "four")] == [200, 401, 404, 408]
    assert about["one"].keys() >= {"method", "path", "route", "client", "ms"}
    assert "trace_id" not in about["one"]
    [late] = [line for line in logged if line["event"] == "took too long"]
    assert (late["request_id"], late["level"]) == ("four", "warning")
    [library] = [line for line in logged if line.get("logger") == "uvicorn.error"]
    assert library["event"] == "Invalid HTTP request received."


def test_no_key_no_secret_no_token_and_no_document_is_in_the_log(tmp_path: Path) -> None:
    with (
        start_palace(tmp_path / "data", "--log-level", "debug", PALACE_METRICS_TOKEN=SECRET + "-token") as palace,
        palace.client() as client,
    ):
        made = client.post("/v2/pals", json={"system_prompt": PROMPT, "default_face_id": "r4067604db72"})
        llm = {"base_url": "https://llm.example.org", "api_key": SECRET, "model": "m"}
        assert patch(client, made.json()["pal_id"], replace("/layers", {"llm": llm})).status_code == 200
        patch(client, made.json()["pal_id"], replace("/layers/llm/api_key", {"wrong": SECRET}))
        client.get("/metrics", headers={"authorization": f"Bearer {SECRET}"})
        client.get("/v2/pals", headers={"x-api-key": SECRET})
    log = palace.log.read_text()
    assert [hidden for hidden in (KEY, SECRET, PROMPT) if hidden in log] == []
