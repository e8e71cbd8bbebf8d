"""The gateway and the worker as processes of their own."""

import asyncio
import logging
import os
import resource
import socket
import time
from functools import partial
from types import FrameType

import asyncpg
import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from adapters.postgres.pool import AWAY
from domain.errors import Unavailable
from gateway import telemetry
from gateway.http.shedding import SheddingTransport
from gateway.logs import configure
from gateway.processes.draining import DRAIN_S, SETTLE_S, Drain, turn_away
from gateway.settings import Settings, SettingsError
from gateway.websocket.transport import WebSocketTransport

log = structlog.get_logger("dashtam.process")

SAME_S = 1.0  # a service manager may end parent and children, whom the parent ends then too
GRACE_S = 30
HEADER_MAX = 64 << 10
BACKLOG = 1024
PROCESSES = "_DASHTAM_PROCESSES"  # from the parent to its own: how many they are
OTHER_FILES = 1_024  # what is open beside sockets: requests, the database, Redis
HEARTBEAT_S = 20.0  # between two pings of a socket, and until the peer that gives no pong is dead


class _Draining(uvicorn.Server):
    """Ends as `Drain` says."""

    def __init__(self, config: uvicorn.Config, app: Starlette, drain_s: float) -> None:
        super().__init__(config)
        self._drain = Drain(app, drain_s)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        said = logging.getLogger("uvicorn.error")  # that it failed; why, we say ourselves
        said.disabled = True
        try:
            await super().startup(sockets)
        finally:
            said.disabled = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or ():
            turn_away(listening)
            await asyncio.sleep(SETTLE_S)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain.begin(partial(super().handle_exit, sig, frame))


class _Workers(Multiprocess):
    """uvicorn's processes, each of which drains; the listener is theirs together."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, drain_s: float) -> None:
        super().__init__(config, [listening])
        self._listening, self._drain_s = listening, drain_s

    def terminate_all(self) -> None:
        super().terminate_all()
        time.sleep(max(self._drain_s - SETTLE_S, 0.0))
        turn_away(self._listening)
        self._listening.close()  # else it would outlive them, and nobody would answer


def serve(settings: Settings, *, workers: int = 1) -> None:
    """Answer until a signal ends it.

    Raises:
        SettingsError: no database, no keys, or the port is taken; or several processes without
            Redis, which would each count their own limits.
        Unavailable: the database cannot be reached.
    """
    _allow_files(settings.limits.sockets + OTHER_FILES)
    if workers > 1:
        if settings.redis_url is None:
            raise SettingsError(
                "Several gateway processes share their limits in Redis: set DASHTAM_REDIS_URL, "
                "or serve with one worker."
            )
        _serve_many(settings, workers)
        return
    from gateway.asgi import create_app  # noqa: PLC0415 - a worker needs none of it

    configure(settings.log_level)
    app = create_app(settings)
    with _listening(settings) as listening:
        try:
            _Draining(_config(settings, app), app, _drain_s(settings)).run([listening])
        except SystemExit:
            failure: Exception | None = getattr(app.state, "failure", None)
            if failure is None:
                raise
            raise failure from None


def _allow_files(count: int) -> None:
    """Every socket is an open file, of which 1,024 are the usual limit, but seldom the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        if most < count:
            log.warning("process.few_files", count=most)


def _listening(settings: Settings) -> socket.socket:
    """Bound, so that nobody else takes it; uvicorn listens on it once everything is open."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be opened ({error.strerror}): end "
            "what uses it, or choose another with --port."
        ) from error
    return bound


def application() -> Starlette:
    """For uvicorn's own worker processes, which read the environment again."""
    from gateway.asgi import create_app  # noqa: PLC0415 - same

    settings = Settings.read(os.environ)
    configure(settings.log_level)
    app = create_app(settings, processes=int(os.environ[PROCESSES]))
    Drain(app, _drain_s(settings), same_s=SAME_S).install()
    return app


def _drain_s(settings: Settings) -> float:
    return 0.0 if settings.is_development else DRAIN_S


def work_until_ended(settings: Settings) -> None:
    """Raises SettingsError, Unavailable: whoever started it starts it again."""
    from gateway.worker.process import work  # noqa: PLC0415 - a gateway needs none of it

    configure(settings.log_level)
    try:
        asyncio.run(work(settings))
    except (*AWAY, asyncpg.InterfaceError) as error:
        log.exception("worker.database_away")
        raise Unavailable("the database is away") from error


async def _openable(settings: Settings) -> None:
    """What keeps a gateway from starting is said once, here: uvicorn's processes would not say it.

    Raises SettingsError, Unavailable.
    """
    from gateway.wiring.root import wire  # noqa: PLC0415 - as above

    async with wire(settings):
        return


def _config(settings: Settings, app: Starlette | str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        http=SheddingTransport,
        ws=WebSocketTransport,
        ws_max_size=settings.limits.body,
        ws_ping_interval=HEARTBEAT_S,
        ws_ping_timeout=HEARTBEAT_S,
        # Its windows take memory for each socket, and what is compressed beside what a stranger
        # chose tells by its length what it was.
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=HEADER_MAX,
        backlog=BACKLOG,
        lifespan="on",
    )


def _serve_many(settings: Settings, workers: int) -> None:
    telemetry.check(settings, workers)
    asyncio.run(_openable(settings))
    os.environ["DASHTAM_PORT"] = str(settings.port)
    os.environ[PROCESSES] = str(workers)
    config = _config(settings, "gateway.processes.serving:application")
    config.workers = workers
    with _listening(settings) as listening:
        listening.set_inheritable(True)
        _Workers(config, listening, _drain_s(settings)).run()
