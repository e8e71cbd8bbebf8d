"""The application with ports that raise what a test has armed, in one place at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from domain.identity import Actor, UserId
from domain.links import ProviderInfo
from domain.ports import Feed
from domain.providers import Provider
from domain.storage.reads import Reads
from domain.sync import Login
from domain.told import Told
from gateway.asgi import _sessions, graphql_view, live_of, sockets_view
from gateway.http.endpoint import DEADLINE_S
from gateway.settings import HttpProfile, Settings
from gateway.sse.endpoint import EventStreams
from gateway.telemetry.tracing import Traced
from gateway.wiring.root import Wired, wire
from tests.attacks.stand import Target, people, production, served
from tests.servers import Database

PLACES = ("resolver", "edge", "source", "stream", "event", "provider", "hanging")


@dataclass(slots=True)
class Armed:
    """What is raised, and where. In `transactions` each search has its own."""

    where: str | None = None
    make: Callable[[], BaseException] = RuntimeError
    by_search: dict[str, Callable[[], BaseException]] = field(default_factory=dict)

    @contextmanager
    def at(self, where: str, make: Callable[[], BaseException]) -> Iterator[None]:
        assert where in PLACES
        self.where, self.make = where, make
        try:
            yield
        finally:
            self.where = None

    async def hang(self) -> None:
        if self.where == "hanging":
            await asyncio.get_running_loop().create_future()

    def meet(self, place: str) -> None:
        if self.where == place:
            raise self.make()


class BrokenReads:
    """`domain.storage.reads.Reads`: a viewer's own, until it meets what is armed."""

    def __init__(self, reads: Reads, armed: Armed) -> None:
        self._reads, self._armed = reads, armed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    async def accounts(self) -> Any:
        self._armed.meet("resolver")
        await self._armed.hang()
        return await self._reads.accounts()

    async def last_runs(self, links: Any) -> Any:
        self._armed.meet("edge")
        return await self._reads.last_runs(links)

    async def runs_by_id(self, ids: Any) -> Any:
        self._armed.meet("event")
        return await self._reads.runs_by_id(ids)

    async def last_event(self) -> int:
        self._armed.meet("source")
        await self._armed.hang()
        return await self._reads.last_event()

    async def transactions(self, filter: Any, *rest: Any, **more: Any) -> Any:
        if filter.search in self._armed.by_search:
            found = self._armed.by_search[filter.search]()
            raise found
        return await self._reads.transactions(filter, *rest, **more)


class BrokenFeed:
    """`domain.ports.Feed`, which tells nothing once it is armed."""

    def __init__(self, feed: Feed, armed: Armed) -> None:
        self._feed, self._armed = feed, armed

    @contextmanager
    def follow(self, user_id: UserId, place: int) -> Iterator[AsyncIterator[Told]]:
        with self._feed.follow(user_id, place) as happening:
            yield self._told(happening)

    async def _told(self, happening: Any) -> AsyncIterator[Told]:
        self._armed.meet("stream")
        async for event in happening:
            yield event


class BrokenProvider:
    """`domain.providers.Provider` of a sandbox whose adapter has a bug."""

    def __init__(self, provider: Provider, armed: Armed) -> None:
        self.info: ProviderInfo = provider.info
        self._provider, self._armed = provider, armed

    async def connect(self, credentials: Mapping[str, str], at: Any) -> Login:
        self._armed.meet("provider")
        return await self._provider.connect(credentials, at)

    def pull(self, request: Any) -> Any:
        return self._provider.pull(request)

    def replay(self, rows: Sequence[Any]) -> Any:
        return self._provider.replay(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenWired(Wired):
    armed: Armed

    def snapshot(self, actor: Actor) -> Reads:
        return cast("Reads", BrokenReads(super(BrokenWired, self).snapshot(actor), self.armed))


@dataclass(slots=True, kw_only=True)
class Broken:
    """One application, answering by both profiles."""

    armed: Armed
    database: Database
    targets: Mapping[HttpProfile, Target]

    @property
    def target(self) -> Target:
        return self.targets[HttpProfile.DEFAULT]


@asynccontextmanager
async def a_broken(
    database: Database,
    folder: Path,
    *,
    deadline_s: Mapping[HttpProfile, float] | None = None,
    **more: str,
) -> AsyncIterator[Broken]:
    """People come in by the default profile; operations have these seconds, by the profile."""
    settings = Settings.read(production(database, folder, more))
    async with AsyncExitStack() as stack:
        wired = await stack.enter_async_context(wire(settings))
        armed, urls = Armed(), {}
        for profile in HttpProfile:
            app = await stack.enter_async_context(
                _application(
                    _broken(wired, armed, replace(settings, http_profile=profile)),
                    (deadline_s or {}).get(profile, DEADLINE_S),
                )
            )
            urls[profile] = await stack.enter_async_context(served(app, settings))
        found = await stack.enter_async_context(people(urls[HttpProfile.DEFAULT], settings))
        targets = {profile: replace(found, url=url) for profile, url in urls.items()}
        yield Broken(armed=armed, database=database, targets=targets)


def _broken(wired: Wired, armed: Armed, settings: Settings) -> BrokenWired:
    parts = {each.name: getattr(wired, each.name) for each in fields(Wired)}
    sandbox = wired.app.providers["sandbox"]
    app = replace(
        wired.app,
        feed=cast("Feed", BrokenFeed(wired.app.feed, armed)),
        providers={**wired.app.providers, "sandbox": BrokenProvider(sandbox, armed)},
    )
    return BrokenWired(**{**parts, "settings": settings, "app": app}, armed=armed)


@asynccontextmanager
async def _application(wired: Wired, deadline_s: float) -> AsyncIterator[Starlette]:
    """As `create_app` puts it together."""
    async with _sessions(wired) as authenticator:
        view = graphql_view(wired, authenticator)
        view.deadline_s = deadline_s
        live = live_of(wired, authenticator, view.operations)
        live = replace(live, limits=replace(live.limits, deadline_s=deadline_s))
        view.streams = EventStreams(live)
        app = Starlette(
            routes=[
                Route("/graphql", view),
                WebSocketRoute("/graphql", sockets_view(wired, authenticator, live)),
            ],
            middleware=[Middleware(Traced)],
        )
        app.state.health = SimpleNamespace(draining=False)
        app.state.connections = live.connections
        yield app
