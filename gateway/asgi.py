"""The gateway as an ASGI application: routes, the order of middleware, lifespan."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.routing import Route

from adapters.postgres.fanout import SESSION_ENDED, TOKENS_ROTATED, USER_CHANGED
from domain.commands.sessions import note_use
from domain.identity import Actor, Permission, SessionId, UserId
from domain.queries.budget import Budget
from domain.told import Told
from gateway import telemetry
from gateway.auth import Admitted, Authenticator
from gateway.cookies import DEVICE
from gateway.cost.pricing import OwnCounts, Pricing
from gateway.documents.following import followed
from gateway.documents.ours import documents_of
from gateway.documents.store import Documents
from gateway.documents.warming import Warming
from gateway.http.answers import REPORT
from gateway.http.csrf import PREFLIGHT, CsrfRules
from gateway.http.endpoint import GraphQLOverHttp
from gateway.http.etags import version_by
from gateway.http.idempotency import KEY, REPLAYED, Repeats
from gateway.http.profiles import PROFILES
from gateway.live.view import Live, LiveLimits
from gateway.operations import sql_report
from gateway.operations.admission import Admission
from gateway.operations.clients import CLIENT_HEADERS
from gateway.operations.points import Points
from gateway.operations.running import Operations
from gateway.processes import demo
from gateway.routes import mailed_pages
from gateway.routes.documents import Listing
from gateway.routes.graphiql import GraphiQL
from gateway.routes.oauth import Callback
from gateway.routes.webhooks import Webhooks
from gateway.settings import Settings
from gateway.sse.endpoint import EventStreams
from gateway.telemetry.tracing import Traced
from gateway.websocket.endpoint import GraphQLOverWs, SocketsApart
from gateway.wiring.health import health_of
from gateway.wiring.mail import say_where
from gateway.wiring.root import Wired, wire
from schema.context import ClientInfo, Context
from schema.errors import public
from schema.events import cursor_of
from schema.identity import STANDS_ALONE
from schema.schema import schema

DEVICE_MAX = 512
ALLOWED = ("authorization", "content-type", "traceparent", "if-none-match", "last-event-id")
EXPOSED = ("etag", "x-request-id", "retry-after", "ratelimit", "ratelimit-policy")
# Objects. An answer makes thousands, which go with it. Rarer collections find more to look at: at
# 50,000 one held everybody up for 20 ms and more under a flood of sign-ins. What they take together
# is the same, but for the largest histories, which take 5 % longer.
GARBAGE = 4_000


def create_app(settings: Settings, *, processes: int = 1) -> Starlette:
    """The gateway. Its adapters are opened by its lifespan, which then adds the routes; whoever
    is about to stop it sets `app.state.health.draining`. Where it cannot start, `app.state.failure`
    says why, for a server that keeps that to itself. `processes` is how many there are like this.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                watched = telemetry.opened(settings, "gateway", processes=processes)
                operators = await stack.enter_async_context(watched)
                wired = await stack.enter_async_context(wire(settings, processes=processes))
            except Exception as error:
                app.state.failure = error
                raise
            say_where(wired.app.mail)
            authenticator = await stack.enter_async_context(_sessions(wired))
            app.state.health = health_of(wired)
            app.router.routes.extend(app.state.health.routes())
            view = graphql_view(wired, authenticator)
            app.state.graphql = view
            try:
                following = await stack.enter_async_context(
                    followed(
                        view.operations.documents, wired, Warming(wired, view.operations.engine)
                    )
                )
            except Exception as error:
                app.state.failure = error
                raise
            app.state.health.watched += [following.warning, following.refused]
            operators.health = app.state.health
            stack.push_async_callback(view.operations.meter.close)
            live = live_of(wired, authenticator, view.operations)
            view.streams = EventStreams(live)
            app.state.sockets = sockets_view(wired, authenticator, live)
            app.state.connections = live.connections
            app.router.routes.append(Route("/graphql", view))
            app.router.routes.append(Route("/graphql/{named:path}", view))
            app.router.routes.extend(mailed_pages.routes())
            app.router.routes.extend(Callback(wired.app, authenticator).routes())
            app.router.routes.extend(Webhooks(wired.app, authenticator).routes())
            if settings.graphiql:
                documents = view.operations.documents
                app.router.routes.extend(_graphiql(wired, authenticator, documents))
            gc.collect()
            gc.freeze()  # what lives as long as the process is never looked at again
            gc.set_threshold(GARBAGE)
            yield

    return Starlette(
        middleware=[
            Middleware(Traced),
            Middleware(SocketsApart),
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_credentials=True,
                allow_methods=["GET", "HEAD", "POST", "QUERY"],
                allow_headers=[*PREFLIGHT, *CLIENT_HEADERS, *ALLOWED, DEVICE, KEY, REPORT],
                expose_headers=[*EXPOSED, DEVICE, REPLAYED],
            ),
        ],
        lifespan=lifespan,
    )


