"""The gateway and the worker as processes of their own."""

import asyncio
import os
from types import FrameType

import structlog
import uvicorn
from starlette.applications import Starlette

from gateway.asgi import create_app
from gateway.logs import configure
from gateway.settings import Settings, SettingsError
from gateway.worker import work

log = structlog.get_logger("dashtam.process")

DRAIN_S = 2.0  # from /readyz turning red to the listener's end: a balancer's time to notice
GRACE_S = 30
HEADER_MAX = 64 << 10
BACKLOG = 1024


class _Draining(uvicorn.Server):
    """Turns /readyz red, waits, and only then stops to listen; a second signal ends at once."""

    def __init__(self, config: uvicorn.Config, app: Starlette, drain_s: float) -> None:
        super().__init__(config)
        self._app, self._drain_s = app, drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        health = getattr(self._app.state, "health", None)
        if health is None or health.draining:
            super().handle_exit(sig, frame)
            return
        health.draining = True
        log.info("process.draining")
        asyncio.get_running_loop().call_later(self._drain_s, super().handle_exit, sig, None)


def serve(settings: Settings, *, workers: int = 1) -> None:
    """Answer until a signal ends it.

    Raises:
        SettingsError: several processes without Redis would each count their own limits.
    """
    if workers > 1:
        if settings.redis_url is None:
            raise SettingsError(
                "Several gateway processes share their limits in Redis: set DASHTAM_REDIS_URL, "
                "or serve with one worker."
            )
        _serve_many(settings, workers)
        return
    configure(settings.log_level)
    app = create_app(settings)
    drain_s = 0.0 if settings.is_development else DRAIN_S
    _Draining(_config(settings, app), app, drain_s).run()


def application() -> Starlette:
    """For uvicorn's own worker processes, which read the environment again."""
    settings = Settings.read(os.environ)
    configure(settings.log_level)
    return create_app(settings)


def work_until_ended(settings: Settings) -> None:
    configure(settings.log_level)
    asyncio.run(work(settings))


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
        h11_max_incomplete_event_size=HEADER_MAX,
        backlog=BACKLOG,
        lifespan="on",
    )


def _serve_many(settings: Settings, workers: int) -> None:
    os.environ["DASHTAM_PORT"] = str(settings.port)
    uvicorn.run(
        "gateway.serving:application",
        factory=True,
        workers=workers,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
    )
