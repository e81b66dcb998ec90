"""The benchmarks' own arithmetic: figures, requests, plots and what the page is made of. Nothing is measured here."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import page, plots, targets
from benchmarks.cells import Cell, percentile
from benchmarks.fill import Template, new_id
from benchmarks.load import Measurement, _is_whole
from benchmarks.wires import kinto_wire, pal_wire, pocketbase_wire, request_text
from benchmarks.workload import ID, NUMBER, differences, grown, new_pal, operations_text, patch_number
from palace.etags import content_etag
from palace.json_patch import apply_patch, read_json

ROOT = Path(__file__).parents[2]
PAL = new_pal(0)
WIRES = {"palace": pal_wire("key"), "kinto": kinto_wire("Basic key"), "pocketbase": pocketbase_wire("token")}


def measured(completed: int, latencies_us: list[int]) -> Measurement:
    return Measurement(completed, 2.0, latencies_us, 0.004, 0.002, 0.001, {}, 0, {})


def results(**rates: list[float]) -> dict:
    cells = [
        Cell(name, "PATCH", 32, [measured(int(2 * rate), [1000]) for rate in rounds]) for name, rounds in rates.items()
    ]
    return {"titles": {}, "throughput": {"cells": [cell.figures() for cell in cells]}}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        pytest.param([], 50, 0.0, id="nothing was answered"),
        pytest.param([7.0], 99.9, 7.0, id="one answer is every percentile"),
        pytest.param([1.0, 2.0, 3.0, 4.0], 50, 2.0, id="the nearest rank"),
        pytest.param([float(number) for number in range(1, 101)], 99, 99.0, id="99 of 100"),
    ],
)
def test_a_percentile_is_the_value_that_so_many_stay_within(values, percent, expected):
    assert percentile(values, percent) == expected


def test_a_cell_tells_the_median_of_its_rounds_and_the_time_for_each_answer():
    rounds = [measured(20, [1000]), measured(10, [3000]), measured(10, [2000])]
    figures = Cell("palace", "PATCH", 32, rounds).figures()
    assert (figures["per_second"], figures["p50_ms"], figures["answers"]) == (5.0, 2.0, 40)
    assert (figures["server_cpu_us"], figures["database_cpu_us"]) == (300.0, 150.0)


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_a_request_is_as_long_as_it_says_once_its_number_is_in_it(wire):
    text = request_text(wire, "PATCH", 80, PAL).replace(ID, "p1").replace(NUMBER, patch_number(5).decode())
    head, _, body = text.partition("\r\n\r\n")
    assert int(re.search(r"content-length: (\d+)", head)[1]) == len(body.encode())
    assert (" p1" in head, head.startswith(f"PATCH {wire.collection}/p1 HTTP/1.1")) == (False, True)


def test_every_server_is_told_of_the_same_change():
    operations = read_json(operations_text().replace(NUMBER, patch_number(5).decode()).encode())
    patched = apply_patch(PAL, operations).document
    sent = WIRES["pocketbase"].patch(PAL).replace(NUMBER, patch_number(5).decode())
    assert differences(patched, 5) == []
    assert read_json(sent.encode())["document"] == patched
    assert differences(PAL, 5) != []


@pytest.mark.parametrize("size", [3_000, 30_000, 300_000])
def test_a_pal_grows_to_about_the_size_that_is_asked_for(size):
    assert len(str(grown(PAL, size))) == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(
    ("answer", "is_whole"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True, id="with its length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", False, id="not all of it yet"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True, id="in chunks"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", False, id="not the last"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\n\r\n", True, id="without a body"),
    ],
)
def test_an_answer_ends_where_it_says(answer, is_whole):
    assert _is_whole(answer, answer.find(b"\r\n\r\n")) is is_whole


def test_a_copy_has_an_id_a_name_and_a_tag_of_its_own_in_every_table():
    end = b',"updated_at":"2026-10-07T23:44:47.917639Z"}'
    body = b'{"pal_id":"p1","pal_name":"Night Desk"' + end
    documents = (["seq", "kind", "id", "etag", "body"], [(7, "pal", "p1", content_etag(body, None), body)])
    labels = (["document", "label", "value", "folded"], [(7, "name", "Night Desk", "night desk")])
    template = Template(7, "p1", "Night Desk", {"documents": documents, "labels": labels})
    [first, (seq, kind, id, etag, copied)] = template.copies("documents", 2)
    assert (seq, kind, id, first[0]) == (9, "pal", new_id(2), 8)
    assert copied == b'{"pal_id":"%s","pal_name":"PAL 000000002"' % id.encode() + end
    assert etag == content_etag(copied, None) != first[3]
    assert list(template.copies("labels", 1)) == [(8, "name", "PAL 000000001", "pal 000000001")]


def test_no_two_of_a_million_copies_share_an_id():
    assert len({new_id(number) for number in range(1_000_000)}) == 1_000_000


@pytest.mark.parametrize(
    ("palace", "theirs", "verdict"),
    [
        pytest.param([2500.0, 2600.0, 1000.0], [100.0, 100.0, 100.0], True, id="the median of the rounds counts"),
        pytest.param([2400.0, 2400.0, 9000.0], [100.0, 100.0, 100.0], False, id="one lucky round does not"),
        pytest.param([2400.0], [0.0], None, id="who never answers is no measure"),
    ],
)
def test_an_aim_is_met_by_the_median_of_the_ratios_of_the_rounds(palace, theirs, verdict):
    first = targets.targets(results(**{"palace": palace, "conventional-history": theirs}))[0]
    assert (first.aim, first.is_met) == ("≥ 25 ×", verdict)


def test_every_reason_is_one_of_a_measure_that_there_is():
    headings = re.findall(r"^## (.+)$", (ROOT / "benchmarks/reasons.md").read_text(), re.MULTILINE)
    assert set(headings) <= {target.name for target in targets.targets(page.newest())}


def test_every_part_of_the_page_is_used_once_and_every_plot_is_shown():
    template = (ROOT / "benchmarks/performance.md.template").read_text()
    assert sorted(re.findall(r"\{\{(\w+)\}\}", template)) == sorted(page.PARTS)
    assert sorted(re.findall(r"\((performance/\w+\.svg)\)", template)) == sorted(set(page.FILES) - {"performance.md"})


@pytest.mark.parametrize("path", sorted(set(page.FILES) - {"performance.md"}))
def test_a_plot_is_an_image_with_a_title_and_colours_for_dark_pages(path):
    text = page.FILES[path]()
    assert ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title").text
    assert "prefers-color-scheme:dark" in text


def test_a_plot_without_anything_measured_says_so():
    assert "did not measure" in plots.line_plot("Nothing", plots.Axis("x"), plots.Axis("y"), [])
    assert "did not measure" in plots.bar_plot("Nothing", "s", [], ["part"])


def test_kept_results_tell_nothing_of_the_machine_but_its_kind():
    for file in (ROOT / "benchmarks/results").glob("*.json"):
        text = file.read_text()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d+-cpu-\w+\.json", file.name)
        assert re.search(r"/(?:tmp|home|root|work|var)/", text) is None
