"""GET /metrics: what clients did is there, nobody needs a key, and an operator can close it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.wire import patch, refused, replace
from tests.serving import Palace, start_palace

TOKEN = "scrape-me-0815"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    with start_palace(tmp_path_factory.mktemp("counted") / "data") as running:
        yield running


def figures(palace: Palace) -> dict[tuple[str, ...], float]:
    """Every number of the page, by its name and the values of its labels."""
    families = text_string_to_metric_families(httpx.get(f"{palace.url}/metrics").text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_page_needs_no_key_and_has_the_media_type_that_prometheus_wants(counted: Palace) -> None:
    answer = httpx.get(f"{counted.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    refused(httpx.post(f"{counted.url}/metrics"), 405)


def test_requests_patches_and_commits_of_clients_are_counted(counted: Palace) -> None:
    with counted.client() as client:
        pal = client.post("/v2/pals", json={"system_prompt": "a", "default_face_id": "r4067604db72"}).json()["pal_id"]
        before = figures(counted)
        assert patch(client, pal, replace("/greeting", "b"), replace("/system_prompt", "c")).status_code == 200
        assert patch(client, pal, replace("/greeting", "b")).status_code == 304
        client.get(f"/v2/personas/{pal}")
        client.get("/v2/nothing")
    after = figures(counted)

    def grew(*name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grew("palace_requests_total", "PATCH", "/v2/pals/{id}", "200") == 1
    assert grew("palace_requests_total", "PATCH", "/v2/pals/{id}", "304") == 1
    assert grew("palace_requests_total", "GET", "/v2/personas/{id}", "200") == 1
    assert grew("palace_requests_total", "GET", "other", "404") == 1
    assert grew("palace_request_seconds_count", "PATCH", "/v2/pals/{id}") == 2
    assert grew("palace_patch_operations_count") == 2
    assert grew("palace_patch_operations_sum") == 3
    assert grew("palace_patch_bytes_sum") > 100
    assert grew("palace_commit_writes_sum") == grew("palace_commit_seconds_count") == 2
    assert after["palace_requests_in_flight",] == 1, "the one that asks"


def test_no_figure_names_an_object_an_account_or_a_key(counted: Palace) -> None:
    with counted.client() as client:
        ids = [client.get("/v2/pals").json()["data"][0]["pal_id"], *re.findall(r"a-key", str(client.headers))]
    page = httpx.get(f"{counted.url}/metrics").text
    assert [id for id in ids if id in page] == []


def test_with_a_token_the_page_is_for_who_has_it(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", PALACE_METRICS_TOKEN=TOKEN) as palace, palace.client() as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            answer = client.get("/metrics", headers=headers)
            refused(answer, 401, "Invalid access token")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.text
        assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert TOKEN not in palace.log.read_text()


def test_a_page_that_is_switched_off_says_how_to_switch_it_on(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", "--no-metrics") as palace, palace.client() as client:
        [detail] = refused(client.get("/metrics"), 404)
        assert "--metrics" in detail["problem"]