def graphql_view(wired: Wired, authenticator: Authenticator) -> GraphQLOverHttp[Context]:
    settings, figures = wired.settings, wired.settings.limits
    points = Points(wired.app.limits, wired.app.limit_settings.points)
    places = Admission(figures.operations, has_room=lambda: wired.pool.get_idle_size() > 0)
    return GraphQLOverHttp(
        schema=schema,
        documents=documents_of(settings, hide_suggestions=not settings.is_development),
        open_context=_contexts(wired, authenticator, places),
        present=public,
        places=places,
        whose=authenticator.whose,
        csrf=CsrfRules(frozenset(settings.allowed_origins)),
        admit=authenticator.signed_in,
        introspection=lambda context: settings.is_development or _administers(context),
        pricing=Pricing(most=figures.cost, count=OwnCounts(), sessions=wired.app.session_limit),
        meter=points,
        extensions=lambda context: sql_report.added(
            points.extensions(context), context.budget.spent
        ),
        refused=lambda request, status: points.refused(authenticator.address(request), status),
        headers=lambda context: [*_cookies(context, authenticator), *points.headers(context)],
        version=version_by(wired.app),
        repeats=Repeats(wired.app, STANDS_ALONE),
        profile=PROFILES[settings.http_profile],
    )


def _graphiql(wired: Wired, authenticator: Authenticator, documents: Documents) -> Iterator[Route]:
    develops = wired.settings.is_development
    yield from Listing(
        documents=documents,
        authenticator=authenticator,
        policy=wired.app.policy,
        is_open=develops,
    ).routes()
    yield from GraphiQL(demo.EMAIL if develops else None, reports=develops).routes()


def live_of(
    wired: Wired, authenticator: Authenticator, operations: Operations[Context]
) -> Live[Context]:
    """What sockets and event streams share; it is told of every session that ends."""

    def open_context(
        connection: HTTPConnection, admitted: Admitted | None, trace_id: str
    ) -> Context:
        context = _context(wired, authenticator, connection, trace_id)
        viewer = None if admitted is None else _traced(admitted.actor, trace_id)
        is_stream = connection.scope["type"] == "http"
        seen = connection.headers.get("last-event-id") if is_stream else None
        return replace(
            context,
            viewer=viewer,
            cookies=False,
            last_event_id=seen,
            lent=operations.places.lent,
        )

    live = Live(
        operations=operations,
        admit=authenticator.admitted,
        network=authenticator.network,
        open_context=open_context,
        hears=lambda: wired.endings.hears,
        cursor_of=lambda event: cursor_of(event) if isinstance(event, Told) else None,
        limits=LiveLimits(sockets=wired.settings.limits.sockets),
    )
    authenticator.ending.append(live.connections.ended)
    authenticator.changing.append(live.connections.ask_again)
    return live


