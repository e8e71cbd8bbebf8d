"""What only operators see, on a port of its own: /metrics, and /healthz and /readyz once more.

It listens where the gateway does, since whoever scrapes may be on another machine; the network
decides who reaches it. Nothing on it is about anyone.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.routes.health import Health, alive
from gateway.settings import Settings, SettingsError

AT_ONCE = 16
GRACE_S = 1
BACKLOG = 64


class Exposition(Protocol):
    def __call__(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their media type."""


def operators(health: Callable[[], Health | None], exposition: Exposition | None) -> Starlette:
    """Without metrics where OpenTelemetry is disabled; not ready while there is no health."""

    async def ready(request: Request) -> Response:
        if (known := health()) is None:
            return JSONResponse({"status": "not ready", "reason": "starting"}, 503)
        return await known.ready(request)

    routes = [Route("/healthz", alive), Route("/readyz", ready)]
    if exposition is not None:
        routes.append(Route("/metrics", _metrics(exposition)))
    return Starlette(routes=routes)


def _metrics(exposition: Exposition) -> Callable[[Request], Awaitable[Response]]:
    turn = asyncio.Lock()

    async def metrics(request: Request) -> Response:
        async with turn:  # and in a thread: a thousand series take milliseconds
            accept = request.headers.get("accept", "")
            text, media = await asyncio.to_thread(exposition, accept)
        return Response(text, headers={"content-type": media, "cache-control": "no-store"})

    return metrics


def exposition_of(registry: Any) -> Exposition:
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - if asked for

    def shown(accept: str) -> tuple[bytes, str]:
        encode, media = choose_encoder(accept)
        return encode(registry), media

    return shown


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are for the process, which ends us


@asynccontextmanager
async def listening(settings: Settings, processes: int, app: Starlette) -> AsyncIterator[int]:
    """The port that it got.

    Raises:
        SettingsError: DASHTAM_OPS_PORT is taken.
    """
    bound = bind(settings, processes)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([bound]))
    try:
        yield int(bound.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        bound.close()


def bind(settings: Settings, processes: int) -> socket.socket:
    """On DASHTAM_OPS_PORT; of several processes each takes the first free one from there on, with
    one to spare for a process that takes over from another.
    """
    assert settings.ops_port is not None  # noqa: S101 - asked by the caller
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    last = settings.ops_port if processes == 1 else settings.ops_port + processes
    for port in range(settings.ops_port, min(last, 65_535) + 1):
        bound = socket.socket(family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((settings.host, port))
            bound.listen(BACKLOG)  # so that nobody else can bind it meanwhile
        except OSError as error:
            bound.close()
            if port == last or processes == 1:
                raise _taken(settings, last, error) from error
        else:
            return bound
    raise AssertionError("the last port is either bound or refused")


def check_free(settings: Settings, processes: int) -> None:
    """Raises SettingsError where any of the ports of so many processes is taken, or the gateway's.

    The latter cannot be left to `bind`: a port that is bound can be bound once more until somebody
    listens.
    """
    assert settings.ops_port is not None  # noqa: S101 - asked by the caller
    last = settings.ops_port + processes
    if settings.ops_port <= settings.port <= last:
        raise SettingsError(
            f"{processes} processes take the ports from {settings.ops_port} to {last} for "
            f"operators, and {settings.port} is the gateway's own: choose others with "
            "DASHTAM_OPS_PORT."
        )
    for number in range(processes):
        bind(replace(settings, ops_port=settings.ops_port + number), 1).close()


def _taken(settings: Settings, last: int, error: OSError) -> SettingsError:
    first = settings.ops_port
    which = f"Port {first}" if last == first else f"Each port from {first} to {last}"
    return SettingsError(
        f"{which} of {settings.host} cannot be opened ({error.strerror}): end what uses it, or "
        "choose another with DASHTAM_OPS_PORT."
    )
