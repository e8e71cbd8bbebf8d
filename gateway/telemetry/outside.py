"""What we ask of others: the database and the providers. `adapters.telemetry.Watch`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import SpanKind

from adapters.telemetry import Call
from domain.errors import CredentialsRejected
from gateway.telemetry import metrics as m
from gateway.telemetry.spans import (
    ERROR_TYPE,
    Spans,
    Watched,
    current_traceparent,
    is_recording,
)

DATABASE = {"db.system.name": "postgresql"}
# The words of which providers' paths are made; whatever else is in one is an id, or a token.
WORDS = frozenset(
    {
        *("account", "accountNumbers", "accounts", "activities", "assets", "balance", "balances"),
        *("claim", "connections", "create", "exchange", "get", "history", "holdings"),
        *("institutions", "investments", "item", "items", "liabilities", "link", "login"),
        *("marketdata", "oauth", "orders", "portfolio", "positions", "public_token", "quotes"),
        *("refresh", "remove", "revoke", "sandbox", "securities", "simplefin", "sync", "token"),
        *("trader", "transactions", "userPreference", "webhook_verification_key", "v1", "v2"),
    }
)
SEGMENTS_MAX = 8


class Outside(Spans):
    @contextmanager
    def statement(self, summary: str, *, rows: int = 1) -> Iterator[None]:
        """A span only below another: what workers look for every second is no story."""
        watched = Watched()
        verb = m.within(summary.partition(" ")[0], m.STATEMENTS, "OTHER")
        try:
            if not is_recording():
                yield
                return
            said: dict[str, str | int] = {
                **DATABASE,
                "db.operation.name": verb,
                "db.query.summary": summary,
            }
            if rows > 1:
                said["db.operation.batch.size"] = rows
            with self._span(summary, SpanKind.CLIENT, said) as span:
                try:
                    yield
                except Exception as error:
                    if (state := _sqlstate(error)) is not None:
                        span.set_attribute("db.response.status_code", state)
                    raise
        finally:
            self.instruments.record(m.STATEMENT, watched.seconds, {"db.operation.name": verb})

    @contextmanager
    def unit_of_work(self) -> Iterator[None]:
        if not is_recording():
            yield
            return
        with self._span("unit of work"):
            yield

    @contextmanager
    def waiting(self, pool: str) -> Iterator[None]:
        watched, labels = Watched(), {"db.client.connection.pool.name": pool}
        self.instruments.move(m.POOL_PENDING, 1, pool)
        try:
            yield
        finally:
            self.instruments.move(m.POOL_PENDING, -1, pool)
            self.instruments.record(m.POOL_WAIT, watched.seconds, labels)

    @contextmanager
    def call(self, call: Call) -> Iterator[Callable[[int], None]]:
        """No trace context is sent along: providers are not told what our traces are called."""
        template = template_of(call.path)
        said: dict[str, str | int] = {
            "http.request.method": call.method,
            "server.address": call.host,
            "url.template": template,
            "dashtam.provider": call.provider,
        }
        if call.port is not None:
            said["server.port"] = call.port
        if call.attempt > 1:
            said["http.request.resend_count"] = call.attempt - 1
        watched, outcome = Watched(), "failed"
        try:
            with self._span(f"{call.method} {template}", SpanKind.CLIENT, said) as span:

                def answered(status: int) -> None:
                    span.set_attribute("http.response.status_code", status)
                    if status >= 400:
                        span.set_attribute(ERROR_TYPE, str(status))

                yield answered
            outcome = "ok"
        except CredentialsRejected:
            outcome = "rejected"
            raise
        except BaseException as error:
            outcome = "failed" if isinstance(error, Exception) else "cancelled"
            raise
        finally:
            self._called(call.provider, outcome, watched.seconds)

    def not_asked(self, provider: str) -> None:
        self._called(provider, "not_asked", 0.0)

    def _called(self, provider: str, outcome: str, seconds: float) -> None:
        labels = {"provider": provider_label(provider), "outcome": outcome}
        self.instruments.record(m.CALL, seconds, labels)

    def carried(self) -> Mapping[str, str] | None:
        traceparent = current_traceparent()
        return None if traceparent is None else {"traceparent": traceparent}


def provider_label(provider: str) -> str:
    return m.within(provider, m.PROVIDER_LABELS, "other")


def template_of(path: str) -> str:
    """The path with `{id}` for whatever is no known word."""
    parts = path.split("/")[: SEGMENTS_MAX + 1]
    return "/".join(part if part in WORDS or not part else "{id}" for part in parts)


def _sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code, of asyncpg's own exception or below the two layers of SQLAlchemy's."""
    cause: BaseException | None = error
    for _ in range(3):
        if isinstance(state := getattr(cause, "sqlstate", None), str):
            return state
        cause = getattr(cause, "orig", None) or (cause.__cause__ if cause else None)
    return None
