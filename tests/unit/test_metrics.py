"""What is counted: by route, method and status, in buckets, by several workers at once."""

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from palace.api.metrics import exposition
from palace.metrics import BYTES, METHODS, METRICS, SECONDS, Meter

ROUTES = ("/v2/pals", "/v2/pals/{id}")


def samples(meter: Meter) -> dict[tuple[str, ...], float]:
    """Every number of the page, by its name and the values of its labels."""
    families = text_string_to_metric_families(
        exposition(meter, {"jobs_waiting": 3, "deliveries_waiting": 4, "conversations_active": 5}).decode()
    )
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("request_", "labels"),
    [
        pytest.param(("/v2/pals/{id}", "PATCH", 200), ("PATCH", "/v2/pals/{id}", "200"), id="as it is"),
        pytest.param(("/v2/palz", "GET", 404), ("GET", "other", "404"), id="an unknown path"),
        pytest.param(("/v2/pals", "PROPFIND", 405), ("other", "/v2/pals", "405"), id="an unknown method"),
        pytest.param(("/v2/pals", "GET", 299), ("GET", "/v2/pals", "other"), id="an unknown status"),
        pytest.param(("/v2/pals", "GET", 0), ("GET", "/v2/pals", "gone"), id="a client that went away"),
        pytest.param(("/x", "X", 777), ("other", "other", "other"), id="nothing known"),
    ],
)
def test_a_request_is_counted_under_labels_that_were_there_before_it(request_, labels):
    meter = Meter(ROUTES)
    meter.request(*request_, 0.003)
    found = {name: value for name, value in samples(meter).items() if name[0] == "palace_requests_total"}
    assert found == {("palace_requests_total", *labels): 1}


def test_no_request_whatever_it_is_makes_the_page_longer_than_the_routes_do():
    meter = Meter(ROUTES)
    for number in range(1000):
        meter.request(f"/{number}", f"M{number}", 1000 + number, 0)
    assert len([name for name in samples(meter) if name[0] == "palace_requests_total"]) == 1


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        pytest.param(0.0, "0.001", id="none"),
        pytest.param(0.001, "0.001", id="a bound belongs to its bucket"),
        pytest.param(0.0011, "0.0025", id="beyond it"),
        pytest.param(31.0, "+Inf", id="beyond all"),
    ],
)
def test_a_value_lies_in_its_bucket_and_in_all_after_it(seconds, bucket):
    meter = Meter(ROUTES)
    meter.request("/v2/pals", "GET", 200, seconds)
    found = samples(meter)
    bounds = [*map(str, map(float, SECONDS)), "+Inf"]
    counts = [found["palace_request_seconds_bucket", bound, "GET", "/v2/pals"] for bound in bounds]
    assert counts == [0] * bounds.index(bucket) + [1] * (len(bounds) - bounds.index(bucket))
    assert found["palace_request_seconds_count", "GET", "/v2/pals"] == 1
    assert found["palace_request_seconds_sum", "GET", "/v2/pals"] == seconds


def test_every_metric_is_on_the_page_from_the_start():
    found = {name for name, *_ in samples(Meter())}
    suffixes = {"counter": "_total", "gauge": "", "histogram": "_bucket"}
    assert {f"palace_{metric.name}{suffixes[metric.kind]}" for metric in METRICS} <= found
    assert {"palace_jobs_waiting", "palace_deliveries_waiting"} <= found


def test_counters_gauges_and_histograms_say_what_was_written():
    meter = Meter()
    meter.count("refused/rate")
    meter.count("refused/rate")
    meter.count("jobs_running", 3)
    meter.count("jobs_running", -1)
    meter.observe("patch_bytes", BYTES[0] + 1)
    meter.committed(12, 0.5, 7)
    found = samples(meter)
    assert found["palace_refused_total", "rate"] == 2
    assert found["palace_jobs_running",] == 2
    assert found["palace_patch_bytes_sum",] == BYTES[0] + 1
    assert (found["palace_commit_writes_sum",], found["palace_commit_seconds_sum",]) == (12, 0.5)
    assert (found["palace_writes_waiting",], found["palace_jobs_waiting",]) == (7, 3)
    assert found["palace_deliveries_waiting",] == 4


def test_workers_that_were_forked_are_told_as_one_by_any_of_them():
    first = Meter(ROUTES, workers=3)
    for worker in (1, 2):
        process = os.fork()
        if not process:
            meter = first.of(worker)
            meter.begin(os.getpid())
            meter.request("/v2/pals", "GET", 200, 0.5)
            meter.count("jobs_running", worker)
            os._exit(0)
        os.waitpid(process, 0)
    first.request("/v2/pals", "GET", 200, 0.25)
    for asked in (first, first.of(2)):
        found = samples(asked)
        assert found["palace_requests_total", "GET", "/v2/pals", "200"] == 3
        assert found["palace_request_seconds_sum", "GET", "/v2/pals"] == 1.25
        assert found["palace_jobs_running",] == 3


def test_a_worker_that_takes_the_place_of_a_dead_one_goes_on_counting_and_has_nothing_open():
    meter = Meter(ROUTES, workers=2)
    dead = meter.of(1)
    dead.begin(1)
    dead.request("/v2/pals", "GET", 200, 0.5)
    dead.count("requests_in_flight", 5)
    meter.of(1).begin(os.getpid())
    found = samples(meter)
    assert found["palace_requests_total", "GET", "/v2/pals", "200"] == 1
    assert found["palace_requests_in_flight",] == 0


def test_every_worker_is_told_with_what_its_process_takes_where_the_system_tells_it():
    meter = Meter(workers=2)
    meter.of(0).begin(os.getpid())
    meter.of(1).begin(os.getppid())
    taken = {name: value for name, value in samples(meter).items() if name[0].startswith("process_")}
    memory = [taken.get(("process_resident_memory_bytes", worker), 0) > 0 for worker in "01"]
    does_tell = Path("/proc/self/stat").exists()
    assert memory == [does_tell, does_tell]
    assert (taken.get(("process_cpu_seconds_total", "0"), 0) > 0) == does_tell


def test_a_method_is_known_or_other():
    meter = Meter(ROUTES)
    for method in METHODS:
        meter.request("/v2/pals", method, 200, 0)
    assert {method for _, method, _, _ in meter.requests()} == set(METHODS)
