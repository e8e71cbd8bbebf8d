"""OpenTelemetry, where the environment asks for it, and /metrics where a port is named.

While nothing is asked for, nothing of it is imported, and an operation costs one look at `current`.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters import telemetry
from gateway.settings import Settings
from gateway.telemetry.asked import Asked, asked

if TYPE_CHECKING:
    from gateway.routes.health import Health
    from gateway.telemetry.watching import Watching

__all__ = ["Readiness", "check", "count_error", "current", "opened"]


@dataclass(slots=True)
class Readiness:
    """What /readyz on the operators' port asks: `health` is set by whoever has one."""

    health: "Health | None" = None


class _State:
    watching: "Watching | None" = None


def current() -> "Watching | None":
    """Who watches this process, or None."""
    return _State.watching


def count_error(code: str) -> None:
    """An error of a request, as it is written."""
    if _State.watching is not None:
        _State.watching.error(code)


def check(settings: Settings, processes: int) -> None:
    """Whether so many processes can each open theirs.

    Raises:
        SettingsError: as `opened`.
    """
    asked(os.environ, settings.ops_port)
    if settings.ops_port is not None:
        from gateway.telemetry import ops  # noqa: PLC0415 - if asked for

        ops.check_free(settings, processes)


@asynccontextmanager
async def opened(settings: Settings, role: str, *, processes: int = 1) -> AsyncIterator[Readiness]:
    """What OTEL_* and DASHTAM_OPS_PORT ask for, until the block ends.

    `role` is "gateway" or "worker"; `processes` is how many there are of it under one port's name.

    Raises:
        SettingsError: they ask for what there is not, or the port is taken.
    """
    wanted, readiness = asked(os.environ, settings.ops_port), Readiness()
    async with AsyncExitStack() as stack:
        registry = await _watch(stack, wanted, role) if wanted else None
        if settings.ops_port is not None:
            from gateway.telemetry import ops  # noqa: PLC0415 - if asked for

            shown = None if registry is None else ops.exposition_of(registry)
            app = ops.operators(lambda: readiness.health, shown)
            await stack.enter_async_context(ops.listening(settings, processes, app))
        yield readiness


async def _watch(stack: AsyncExitStack, wanted: Asked, role: str) -> Any:
    """The registry of Prometheus, if it is to be scraped."""
    from gateway.telemetry.exporting import Providers  # noqa: PLC0415 - the SDK, if asked for
    from gateway.telemetry.process import watch_the_loop  # noqa: PLC0415 - same
    from gateway.telemetry.watching import Watching  # noqa: PLC0415 - same

    providers = Providers(wanted, role)
    stack.push_async_callback(providers.close)
    watching = Watching(providers.tracer(), providers.meter())
    _State.watching = telemetry.watch = watching
    stack.callback(_unwatch)
    looking = asyncio.create_task(watch_the_loop(watching.instruments))
    stack.push_async_callback(_ended, looking)
    return providers.registry


def _unwatch() -> None:
    _State.watching = telemetry.watch = None


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
