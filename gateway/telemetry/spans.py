"""Spans that say what happened and how long it took, and nothing that anyone wrote.

An attribute is a word of ours, a number, a host, or the name of an operation. An exception is told
by its type: its words quote values.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
    use_span,
)

from domain.errors import DomainError
from gateway.telemetry.metrics import Instruments
from gateway.telemetry.traceparent import TRACEPARENT

Attributes = Mapping[str, str | int]

ERROR_TYPE = "error.type"
NOTHING = Context()  # no parent
CHOSEN: ContextVar[int | None] = ContextVar("chosen", default=None)  # the next root's trace id


class Spans:
    """What every kind of span and metric is made with."""

    def __init__(self, tracer: Tracer, instruments: Instruments) -> None:
        self._tracer, self.instruments = tracer, instruments

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        *,
        parent: Context | None = None,
        links: tuple[Link, ...] = (),
    ) -> Iterator[Span]:
        """A refusal is no error of ours: it has its code, and the status stays unset."""
        span = self._tracer.start_span(
            name,
            parent,
            kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        )
        with use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield span
            except BaseException as error:
                if span.is_recording():
                    span.set_attribute(ERROR_TYPE, kind_of(error))
                    if not isinstance(error, DomainError):
                        span.set_status(StatusCode.ERROR)
                raise


def kind_of(error: BaseException) -> str:
    """A refusal's code, or the type of what went wrong."""
    if isinstance(error, DomainError):
        return error.code.value
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def remote(traceparent: str) -> SpanContext | None:
    """Who caused this, as https://www.w3.org/TR/trace-context/ has it; None for what is not valid.

    A client chooses it, and with it which trace our spans join and, under a parent-based sampler,
    whether they are kept: that much they may say. `tracestate` is not taken over, since it would
    be their words in our spans.
    """
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None or traceparent.startswith("ff"):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    context = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return context if context.is_valid else None


@contextmanager
def rooted(trace_id: str) -> Iterator[None]:
    """A root's trace gets this id, of 32 hexadecimal digits."""
    if get_current_span().get_span_context().is_valid:
        yield
        return
    token = CHOSEN.set(int(trace_id, 16))
    try:
        yield
    finally:
        CHOSEN.reset(token)


def below(context: SpanContext | None) -> Context:
    """What a span of that parent is started in; a root's, for None."""
    return NOTHING if context is None else set_span_in_context(NonRecordingSpan(context), NOTHING)


def current_traceparent() -> str | None:
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    ids = f"{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}"
    return f"00-{ids}-{context.trace_flags:02x}"


def is_recording() -> bool:
    return get_current_span().is_recording()


class Watched:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._began
