"""The page for operators says what the server does: its metrics, its limits and their defaults."""

import re
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from palace.api.metrics import exposition
from palace.metrics import METRICS, Meter
from palace.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/howto/operate.md").read_text()
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def served() -> dict[str, tuple[str, set[str]]]:
    """Kind and labels of everything that a server can tell, by its name."""
    meter = Meter(["/readyz"])
    meter.begin(1)
    meter.request("/readyz", "GET", 200, 0.1)
    found = {}
    for family in text_string_to_metric_families(
        exposition(meter, {"jobs_waiting": 0, "deliveries_waiting": 0, "conversations_active": 0}).decode()
    ):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[family.name + "_total" * (family.type == "counter")] = (family.type, labels)
    return found


def test_the_table_has_every_metric_with_its_kind_and_labels_and_no_other():
    told = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for names, kind, labels, _ in rows("Metrics")
        for name in re.findall(r"`(\w+)`", names)
    }
    assert told == served()


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric.label], ids=lambda metric: metric.name)
def test_every_value_of_a_label_is_told(metric):
    [row] = [
        row
        for row in rows("Metrics")
        if f"`palace_{metric.name}_total`" in row[0] or f"`palace_{metric.name}`" in row[0]
    ]
    assert set(metric.values) <= set(re.findall(r"`(\w+)`", row[3]))


def test_alerts_and_scrapes_are_yaml_about_metrics_that_exist():
    blocks = [yaml.safe_load(fence.content) for fence in MarkdownIt().parse(PAGE) if fence.info == "yaml"]
    assert len(blocks) == 2
    named = set(
        re.findall(r"palace_\w+", " ".join(rule["expr"] for group in blocks[1]["groups"] for rule in group["rules"]))
    )
    assert {SUFFIXES.sub("", name) for name in named} <= served().keys()


def test_limits_are_told_with_their_defaults():
    for _, settings, default, _ in rows("When there is too much"):
        first = re.findall(r"`(\w+)`", settings)[0]
        assert str(getattr(Settings(), first) or "off") == default
