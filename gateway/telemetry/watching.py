"""All that is watched of one process, and who looks at what by itself."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import asyncpg
from opentelemetry.metrics import Meter
from opentelemetry.trace import Tracer
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters import telemetry
from domain.limits import Limit, Limiter, Verdict
from gateway.telemetry import metrics as m
from gateway.telemetry.metrics import Instruments, Readings
from gateway.telemetry.outside import Outside, provider_label
from gateway.telemetry.process import add_process
from gateway.telemetry.requests import Requests
from gateway.telemetry.work import Work


@dataclass(frozen=True, slots=True)
class PoolState:
    size: int
    idle: int
    size_max: int


@runtime_checkable
class Shared(Protocol):
    """Limits that are kept where they can be away."""

    @property
    def is_away(self) -> bool: ...


class Watching(Requests, Outside, Work):
    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        super().__init__(tracer, Instruments(meter))
        self._pools: dict[str, Callable[[], PoolState]] = {}
        self._jobs_count: int | None = None
        self._jobs_oldest_s: float | None = None
        self._unsealed_s: float | None = None
        add_process(self.instruments)
        self.instruments.sources |= {
            m.POOL: self._connections,
            m.POOL_MAX: self._connections_max,
            m.BREAKERS: _breakers,
            m.JOBS: lambda: _told(self._jobs_count),
            m.JOBS_OLDEST: lambda: _told(self._jobs_oldest_s),
            m.RELAY_IDLE: lambda: _told(self.relay_idle_s),
            m.AUDIT_UNSEALED: lambda: _told(self._unsealed_s),
        }

    def pools(self, read: asyncpg.Pool, write: AsyncEngine) -> None:
        """The newest are looked at, where they were opened again."""
        pool: Any = write.sync_engine.pool

        def reading() -> PoolState:
            return PoolState(read.get_size(), read.get_idle_size(), read.get_max_size())

        def writing() -> PoolState:
            idle: int = pool.checkedin()
            return PoolState(idle + pool.checkedout(), idle, pool.size())

        self._pools = {"read": reading, "write": writing}

    def limits(self, limits: Limiter) -> Limiter:
        if isinstance(limits, Shared):
            self.instruments.sources[m.LIMITS_AWAY] = lambda: _told(float(limits.is_away))
        return Counted(limits, self)

    def waiting_jobs(self, count: int, oldest_s: float) -> None:
        self._jobs_count, self._jobs_oldest_s = count, oldest_s

    def unsealed(self, oldest_s: float) -> None:
        self._unsealed_s = oldest_s

    def _connections(self) -> Readings:
        for name, state in [*self._pools.items()]:
            now, label = state(), "db.client.connection.state"
            pool = {"db.client.connection.pool.name": name}
            yield now.idle, {**pool, label: "idle"}
            yield now.size - now.idle, {**pool, label: "used"}

    def _connections_max(self) -> Readings:
        for name, state in [*self._pools.items()]:
            yield state().size_max, {"db.client.connection.pool.name": name}


class Counted:
    """`domain.limits.Limiter`, which counts what it refuses."""

    def __init__(self, limits: Limiter, watching: Watching) -> None:
        self._limits, self._watching = limits, watching

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        verdict = await self._limits.take(key, limit, cost)
        if not verdict.allowed:
            self._watching.refused(limit.name)
        return verdict

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        await self._limits.settle(key, limit, units, taken=taken)


def _told(value: float | None) -> Readings:
    return [] if value is None else [(value, m.NO_LABELS)]


def _breakers() -> Readings:
    found: Counter[str] = Counter()
    for breaker, provider in [*telemetry.breakers.items()]:
        found[provider_label(provider)] += breaker.is_open
    return [(count, {"provider": provider}) for provider, count in found.items()]