def sockets_view(
    wired: Wired, authenticator: Authenticator, live: Live[Context]
) -> GraphQLOverWs[Context]:
    settings = wired.settings
    return GraphQLOverWs(
        live,
        rides=lambda websocket: authenticator.cookies.session in websocket.cookies,
        # Behind a proxy, Host may be another than the one that browsers were told.
        csrf=CsrfRules(frozenset({*settings.allowed_origins, settings.public_url})),
    )


def _contexts(
    wired: Wired, authenticator: Authenticator, places: Admission
) -> Callable[[Request], Awaitable[Context]]:
    async def open_context(request: Request) -> Context:
        if wired.settings.is_development:
            sql_report.begin(request)
        viewer = await authenticator.actor(request, root_fields=request.state.operation.root_fields)
        context = _context(wired, authenticator, request, request.state.trace_id)
        return replace(
            context,
            viewer=_traced(viewer, request.state.trace_id),
            by_cookie=viewer is not None and authenticator.came_by_cookie(request),
            set_cookie=authenticator.cookie_again(request),
            lent=places.lent,
        )

    return open_context


def _traced(viewer: Actor | None, trace_id: str) -> Actor | None:
    """So that the audit log can name the request."""
    return None if viewer is None else replace(viewer, trace_id=trace_id)


def _context(
    wired: Wired, authenticator: Authenticator, connection: HTTPConnection, trace_id: str
) -> Context:
    """Signed out."""
    device = connection.headers.get("user-agent")
    return Context(
        app=wired.app,
        viewer=None,
        now=wired.app.now(),
        trace_id=trace_id,
        snapshot=wired.snapshot,
        budget=Budget(objects=wired.settings.limits.cost),
        reports_cost=connection.headers.get(REPORT) == "report",
        client=ClientInfo(
            ip=authenticator.address(connection),
            device=device[:DEVICE_MAX] if device else None,
            known_device=authenticator.cookies.device_of(connection),
        ),
    )


def _administers(context: Context) -> bool:
    viewer = context.viewer
    return viewer is not None and context.app.policy.allows(viewer.role, Permission.READ_ADMIN)


def _cookies(context: Context, authenticator: Authenticator) -> Iterator[tuple[str, str]]:
    if context.clear_cookie:
        yield authenticator.cookies.clear_session()
    elif context.set_cookie is not None:
        yield authenticator.cookies.set_session(context.set_cookie)
    if context.set_device is not None:
        has_cookie = context.set_cookie is not None
        yield authenticator.cookies.known_device(context.set_device, cookie=has_cookie)


@asynccontextmanager
async def _sessions(wired: Wired) -> AsyncIterator[Authenticator]:
    """Who is asking; told by every process of what ends a session, or changes whose it is."""
    settings = wired.settings
    authenticator = Authenticator(
        tokens=wired.tokens,
        devices=wired.app.devices,
        doors=wired.app.doors,
        note_use=partial(note_use, wired.app),
        now=wired.app.now,
        hears=lambda: wired.endings.hears,
        secure=settings.public_url.startswith("https:"),
        trusted_proxies=settings.trusted_proxies,
    )

    told: dict[str, Callable[[str], None]] = {
        SESSION_ENDED: lambda which: authenticator.forget(SessionId(UUID(which))),
        USER_CHANGED: lambda whose: authenticator.forget_user(UserId(UUID(whose))),
        TOKENS_ROTATED: lambda _: authenticator.forget_all(),
    }

    async def hear(channel: str, tell: Callable[[str], None]) -> None:
        async with wired.endings.subscribe(channel) as news:
            async for said in news:
                try:
                    if said is None:
                        authenticator.forget_all()
                    else:
                        tell(said)
                except ValueError:  # no id: whoever reaches the database may say anything
                    authenticator.forget_all()

    hearing = [asyncio.create_task(hear(channel, tell)) for channel, tell in told.items()]
    try:
        yield authenticator
    finally:
        for task in hearing:
            task.cancel()
        await asyncio.gather(*hearing, *authenticator.noting, return_exceptions=True)
