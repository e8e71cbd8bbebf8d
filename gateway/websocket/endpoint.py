"""GraphQL over a WebSocket: who may open one, and what goes on in it.

The protocol is graphql-transport-ws; its older namesake `graphql-ws` is refused. Queries and
mutations come this way too, through the same documents, limits and places as over HTTP.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth import Admitted
from gateway.body import fits
from gateway.csrf import CsrfRules
from gateway.faults import Fault
from gateway.negotiation import LEGACY
from gateway.operations import Operations, Places
from gateway.responses import answer, error
from gateway.websocket.connection import LiveContext, Socket, SocketLimits
from gateway.websocket.messages import PROTOCOL, WRONG_PROTOCOL
from gateway.websocket.sockets import Sockets

C = TypeVar("C", bound=LiveContext)


class GraphQLOverWs(Generic[C]):
    """`admit` says whose a socket is, from what was said on it and its headers; it may raise
    `Fault` and `Unavailable`; `address` is where it comes from, as far as that is known.
    `open_context` makes what the resolvers of one operation share.
    `rides` says whether a request has a cookie that says who somebody is: then a page of another
    site may not open a socket with it. `hears` is whether news of ended sessions arrive.
    """

    def __init__(
        self,
        *,
        operations: Operations[C],
        admit: Callable[[WebSocket, str | None], Awaitable[Admitted | None]],
        address: Callable[[WebSocket], str | None],
        open_context: Callable[[WebSocket, Admitted | None, str], C],
        rides: Callable[[WebSocket], bool],
        hears: Callable[[], bool],
        csrf: CsrfRules,
        limits: SocketLimits,
    ) -> None:
        self.operations, self.open_context = operations, open_context
        self.admit, self.address = admit, address
        self.hears, self.limits = hears, limits
        self.subscriptions = Places(limits.subscriptions)
        self.sockets = Sockets(limits.sockets)
        self._rides, self._csrf = rides, csrf

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
            socket = Socket(self, websocket, is_foreign=is_foreign)
            with self.sockets.opened(socket):
                await websocket.accept(subprotocol=PROTOCOL)
                await socket.run()
        except WebSocketDisconnect:  # before it was open
            return

    def _check(self, websocket: WebSocket) -> bool:
        """Whether a page of another site opens it, who then has to bring a token.

        A browser sends the cookie with a WebSocket whatever page opens it, and asks nobody first:
        only Origin tells (cross-site WebSocket hijacking).

        Raises: Fault 403, 414, 431, 503.
        """
        fits(websocket.scope)
        self.sockets.check()
        if self._csrf.permits(websocket.headers, simple=False):
            return False
        if self._rides(websocket):
            raise Fault(403, "NOT_PERMITTED", "this site may not open sockets here")
        return True
