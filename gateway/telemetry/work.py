"""What changes something: commands, the jobs that workers take, events that are passed on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from time import monotonic, time_ns

import structlog
from opentelemetry.trace import Link, SpanKind, format_trace_id

from domain.audit import Command
from domain.errors import DomainError, Unavailable
from domain.sync import SyncRun
from gateway.telemetry import metrics as m
from gateway.telemetry.spans import NOTHING, Spans, remote

QUEUE, RELAY = "pgqueuer", "dashtam.outbox"


class Work(Spans):
    _looked_at: float | None = None

    @property
    def relay_idle_s(self) -> float | None:
        return None if self._looked_at is None else monotonic() - self._looked_at

    @contextmanager
    def command(self, action: str, cmd: Command) -> Iterator[Callable[[object], None]]:
        """`domain.ports.Observe`."""
        outcome = "failed"

        def seen(result: object) -> None:
            if isinstance(result, SyncRun):
                self._ran(result, cmd.at)

        try:
            with self._span(action):
                yield seen
            outcome = "ok"
        except DomainError as refusal:
            outcome = refusal.code.value
            raise
        except Unavailable:
            outcome = "unavailable"
            raise
        except BaseException as error:
            outcome = "failed" if isinstance(error, Exception) else "cancelled"
            raise
        finally:
            self.instruments.add(m.COMMANDS, 1, {"action": action, "outcome": outcome})

    def _ran(self, run: SyncRun, began: datetime) -> None:
        """A run that this command ended, not one that it found ended."""
        if run.finished_at is None or run.finished_at < began:
            return
        labels = {"status": run.status.value, "trigger": run.trigger.value}
        self.instruments.add(m.RUNS, 1, labels)
        for outcome in m.MERGED:
            if count := getattr(run.transactions, outcome):
                self.instruments.add(m.TRANSACTIONS, count, {"outcome": outcome})

    @contextmanager
    def job(self, name: str, headers: Mapping[str, object] | None) -> Iterator[None]:
        """A trace of its own, linked to the request that asked for it: that was answered long ago,
        and may have asked for several.
        """
        said = {
            "messaging.system": QUEUE,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": name,
        }
        context = remote(str((headers or {}).get("traceparent", "")))
        links = () if context is None else (Link(context),)
        kind = SpanKind.CONSUMER
        with self._span(f"process {name}", kind, said, parent=NOTHING, links=links) as span:
            own = span.get_span_context()
            if not own.is_valid:
                yield
                return
            with structlog.contextvars.bound_contextvars(trace_id=format_trace_id(own.trace_id)):
                yield

    def relayed(self, count: int, began_ns: int) -> None:
        """A batch that was passed on; its span is made once it is known that there was one."""
        self._looked_at = monotonic()
        if not count:
            return
        said: dict[str, str | int] = {
            "messaging.system": "postgresql",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": RELAY,
            "messaging.batch.message_count": count,
        }
        span = self._tracer.start_span(
            f"send {RELAY}", NOTHING, SpanKind.PRODUCER, said, start_time=began_ns
        )
        span.end(time_ns())

    def passed_on(self, happened: datetime, now: datetime) -> None:
        self.instruments.record(m.RELAY_DELAY, max((now - happened).total_seconds(), 0.0))

    def refused(self, limit: str) -> None:
        self.instruments.add(m.REFUSED, 1, {"limit": limit})
