"""The fault lab: requests fail as they are told to, and every other request does not notice."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palace.faults import InvalidFault, Plan, read_fault, read_plan
from tests.serving import STOCK_FACE, Palace, start_palace

NEW_PAL = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
CONCURRENCY = "User has reached maximum concurrent conversations"
MAKER_CHANGES = "This PAL has changes in PAL Maker. Retry with force=true"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    with start_palace(tmp_path_factory.mktemp("lab") / "data", "--ephemeral") as palace:
        yield palace


@pytest.fixture
def api(lab: Palace) -> Iterator[httpx.Client]:
    with lab.client() as client:
        assert client.post("/_palace/reset").status_code == 204
        yield client


def create(api: httpx.Client, fault: str = "", **headers: str) -> httpx.Response:
    return api.post("/v2/pals", json=NEW_PAL, headers=({"x-palace-fault": fault} if fault else {}) | headers)


def count(api: httpx.Client) -> int:
    total: int = api.get("/v2/pals", params={"pal_type": "user"}).json()["total_count"]
    return total


def plan(api: httpx.Client, *faults: dict[str, Any]) -> httpx.Response:
    return api.post("/_palace/faults", json={"faults": list(faults)})


def left(api: httpx.Client) -> list[dict[str, Any]]:
    waiting: list[dict[str, Any]] = api.get("/_palace/faults").json()["faults"]
    return waiting


# --- By header --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "body", "wait"),
    [
        pytest.param("402", 402, {"message": "The account is out of credits"}, None, id="out of credits"),
        pytest.param("429", 429, {"message": "Too many requests"}, "1", id="too many requests"),
        pytest.param("429;retry-after=7", 429, {"message": "Too many requests"}, "7", id="and for how long"),
        pytest.param(
            "409;conflict=maker_changes",
            409,
            {"message": MAKER_CHANGES, "error": MAKER_CHANGES, "conflict": "maker_changes"},
            None,
            id="changes of a draft",
        ),
        pytest.param("concurrency", 400, {"message": CONCURRENCY, "error": CONCURRENCY}, None, id="concurrency"),
        pytest.param("concurrency;status=429", 429, {"message": CONCURRENCY, "error": CONCURRENCY}, None, id="as 429"),
        pytest.param("500", 500, {"message": "Internal Server Error"}, None, id="a bug"),
        pytest.param("503; Retry-After=2", 503, {"message": "Service Unavailable"}, "2", id="spelled with spaces"),
        pytest.param("401", 401, {"message": "Invalid access token"}, None, id="a key that is refused"),
    ],
)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_request_is_answered_as_its_header_says(
    api: httpx.Client, fault: str, status: int, body: dict[str, str], wait: str | None, is_after: bool
) -> None:
    before = count(api)
    answer = create(api, fault + ";after" * is_after)
    assert (answer.status_code, answer.json(), answer.headers.get("retry-after")) == (status, body, wait)
    assert answer.headers["x-palace-fault"] == (fault + ";after" * is_after).lower().replace(" ", "")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert count(api) == before + is_after, "carried out only where just the answer is lost"


def test_an_answer_can_be_slow(api: httpx.Client) -> None:
    for fault in ("slow;seconds=0.3", "slow;seconds=0.3;after"):
        begun = time.monotonic()
        answer = create(api, fault)
        assert time.monotonic() - begun >= 0.3
        assert (answer.status_code, answer.headers["x-palace-fault"]) == (200, fault)
    assert count(api) == 3


@pytest.mark.parametrize(("fault", "made"), [("drop", 0), ("drop;after", 1)])
def test_a_connection_can_be_dropped_without_a_byte(api: httpx.Client, lab: Palace, fault: str, made: int) -> None:
    before = count(api)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        create(api, fault)
    assert count(api) == before + made
    assert "error" not in lab.log.read_text().lower()


def test_a_connection_is_dropped_only_when_all_of_the_request_came(api: httpx.Client) -> None:
    """One that ends before its body came is reset, now and then: clients see another failure than a lost answer."""
    for _ in range(100):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            create(api, "drop")


def test_a_lost_answer_is_found_again_under_its_idempotency_key(api: httpx.Client) -> None:
    once = {"idempotency-key": "once"}
    with pytest.raises(httpx.RemoteProtocolError):
        create(api, "drop;after", **once)
    again = create(api, **once)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert count(api) == 2


def test_pages_of_a_browser_see_the_fault_too(api: httpx.Client) -> None:
    answer = create(api, "429", origin="https://app.example.com")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-palace-fault" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "fault",
    [
        *("200", "600", "42", "teapot", ";", "4\N{SUPERSCRIPT TWO}9", "x" * 200),
        *("slow;seconds=-1", "slow;seconds=1e3", "slow;seconds=999", "drop;seconds=1", "pass;after"),
        *("429;retry-after=soon", "429;conflict=maker_changes", "429;after=1", "429;after;after"),
        *("409;conflict=other", "concurrency;status=500"),
    ],
)
def test_a_fault_that_cannot_be_read_is_a_400_that_says_why(api: httpx.Client, fault: str) -> None:
    answer = api.get("/v2/pals", headers={b"x-palace-fault": fault.encode("latin-1")})
    assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, "invalid_fault")
    assert "x-palace-fault" not in answer.headers
    assert len(answer.text) < 800


def test_a_fault_never_holds_what_could_end_a_header() -> None:
    for text in ("429\r\n", "slow;seconds=\n3", "429;\u2003after", "\uff14\uff12\uff19"):
        with pytest.raises(InvalidFault):
            read_fault(text)


def test_only_the_api_fails_on_purpose(api: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/_palace/faults"):
        assert api.get(path, headers={"x-palace-fault": "500"}).status_code == 200


# --- By plan ----------------------------------------------------------------------------------------------------------


def test_the_next_requests_that_match_fail_in_order_and_the_rest_do_not(api: httpx.Client) -> None:
    answer = plan(
        api,
        {"match": {"method": "patch", "path": "/v2/pals/*"}, "times": 2, "answer": "429;retry-after=1"},
        {"match": {"path": "/v2/pals/**"}, "answer": "500"},
    )
    assert (answer.status_code, answer.json()["faults"]) == (200, left(api))
    assert [fault["times"] for fault in left(api)] == [2, 1]
    pal = "/v2/pals/pcb7a34da5fe"
    change = [{"op": "add", "path": "/greeting", "value": "Hello."}]
    assert api.get("/v2/pals").status_code == 200
    assert api.patch(f"{pal}/", json=change).status_code == 429
    assert api.get(f"{pal}/revisions").status_code == 500
    assert [api.patch(pal, json=change).status_code for _ in range(3)] == [429, 200, 304]
    assert left(api) == []


def test_a_request_can_be_let_through_first(api: httpx.Client) -> None:
    plan(api, {"answer": "pass", "times": 2}, {"answer": "503"})
    assert [api.get("/v2/pals").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_a_header_goes_before_the_plan_and_uses_nothing_of_it(api: httpx.Client) -> None:
    plan(api, {"answer": "500"})
    assert api.get("/v2/pals", headers={"x-palace-fault": "429"}).status_code == 429
    assert len(left(api)) == 1


def test_faults_are_added_shown_and_cleared_with_a_key(api: httpx.Client, lab: Palace) -> None:
    first, second = (
        {"match": {}, "times": 1, "answer": "429"},
        {"match": {"method": "GET"}, "times": 3, "answer": "drop"},
    )
    plan(api, {"answer": "429"})
    assert plan(api, {**second, "match": {"method": "get"}}).json() == {"faults": [first, second]}
    assert api.delete("/_palace/faults").status_code == 204
    assert left(api) == []
    assert api.get("/v2/pals").status_code == 200
    with lab.client(None) as nobody:
        assert {nobody.request(method, "/_palace/faults").status_code for method in ("GET", "POST", "DELETE")} == {401}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        pytest.param([], "/faults", id="no object"),
        pytest.param({"faults": {}}, "/faults", id="no list"),
        pytest.param({"fault": []}, "/fault", id="another member"),
        pytest.param({"faults": [5]}, "/faults/0", id="no object in the list"),
        pytest.param({"faults": [{"answer": "429"}, {}]}, "/faults/1", id="no answer"),
        pytest.param({"faults": [{"answer": "okay"}]}, "/faults/0/answer", id="an answer that is none"),
        pytest.param({"faults": [{"answer": 429}]}, "/faults/0/answer", id="a number for an answer"),
        pytest.param({"faults": [{"answer": "429", "times": 0}]}, "/faults/0/times", id="no times"),
        pytest.param({"faults": [{"answer": "429", "match": []}]}, "/faults/0/match", id="no match"),
        pytest.param({"faults": [{"answer": "429", "match": {"url": "/"}}]}, "/faults/0/match/url", id="no such match"),
        pytest.param({"faults": [{"answer": "429", "match": {"path": "v2"}}]}, "/faults/0/match/path", id="no path"),
        pytest.param({"faults": [{"answer": "429"}] * 1001}, "/faults", id="too many"),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused_with_its_place(api: httpx.Client, document: Any, pointer: str) -> None:
    answer = api.post("/_palace/faults", json=document)
    assert answer.status_code == 400, answer.text
    [detail] = answer.json()["details"]
    assert (detail["code"], detail["pointer"]) == ("invalid_fault", pointer)
    assert left(api) == []


def test_what_waits_has_an_end() -> None:
    waiting = Plan(read_plan({"faults": [{"answer": "429"}] * 1000}))
    with pytest.raises(InvalidFault):
        waiting.add(read_plan({"faults": [{"answer": "429"}]}))


# --- From a file, and switched off ------------------------------------------------------------------------------------


def test_a_file_fails_the_first_requests_and_those_after_a_reset(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text('faults:\n  - {answer: "429", times: 2}\n')
    flags = ("--ephemeral", "--faults", str(tmp_path / "faults.yaml"))
    with start_palace(tmp_path / "data", *flags) as palace, palace.client() as api:
        assert [api.get("/v2/pals").status_code for _ in range(3)] == [429, 429, 200]
        api.post("/_palace/reset")
        assert [api.get("/v2/pals").status_code for _ in range(3)] == [429, 429, 200]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('{"faults": [{"answer": "nothing"}]}', "/faults/0/answer", id="a fault that is none"),
        pytest.param("{", "cannot be used", id="no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(AssertionError, match=problem):
        start_palace(tmp_path / "data", "--ephemeral", "--faults", str(tmp_path / "faults.json"))


def test_a_server_that_is_no_lab_ignores_the_header_and_has_no_such_path(palace: Palace) -> None:
    with palace.client() as api:
        answer = api.get("/v2/pals", headers={"x-palace-fault": "500"})
        assert (answer.status_code, answer.headers.get("x-palace-fault")) == (200, None)
        assert api.post("/_palace/faults", json={"faults": []}).status_code == 404


def test_a_plan_is_shown_as_it_is_written() -> None:
    written = {"faults": [{"match": {"path": "/v2/pals/*"}, "times": 4, "answer": "429;retry-after=1;after"}]}
    assert Plan(read_plan(json.loads(json.dumps(written)))).as_json() == written
