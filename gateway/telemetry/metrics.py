"""Every metric and, for each of its labels, all values that there can be.

Names and units are OpenTelemetry's where it has some (https://opentelemetry.io/docs/specs/semconv/),
else they begin with `dashtam.`; Prometheus sees underscores, units and `_total`. No label has a
user, an address, a name that a client chose, or a path as it was sent.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.metrics import CallbackOptions, Counter, Meter, Observation

from adapters.postgres.summary import VERBS
from domain.errors import ErrorCode
from domain.sync import SyncStatus, SyncTrigger
from gateway.settings import PROVIDERS

Labels = Mapping[str, str]
Readings = Iterable[tuple[int | float, Labels]]
Source = Callable[[], Readings]

COUNTER, UP_DOWN, HISTOGRAM, GAUGE, TOTAL = "counter", "up-down", "histogram", "gauge", "total"
NO_LABELS: Labels = {}

# As the conventions advise, for HTTP and for databases.
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
STATEMENT_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

METHODS = frozenset({"GET", "HEAD", "POST", "QUERY", "OPTIONS", "_OTHER"})
STATUS_CLASSES = frozenset({"2xx", "3xx", "4xx", "5xx", "none"})  # none: nobody waited for one
OPERATION_TYPES = frozenset({"query", "mutation", "subscription"})
OUTCOMES = frozenset({"ok", "partial", "failed", "refused", "cancelled"})
CODES = frozenset(
    {
        *("BAD_REQUEST", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"),
        *("OPERATION_RESOLUTION_FAILURE", "PERSISTED_QUERY_NOT_FOUND", "DOCUMENT_REQUIRED"),
        *("PERSISTED_QUERY_NOT_SUPPORTED", "UNAUTHENTICATED", "NOT_PERMITTED", "NOT_FOUND"),
        *("TOO_COMPLEX", "RATE_LIMITED", "CONFLICT", "TIMEOUT", "UNAVAILABLE", "INTERNAL"),
        "OTHER",
    }
)
COMMAND_OUTCOMES = frozenset(
    {"ok", "unavailable", "cancelled", "failed", *(code.value for code in ErrorCode)}
)
STATEMENTS = frozenset({*VERBS, "BEGIN", "COMMIT", "OTHER"})
POOLS = frozenset({"read", "write"})
PROVIDER_LABELS = frozenset({*PROVIDERS, "other"})
CALLS = frozenset({"ok", "rejected", "failed", "cancelled", "not_asked"})
MERGED = ("created", "updated", "unchanged", "removed", "quarantined")


@dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """`labels` gives each label's values, or in words what closes the set."""

    name: str
    kind: str
    unit: str
    says: str
    labels: Mapping[str, frozenset[str] | str] = field(default_factory=dict)
    buckets: Sequence[float] = ()


