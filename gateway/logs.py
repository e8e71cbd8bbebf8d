"""Logs: one JSON object a line, of an allow-list of fields, without variables or secrets."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

# What a line may say. A field that is not here is dropped and counted in `withheld`, so that a
# careless call can leak nothing. The words of exceptions are withheld too: they quote values.
FIELDS = frozenset(
    {
        *("event", "level", "timestamp", "logger", "trace_id", "request_id", "incident", "path"),
        *("method", "status", "ms", "attempt", "provider", "code", "exception", "retry_s"),
        *("run", "link", "job", "operation", "count", "reason", "port", "version", "url"),
        *("outcome", "trigger", "accounts", "transactions", "holdings", "rows", "withheld"),
        *("template", "document", "client", "statements", "route", "kind"),
    }
)
TEXT_MAX = 4_000
FRAMES_MAX = 20
PLAIN = (int, float, bool, list, type(None))

Entry = MutableMapping[str, Any]


def configure(level: str) -> None:
    """Once, at the start of a process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception,
            _allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Through()], level=logging.WARNING, force=True)


def _exception(_: object, __: str, entry: Entry) -> Entry:
    """What was raised and where, by type and frame: never its words, never a variable."""
    found = entry.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()[1]
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        entry["exception"] = shown(found)
    return entry


def shown(error: BaseException) -> str:
    """`Type at file:line in function`, innermost first, with its causes."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = [f"{f.filename.rpartition('site-packages/')[2]}:{f.lineno} {f.name}" for f in frames]
    text = f"{type(error).__module__}.{type(error).__qualname__} at " + " < ".join(reversed(places))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{text}; from {shown(cause)}"[:TEXT_MAX] if cause else text[:TEXT_MAX]


def _allowed(_: object, __: str, entry: Entry) -> Entry:
    withheld = sorted(name for name in entry if name not in FIELDS)
    kept = {
        name: value
        if isinstance(value, int | float | bool | list | None)
        else str(value)[:TEXT_MAX]
        for name, value in entry.items()
        if name in FIELDS
    }
    return {**kept, "withheld": withheld} if withheld else kept


class _Through(logging.Handler):
    """What libraries say by the standard library's logging: who, how loud and where, in our form.

    Their words are withheld: asyncpg and SQLAlchemy quote statements and their arguments.
    """

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        found = record.exc_info[1] if record.exc_info else None
        place = f"{record.module}:{record.lineno}"
        log.log(
            record.levelno, "library.said", logger=record.name, path=place, exc_info=found or False
        )
