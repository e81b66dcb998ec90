"""Traces, sent by OTLP: one span for each request and each turn of a conversation, with the parts that took its time
below it.

Handlers know nothing of it: they note when a part of a call began and ended (`Call.took`), and only if somebody wants
to know. So whatever runs a transaction, and in whose name, the spans lie where they belong.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from palace import __version__
from palace.call import Part

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

NANOSECONDS = 1_000_000_000
SECONDS_TO_SEND = 3
"""How long the end of the server waits for a collector that does not answer."""


class CannotTrace(Exception):
    """OpenTelemetry is not installed."""


class Tracing:
    """Makes the spans and sends them in the background. A collector that is down loses spans, and nothing else."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("palace", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, headers: Mapping[str, str], started: float) -> "Span":
        """The span of a request that came at `started`, since 1970; below that of `traceparent` (W3C Trace Context)."""
        from opentelemetry.trace import SpanKind

        context = self._propagator.extract(headers)
        return self._tracer.start_span("request", context, SpanKind.SERVER, start_time=_nanoseconds(started))

    def end(self, span: "Span", name: str, attributes: Mapping[str, Any], parts: Sequence[Part], ended: float) -> None:
        """The request was answered. The times of `parts` are since 1970, too. A status from 500 is an error."""
        from opentelemetry.trace import StatusCode

        self._put_below(span, parts)
        span.update_name(name)
        span.set_attributes(_known(attributes))
        if attributes["http.response.status_code"] >= 500:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(ended))

    def whole(
        self, name: str, started: float, ended: float, attributes: Mapping[str, Any], parts: Sequence[Part]
    ) -> None:
        """A span that is a trace of its own, once it is over. All times are since 1970."""
        span = self._tracer.start_span(
            name, _nothing(), start_time=_nanoseconds(started), attributes=_known(attributes)
        )
        self._put_below(span, parts)
        span.end(_nanoseconds(ended))

    def _put_below(self, span: "Span", parts: Sequence[Part]) -> None:
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(span)
        for part in parts:
            started = _nanoseconds(part.started)
            below = self._tracer.start_span(part.name, context, start_time=started, attributes=_known(part.facts))
            below.end(_nanoseconds(part.ended))

    def close(self) -> None:
        """Send what is left; blocks while it does."""
        self._provider.force_flush(SECONDS_TO_SEND * 1000)
        self._provider.shutdown()


def trace_id(span: "Span") -> str:
    """The id of the trace that a span belongs to, as `traceparent` has it."""
    return f"{span.get_span_context().trace_id:032x}"


def open_tracing(endpoint: str) -> Tracing | None:
    """Traces that go to the collector at `endpoint`, or None without one. Raises CannotTrace."""
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        text = "otlp_endpoint is set, but OpenTelemetry is not installed: pip install 'palace-server[otel]'."
        raise CannotTrace(text) from error
    resource = Resource.create({"service.name": "palace", "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=SECONDS_TO_SEND)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value is not None}


def _nothing() -> "Context":
    """Below no other span, whatever request goes on just now."""
    from opentelemetry.context import Context

    return Context()


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
