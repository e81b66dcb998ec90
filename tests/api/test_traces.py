"""Traces: one span for each request, with what took its time below it, in the trace of the client; never a key."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.collector import Collector, collector
from tests.api.wire import patch, replace
from tests.serving import KEY, Palace, start_palace

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "hush-hush-hush"


@pytest.fixture(scope="module")
def sent() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, sent: Collector) -> Iterator[Palace]:
    """A server that sent a trace of what a client did."""
    data = tmp_path_factory.mktemp("traced") / "data"
    with start_palace(
        data, "--otlp-endpoint", sent.url, "--log-format", "json", OTEL_BSP_SCHEDULE_DELAY="100"
    ) as palace:
        with palace.client() as client:
            body = {"system_prompt": "a", "default_face_id": "r4067604db72"}
            pal = client.post("/v2/pals", json=body).json()["pal_id"]
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "mine"}
            change = [
                replace("/layers", {"llm": {"base_url": "https://llm.example.org", "api_key": SECRET, "model": "m"}})
            ]
            assert client.patch(f"/v2/pals/{pal}", json=change, headers=headers).status_code == 200
            client.get("/v2/nothing/at/all")
            client.get("/v2/pals", headers={"x-api-key": "wrong-key"})
        sent.span("GET other")
        yield palace


def test_a_request_is_a_span_with_route_status_request_id_and_account(traced: Palace, sent: Collector) -> None:
    span = sent.span("PATCH /v2/pals/{id}")
    assert span.attributes == {
        "http.request.method": "PATCH",
        "http.route": "/v2/pals/{id}",
        "http.response.status_code": 200,
        "palace.request_id": "mine",
        "palace.account": 1,
    }
    assert not span.is_error
    assert sent.resources[0]["service.name"] == "palace"


def test_the_trace_of_the_client_goes_on(traced: Palace, sent: Collector) -> None:
    span = sent.span("PATCH /v2/pals/{id}")
    assert (span.trace, span.parent) == (TRACE, PARENT)
    assert sent.span("POST /v2/pals").trace != TRACE


def test_below_a_change_lie_its_transaction_and_its_patch(traced: Palace, sent: Collector) -> None:
    whole = sent.span("PATCH /v2/pals/{id}")
    parts = {span.name: span for span in sent.spans if span.parent == whole.id}
    assert set(parts) == {"store.transact", "patch"}
    for part in parts.values():
        assert part.trace == TRACE
        assert whole.started - 50_000_000 <= part.started <= part.ended <= whole.ended + 50_000_000
    assert parts["patch"].ended - parts["patch"].started < whole.ended - whole.started


def test_a_path_that_nobody_serves_makes_no_name_of_its_own(traced: Palace, sent: Collector) -> None:
    assert "http.route" not in sent.span("GET other").attributes
    assert not any("nothing" in span.name for span in sent.spans)


def test_no_key_and_no_secret_is_in_a_trace(traced: Palace, sent: Collector) -> None:
    sent.span("GET other")
    assert [secret for secret in (KEY, "wrong-key", SECRET) if secret.encode() in b"".join(sent.raw)] == []


def test_lines_of_the_log_name_the_trace(traced: Palace) -> None:
    lines = [json.loads(line) for line in traced.log.read_text().splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "mine"]
    assert line["trace_id"] == TRACE


def test_what_is_left_is_sent_when_the_server_stops(tmp_path: Path) -> None:
    with collector() as sent, start_palace(tmp_path / "data", "--otlp-endpoint", sent.url) as palace:
        with palace.client() as client:
            client.get("/v2/faces")
        palace.stop()
        assert "GET /v2/faces" in {span.name for span in sent.spans}


def test_a_collector_that_is_away_harms_nobody(tmp_path: Path) -> None:
    with (
        start_palace(
            tmp_path / "data", "--otlp-endpoint", "http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY="50"
        ) as palace,
        palace.client() as client,
    ):
        assert [client.get("/v2/faces").status_code for _ in range(20)] == [200] * 20
        assert palace.stop() == 0


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(api) -> None:
    names = "name for name in sys.modules if name.startswith(('opentel', 'prometheus'))"
    script = f"import sys, palace.app; print(sorted({names}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_opentelemetry_the_setting_is_refused_with_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['opentelemetry'] = None; from palace.cli import main; main()"
    command = [sys.executable, "-c", script, "serve", "--port", "0", "--data", str(tmp_path / "data")]
    done = subprocess.run([*command, "--otlp-endpoint", "http://127.0.0.1:9"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'palace-server[otel]'" in done.stderr


def test_a_change_over_the_wire_is_not_slowed_by_a_strange_traceparent(traced: Palace) -> None:
    with traced.client() as client:
        for strange in ("", "00", "ff-" + "f" * 500, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
            assert client.get("/v2/faces", headers={"traceparent": strange}).status_code == 200
        assert patch(client, "nobody", replace("/a", 1), traceparent="x").status_code == 400
