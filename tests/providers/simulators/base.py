"""A provider as a real HTTP server: it logs and checks what it is asked, and fails as it is told.

Simulator.app ──> log ──> trouble? ──> the subclass's own routes ──> mutations ──> the answer
    ├── `async with sim`   on a loopback socket
    └── `sim.inside()`     in process, where sockets add nothing
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from fnmatch import fnmatchcase
from json import loads
from typing import Any, Self
from urllib.parse import parse_qs

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from adapters.providers.kit import Outside
from tests.providers.fakes import Clock, outside

ENDLESS_BYTES = 1 << 30
PART_BYTES = 1 << 16
PAGE = "<html><head><title>Just a moment...</title></head><body>Forbidden</body></html>"

Mutation = Callable[[bytes], bytes]


class Trouble(Enum):
    """What can go wrong on the way. `seconds` of `fault` is how slow SLOW is, and between the
    bytes of DRIBBLE."""

    UNAUTHORIZED = "401 with JSON"
    FORBIDDEN_PAGE = "403 with HTML"
    LIMITED = "429 without headers"
    LIMITED_UNTIL = "429 with Retry-After: 7"
    BROKEN = "500 with JSON"
    AWAY = "503 with HTML"
    SLOW = "the right answer, late"
    HANG = "no answer at all"
    DRIBBLE = "the right answer, a byte at a time"
    CUT = "half of the right answer"
    ENDLESS = "a gigabyte"
    NOT_JSON = "200 with HTML"
    EMPTY = "200 with nothing"


_ANSWERS: Mapping[Trouble, Callable[[], Response]] = {
    Trouble.UNAUTHORIZED: lambda: JSONResponse({"message": "unauthorized"}, 401),
    Trouble.FORBIDDEN_PAGE: lambda: Response(PAGE, 403, media_type="text/html"),
    Trouble.LIMITED: lambda: JSONResponse({"message": "too many requests"}, 429),
    Trouble.LIMITED_UNTIL: lambda: JSONResponse({}, 429, {"retry-after": "7"}),
    Trouble.BROKEN: lambda: JSONResponse({"message": "internal error"}, 500),
    Trouble.AWAY: lambda: Response(PAGE, 503, media_type="text/html"),
    Trouble.NOT_JSON: lambda: Response(PAGE, 200, media_type="text/html"),
    Trouble.EMPTY: lambda: Response(b"", 200),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came; `headers` by name in lower case."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def param(self, name: str) -> str | None:
        """The one value of a parameter; None where it is absent or said twice."""
        said = self.query.get(name, ())
        return said[0] if len(said) == 1 else None

    @property
    def json(self) -> Any:
        return loads(self.body)

    @property
    def form(self) -> Mapping[str, str]:
        said = parse_qs(self.body.decode(), keep_blank_values=True)
        return {name: values[-1] for name, values in said.items()}


@dataclass(slots=True)
class _Due:
    """Something for the requests of a path, after the first few, so many times."""

    path: str | None
    times: int
    after: int
    what: Trouble | Response | None = None
    seconds: float = 0.0

    def takes(self, path: str) -> bool:
        if self.times <= 0 or (self.path is not None and not fnmatchcase(path, self.path)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass(eq=False)
class Simulator:
    """Subclass it: `routes` are the provider's; each handler may `complain` of what it is asked.

    `now` is the simulated time. A request that a route does not know is complained of by itself.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    requests: list[Received] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults: list[_Due] = []
        self._mutations: list[tuple[_Due, Mutation]] = []
        self._routed = Starlette(routes=list(self.routes()))
        self._ending = asyncio.Event()
        self._serving: Any = None
        self._port: int | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """What this provider answers. Asked for once, when it is made."""
        return ()

    def complain(self, sentence: str) -> None:
        """The request is not as the provider's own description has it."""
        self.complaints.append(sentence)

    # ── what a test says ────────────────────────────────────────────────────

    def fault(
        self,
        kind: Trouble | Response,
        *,
        path: str | None = None,
        times: int = 1,
        after: int = 0,
        seconds: float = 0.2,
    ) -> None:
        """The next `times` requests of `path` (a pattern as of a shell: "/v1/*"), once `after` of
        them went well, meet this; a Response is answered instead of what the routes would say."""
        self._faults.append(_Due(path, times, after, kind, seconds))

    def mutate(
        self, change: Mutation, *, path: str | None = None, times: int = 1, after: int = 0
    ) -> None:
        """The body of the next good answers of `path` is changed so."""
        self._mutations.append((_Due(path, times, after), change))

    def mend(self) -> None:
        """Forget faults and mutations that did not come to pass."""
        self._faults.clear()
        self._mutations.clear()

    def asked(self, path: str) -> list[Received]:
        """The requests whose path is of this pattern."""
        return [request for request in self.requests if fnmatchcase(request.path, path)]

    # ── where it is ─────────────────────────────────────────────────────────

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port or 9}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def outside(self, clock: Clock | None = None) -> Outside:
        """For an adapter that is to reach this, through its socket."""
        return outside(clock, self.host)

    def inside(self, clock: Clock | None = None) -> Outside:
        """As `outside`, in process: for SLOW, HANG, DRIBBLE, CUT and ENDLESS there is no socket."""
        return outside(clock, self.host, transport=httpx2.ASGITransport(app=self))

    async def __aenter__(self) -> Self:
        self._ending.clear()
        self._serving = self._served()
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._serving.__aexit__(None, None, None)

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        """uvicorn's own protocol, without the server around it, which takes 0.2 s to end."""
        config = uvicorn.Config(self, http=HttpToolsProtocol, lifespan="off", log_config=None)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}),
            "127.0.0.1",
            self._port or 0,  # the same again after a restart
        )
        self._port = server.sockets[0].getsockname()[1]
        said = logging.getLogger("uvicorn.error")
        level = said.level
        said.setLevel(logging.CRITICAL)  # that CUT is cut off is meant
        try:
            yield
        finally:
            self._ending.set()
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()
            await asyncio.gather(*state.tasks, return_exceptions=True)
            await server.wait_closed()
            said.setLevel(level)

    # ── as an ASGI application ──────────────────────────────────────────────

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        path = scope["path"]
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.requests.append(
            Received(
                method=scope["method"], path=path, query=query, headers=headers, body=body,
                at=self.now(),
            )
        )  # fmt: skip
        due = next((due for due in self._faults if due.takes(path)), None)
        if due is not None and isinstance(due.what, Response):
            return await due.what(scope, receive, send)
        trouble = due.what if due is not None else None
        if isinstance(trouble, Trouble) and trouble in _ANSWERS:
            return await _ANSWERS[trouble]()(scope, receive, send)
        if trouble is Trouble.ENDLESS:
            return await self._endless(send)
        if trouble is Trouble.HANG:
            await self._ending.wait()
            return None
        if trouble is Trouble.SLOW and due is not None:
            await self._pause(due.seconds)
        start, content = await self._answer(scope, body)
        if 200 <= start["status"] < 300:
            for change in [change for due, change in self._mutations if due.takes(path)]:
                content = change(content)
        await self._say(start, content, send, due)
        return None

    async def _answer(self, scope: Scope, body: bytes) -> tuple[Message, bytes]:
        """What the routes say to it."""
        told: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        routed = dict(scope)
        await self._routed(routed, receive, send)
        if "endpoint" not in routed:
            self.complain(f"{scope['method']} {scope['path']} is nothing that there is")
        start, *rest = told
        return start, b"".join(part.get("body", b"") for part in rest)

    async def _say(self, start: Message, content: bytes, send: Send, due: _Due | None) -> None:
        headers = [(n, v) for n, v in start["headers"] if n.lower() != b"content-length"]
        headers.append((b"content-length", str(len(content)).encode()))
        await send({**start, "headers": headers})
        trouble = due.what if due is not None else None
        if trouble is Trouble.CUT:
            half = content[: max(len(content) // 2, 1)]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            return  # the server closes what is not complete
        if trouble is Trouble.DRIBBLE and due is not None:
            for n in range(len(content)):
                if self._ending.is_set():
                    return
                await send(
                    {"type": "http.response.body", "body": content[n : n + 1], "more_body": True}
                )
                await self._pause(due.seconds)
            content = b""
        await send({"type": "http.response.body", "body": content})

    async def _endless(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        part = b"[" + b"1," * ((PART_BYTES - 1) // 2)
        for _ in range(ENDLESS_BYTES // PART_BYTES):
            if self._ending.is_set():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"1]"})

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
