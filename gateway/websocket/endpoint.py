"""GraphQL over a WebSocket: who may open one, and what goes on in it.

The protocol is graphql-transport-ws; its older namesake `graphql-ws` is refused. Queries and
mutations come this way too, through the same documents, limits and places as over HTTP.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.http.body import fits
from gateway.http.csrf import CsrfRules
from gateway.http.negotiation import LEGACY
from gateway.http.responses import answer
from gateway.live.view import Live, LiveContext
from gateway.operations.faults import Fault
from gateway.operations.replies import error
from gateway.websocket.connection import Socket
from gateway.websocket.messages import PROTOCOL, WRONG_PROTOCOL

PATH = "/graphql"

C = TypeVar("C", bound=LiveContext)


class SocketsApart:
    """Sockets go past what is there for requests: routes, CORS and pages of errors would keep 3 kB
    for each of them, for as long as it is open. `app.state.sockets` answers them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket" and scope["path"] == PATH:
            sockets: ASGIApp = scope["app"].state.sockets
            return sockets(scope, receive, send)
        return self._app(scope, receive, send)


class GraphQLOverWs(Generic[C]):
    """`rides` says whether a request has a cookie that says who somebody is: then a page of another
    site may not open a socket with it.
    """

    def __init__(
        self, live: Live[C], *, rides: Callable[[WebSocket], bool], csrf: CsrfRules
    ) -> None:
        self.live, self._rides, self._csrf = live, rides, csrf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        try:
            is_foreign = self._check(websocket)
        except Fault as fault:
            said = [error(fault.message, fault.code, websocket.state.trace_id)]
            refusal = answer(LEGACY, fault.status, {"errors": said}, fault.headers.items())
            await websocket.send_denial_response(refusal)
            return
        offered = scope["subprotocols"]
        try:
            if PROTOCOL not in offered:
                # Accepted, since a browser shows its script no other answer.
                await websocket.accept(subprotocol=offered[0] if offered else None)
                await websocket.close(WRONG_PROTOCOL, f"speak {PROTOCOL}")
                return
            socket = Socket(self.live, websocket, is_foreign=is_foreign)
            with self.live.connections.opened(socket):
                await websocket.accept(subprotocol=PROTOCOL)
                await socket.run()
        except WebSocketDisconnect:  # before it was open
            return

    def _check(self, websocket: WebSocket) -> bool:
        """Whether a page of another site opens it, who then has to bring a token.

        A browser sends the cookie with a WebSocket whatever page opens it, and asks nobody first:
        only Origin tells (cross-site WebSocket hijacking).

        Raises: Fault 403, 414, 429, 431, 503.
        """
        fits(websocket.scope)
        self.live.check_room(websocket)
        if self._csrf.permits(websocket.headers, simple=False):
            return False
        if self._rides(websocket):
            raise Fault(403, "NOT_PERMITTED", "this site may not open sockets here")
        return True
