"""Structured logs on standard error: one event a line, with its request id, never a body, a prompt or a key."""

import logging
import sys

import orjson
import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str, form: str) -> None:
    """Set up structlog for the whole process: `form` is `json` or `text`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    factory: structlog.typing.WrappedLogger
    if form == "json":
        # Without the values of local variables: those hold prompts and keys.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared += [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(_dumps)]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        plain = structlog.dev.plain_traceback
        shared += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
        factory = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_OtherPrograms(logging.WARNING)], level=logging.WARNING, force=True)


class _OtherPrograms(logging.Handler):
    """What libraries say in Python's own log: warnings and worse become events like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it once more."""
        log = structlog.get_logger("palace")
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _dumps(event: dict[str, object], **_options: object) -> bytes:
    return orjson.dumps(event, default=str)
