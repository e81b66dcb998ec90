"""The page for Prometheus: what the workers counted and what their processes take, as text."""

import asyncio
import hmac
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace import __version__
from palace.api.bodies import header
from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.errors import InvalidAccessToken, NoSuchRoute
from palace.metrics import METRICS, REQUEST_SECONDS, REQUESTS, Histogram, Meter, Metric
from palace.resource import Services
from palace.settings import Settings
from palace.storage import StorageFailure

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

METRICS_PATH = "/metrics"
PREFIX = "palace_"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
BEARER = "Bearer "
SECONDS_TO_COUNT = 1.0
"""How long a scrape waits for the one figure that the database has; Prometheus gives it ten for all of them."""


def metrics_route(settings: Settings, services: Services) -> BaseRoute:
    """Where Prometheus reads, or is told that the page is switched off."""
    return named_route(METRICS_PATH, _MetricsPage(settings, services))


class _MetricsPage:
    def __init__(self, settings: Settings, services: Services) -> None:
        self._is_on = settings.metrics
        self._token = settings.metrics_token
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """All figures. Raises InvalidAccessToken where there is a token, and another one was sent."""
        if not self._is_on:
            raise NoSuchRoute(f"{METRICS_PATH} is switched off on this server: start it with --metrics.")
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        self._check(header(scope, b"authorization") or "")
        text = await asyncio.to_thread(exposition, self._services.meter, await self._waiting())
        await Response(text, media_type=TEXT)(scope, receive, send)

    async def _waiting(self) -> dict[str, int]:
        """What waits in the database; nothing while that is away: all other figures are wanted."""
        reading = self._services.store.reading
        with suppress(StorageFailure, TimeoutError):
            async with asyncio.timeout(SECONDS_TO_COUNT):
                return {
                    "jobs_waiting": await reading.jobs.waiting(),
                    "deliveries_waiting": await reading.webhooks.waiting(),
                    "conversations_active": await reading.conversations.going_on(),
                }
        return {}

    def _check(self, sent: str) -> None:
        if self._token and not hmac.compare_digest(sent.encode(), (BEARER + self._token).encode()):
            error = InvalidAccessToken(f"{METRICS_PATH} takes the header `Authorization: Bearer` with its own token.")
            error.headers["www-authenticate"] = "Bearer"
            raise error


WAITING = {
    "jobs_waiting": "Jobs in the database that wait.",
    "deliveries_waiting": "Callbacks in the database that have not arrived.",
    "conversations_active": "Conversations in the database that go on.",
}
"""What the database is asked for at each scrape."""


def exposition(meter: Meter, waiting: Mapping[str, int]) -> bytes:
    """The text of the page: what the meter tells, and what the database counts. It takes some milliseconds, so it is
    made in a thread.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    class All:
        def collect(self) -> "Iterable[Family]":
            yield from _families(meter, waiting)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(All())
    return generate_latest(registry)


def _families(meter: Meter, waiting: Mapping[str, int]) -> "Iterator[Family]":
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily(
        PREFIX.rstrip("_"),
        "Version of the server and of Python.",
        {"version": __version__, "python": platform.python_version()},
    )
    yield from _requests(meter)
    for metric in METRICS:
        yield _family(metric, meter)
    for what, count in waiting.items():
        yield GaugeMetricFamily(PREFIX + what, WAITING[what], count)
    yield from _processes(meter)


def _requests(meter: Meter) -> "Iterator[Family]":
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    answered = CounterMetricFamily(
        PREFIX + REQUESTS, "Requests that were answered.", labels=["route", "method", "status"]
    )
    took = HistogramMetricFamily(PREFIX + REQUEST_SECONDS.name, REQUEST_SECONDS.sentence, labels=["route", "method"])
    for route, method, statuses, histogram in meter.requests():
        for status, count in statuses.items():
            answered.add_metric([route, method, status], count)
        took.add_metric([route, method], _buckets(REQUEST_SECONDS, histogram), histogram.sum)
    yield answered
    yield took


def _family(metric: Metric, meter: Meter) -> "Family":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    name, sentence = PREFIX + metric.name, metric.sentence
    if metric.kind != "histogram":
        kind = GaugeMetricFamily if metric.kind == "gauge" else CounterMetricFamily
        if not metric.label:
            return kind(name, sentence, meter.value(metric.name))
        labelled = kind(name, sentence, labels=[metric.label])
        for value in metric.values:
            labelled.add_metric([value], meter.value(f"{metric.name}/{value}"))
        return labelled
    histogram = meter.histogram(metric.name)
    return HistogramMetricFamily(name, sentence, _buckets(metric, histogram), histogram.sum)


def _buckets(metric: Metric, histogram: Histogram) -> list[tuple[str, float]]:
    """As Prometheus wants them: each with what lies in those before it."""
    from prometheus_client.utils import floatToGoString

    bounds = [floatToGoString(bound) for bound in (*metric.bounds, math.inf)]  # type: ignore[no-untyped-call]
    return [*zip(bounds, accumulate(histogram.buckets), strict=True)]


def _processes(meter: Meter) -> "Iterator[Family]":
    """Memory, CPU time and open files of every worker, under the names that all programs have for them."""
    from prometheus_client import ProcessCollector
    from prometheus_client.core import Metric as Family

    merged: dict[str, Family] = {}
    for worker, process in meter.processes().items():
        for family in ProcessCollector(pid=partial(int, process), registry=None).collect():
            one = merged.setdefault(family.name, Family(family.name, family.documentation, family.type))
            for sample in family.samples:
                one.add_sample(sample.name, {"worker": str(worker)}, sample.value)
    yield from merged.values()