HTTP = Metric(
    "http.server.request.duration",
    HISTOGRAM,
    "s",
    "Requests, from the first byte to the last of the answer",
    {
        "http.request.method": METHODS,
        "http.route": "the templates of our own routes",
        "http.response.status_class": STATUS_CLASSES,
    },
    REQUEST_S,
)
HTTP_ACTIVE = Metric("http.server.active_requests", UP_DOWN, "{request}", "Requests under way")
SOCKETS = Metric("dashtam.sockets.open", UP_DOWN, "{socket}", "WebSockets and event streams")
OPERATIONS = Metric(
    "dashtam.graphql.operation.duration",
    HISTOGRAM,
    "s",
    "GraphQL operations that ran",
    {"graphql.operation.type": OPERATION_TYPES, "outcome": OUTCOMES},
    REQUEST_S,
)
OPERATIONS_ACTIVE = Metric(
    "dashtam.graphql.operations.active", UP_DOWN, "{operation}", "GraphQL operations under way"
)
ERRORS = Metric(
    "dashtam.graphql.errors",
    COUNTER,
    "{error}",
    "Errors in answers, of requests and of fields",
    {"code": CODES},
)
UNPUBLISHED = Metric(
    "dashtam.graphql.documents.unpublished",
    COUNTER,
    "{operation}",
    "Operations of documents that nobody published, where only published ones should run",
)
COMMANDS = Metric(
    "dashtam.commands",
    COUNTER,
    "{command}",
    "What was to change something, and what came of it",
    {"action": "the actions given to @command", "outcome": COMMAND_OUTCOMES},
)
STATEMENT = Metric(
    "db.client.operation.duration",
    HISTOGRAM,
    "s",
    "Statements, as their callers waited for them",
    {"db.operation.name": STATEMENTS},
    STATEMENT_S,
)
POOL = Metric(
    "db.client.connection.count",
    GAUGE,
    "{connection}",
    "Connections of a pool",
    {
        "db.client.connection.pool.name": POOLS,
        "db.client.connection.state": frozenset({"idle", "used"}),
    },
)
POOL_MAX = Metric(
    "db.client.connection.max",
    GAUGE,
    "{connection}",
    "The most connections that a pool opens",
    {"db.client.connection.pool.name": POOLS},
)
POOL_PENDING = Metric(
    "db.client.connection.pending_requests",
    UP_DOWN,
    "{request}",
    "Those who wait for a connection",
    {"db.client.connection.pool.name": POOLS},
)
POOL_WAIT = Metric(
    "db.client.connection.wait_time",
    HISTOGRAM,
    "s",
    "How long they waited",
    {"db.client.connection.pool.name": POOLS},
    STATEMENT_S,
)
CALL = Metric(
    "dashtam.provider.call.duration",
    HISTOGRAM,
    "s",
    "Attempts to ask a provider; not_asked where its breaker or budget would not have it",
    {"provider": PROVIDER_LABELS, "outcome": CALLS},
    REQUEST_S,
)
BREAKERS = Metric(
    "dashtam.provider.breakers.open",
    GAUGE,
    "{breaker}",
    "Hosts of a provider that are not asked, since they keep failing",
    {"provider": PROVIDER_LABELS},
)
RUNS = Metric(
    "dashtam.sync.runs",
    COUNTER,
    "{run}",
    "Syncs and imports that ended",
    {
        "status": frozenset(s.value for s in SyncStatus if s.is_terminal),
        "trigger": frozenset(t.value for t in SyncTrigger),
    },
)
TRANSACTIONS = Metric(
    "dashtam.sync.transactions",
    COUNTER,
    "{transaction}",
    "What those runs received",
    {"outcome": frozenset(MERGED)},
)
JOBS = Metric(
    "dashtam.jobs.waiting",
    GAUGE,
    "{job}",
    "Jobs in the queue that may begin, of all workers together; told by each worker",
)
JOBS_OLDEST = Metric(
    "dashtam.jobs.oldest", GAUGE, "s", "How long the oldest of them has waited; told by each worker"
)
RELAY_DELAY = Metric(
    "dashtam.relay.delay",
    HISTOGRAM,
    "s",
    "From an event to its being passed on",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
RELAY_IDLE = Metric(
    "dashtam.relay.idle", GAUGE, "s", "Since this worker last looked for events and could"
)
REFUSED = Metric(
    "dashtam.limits.refused",
    COUNTER,
    "{attempt}",
    "Attempts beyond a rate",
    {"limit": "the names of our own limits"},
)
LIMITS_AWAY = Metric(
    "dashtam.limits.away", GAUGE, "", "1 while Redis, where processes share their limits, is away"
)
AUDIT_UNSEALED = Metric(
    "dashtam.audit.unsealed",
    GAUGE,
    "s",
    "How long the oldest row of the audit log has waited to be sealed; told by each process",
)
LOOP_DELAY = Metric(
    "dashtam.event_loop.delay",
    HISTOGRAM,
    "s",
    "How much later than asked for the event loop comes back",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)
MEMORY = Metric("process.memory.usage", GAUGE, "By", "Physical memory in use")
CPU = Metric(
    "process.cpu.time",
    TOTAL,
    "s",
    "Processor time",
    {"cpu.mode": frozenset({"user", "system"})},
)
COLLECTIONS = Metric(
    "cpython.gc.collections",
    TOTAL,
    "{collection}",
    "Runs of the garbage collector",
    {"cpython.gc.generation": frozenset({"0", "1", "2"})},
)
BUILD = Metric(
    "dashtam.build.info",
    GAUGE,
    "",
    "1, for what is installed",
    {"version": "ours", "python": "the interpreter's"},
)

METRICS = (
    *(HTTP, HTTP_ACTIVE, SOCKETS, OPERATIONS, OPERATIONS_ACTIVE, ERRORS, COMMANDS, STATEMENT),
    *(POOL, POOL_MAX, POOL_PENDING, POOL_WAIT, CALL, BREAKERS, RUNS, TRANSACTIONS, JOBS),
    *(JOBS_OLDEST, RELAY_DELAY, RELAY_IDLE, REFUSED, LIMITS_AWAY, AUDIT_UNSEALED),
    *(LOOP_DELAY, MEMORY, CPU, COLLECTIONS, BUILD, UNPUBLISHED),
)


def within(value: str, values: frozenset[str], otherwise: str) -> str:
    """A label's value, or what stands for all that are not in its set."""
    return value if value in values else otherwise


class Instruments:
    """The metrics, made by one meter. `sources` are asked whenever a gauge or a total is read."""

    def __init__(self, meter: Meter) -> None:
        self.sources: dict[Metric, Source] = {}
        self._sums: dict[Metric, Counter] = {}
        # Those that go up and down with each request are read when asked: a hundred times cheaper.
        self._levels: dict[Metric, dict[str, int]] = {
            m: defaultdict(int) for m in METRICS if m.kind == UP_DOWN
        }
        self._histograms = {
            m: meter.create_histogram(
                m.name, m.unit, m.says, explicit_bucket_boundaries_advisory=m.buckets
            )
            for m in METRICS
            if m.kind == HISTOGRAM
        }
        for m in METRICS:
            if m.kind == COUNTER:
                self._sums[m] = meter.create_counter(m.name, m.unit, m.says)
            elif m.kind == UP_DOWN:
                meter.create_observable_up_down_counter(m.name, [self._level(m)], m.unit, m.says)
            elif m.kind == GAUGE:
                meter.create_observable_gauge(m.name, [self._reading(m)], m.unit, m.says)
            elif m.kind == TOTAL:
                meter.create_observable_counter(m.name, [self._reading(m)], m.unit, m.says)

    def add(self, metric: Metric, count: int = 1, labels: Labels = NO_LABELS) -> None:
        self._sums[metric].add(count, labels)

    def move(self, metric: Metric, by: int, label: str = "") -> None:
        """`label` is the value of the only one that the metric has, if it has one."""
        self._levels[metric][label] += by

    def record(self, metric: Metric, value: float, labels: Labels = NO_LABELS) -> None:
        self._histograms[metric].record(value, labels)

    def _level(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        levels, names = self._levels[metric], [*metric.labels]

        def read(_: CallbackOptions) -> Iterable[Observation]:
            if not names:
                return [Observation(levels[""], NO_LABELS)]
            return [Observation(count, {names[0]: label}) for label, count in [*levels.items()]]

        return read

    def _reading(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            source = self.sources.get(metric)
            return [] if source is None else [Observation(v, labels) for v, labels in source()]

        return read
