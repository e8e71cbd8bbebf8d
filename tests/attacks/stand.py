"""What is attacked: gateways in production's settings, over real sockets."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette

from adapters.security.keyring import Keyring
from gateway.asgi import create_app
from gateway.processes.serving import _config, _Draining
from gateway.settings import Settings
from gateway.telemetry.metrics import CODES
from gateway.wiring.root import wire
from tests.e2e.linking import checking, import_file
from tests.e2e.stack import Client, environment, make_user
from tests.gateway.http.served import until
from tests.servers import Database

NEW, OLD = "application/graphql-response+json", "application/json"
MEDIA = (NEW, OLD)
# Of an exception's words, a statement, a place in our code, or a value as Python writes it.
LEAKS = re.compile(
    r"Traceback|\bFile \"|\.py\b|site-packages|0x[0-9a-f]{6,}|<class |object at |\bSELECT .* FROM\b"
    r"|INSERT INTO|asyncpg|sqlalchemy|\bstrawberry\b|graphql-core|NoneType|frozenset\(|dict_keys"
    r"|Did you mean|postgresql:"
)
NOTHING: Mapping[str, str] = {}
ANSWER_S_MAX = 30
PLENTY = "10000000"  # of points: what is attacked here is not how much one may ask


def production(
    database: Database, folder: Path, more: Mapping[str, str] = NOTHING, *, port: int = 8_000
) -> dict[str, str]:
    """As an operator would set it up, with room for very many requests from one address."""
    keys = folder / "keyring.json"
    Keyring.load_or_create(keys)
    plenty = dict.fromkeys(("POINTS", "CONNECT", "REFRESH"), PLENTY)
    asked = {
        "DASHTAM_MODE": "production",
        "DASHTAM_KEYRING": str(keys),
        "DASHTAM_ARGON2": "m=19456,t=2,p=1",
        "DASHTAM_DOCUMENTS": "log",
        "DASHTAM_PROVIDERS": "sandbox,file,manual",
        **{f"DASHTAM_LIMIT_{name}": most for name, most in plenty.items()},
    }
    return environment(database, folder, port, **{**asked, **more})


class _Server(_Draining):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are pytest's


@asynccontextmanager
async def served(app: Starlette, settings: Settings) -> AsyncIterator[str]:
    """The application in this process, on the sockets of `serve`; gives its address."""
    config = _config(replace(settings, port=0), app)
    config.timeout_graceful_shutdown = 2
    server = _Server(config, app, 0.0)
    async with _running(server):
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@asynccontextmanager
async def _running(server: uvicorn.Server) -> AsyncIterator[None]:
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started or serving.done())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@dataclass(slots=True, kw_only=True)
class Target:
    """A gateway, two people who have an account and some transactions each, and nobody."""

    url: str
    settings: Settings
    ann: Client
    bob: Client
    nobody: Client

    @property
    def program(self) -> Any:
        """As `tests.e2e.live` wants it, which opens sockets."""
        return SimpleNamespace(url=self.url)


@asynccontextmanager
async def people(url: str, settings: Settings) -> AsyncIterator[Target]:
    async with AsyncExitStack() as stack:
        found = []
        async with wire(settings) as wired:
            for _ in range(2):
                email = f"person-{secrets.token_hex(6)}@example.com"
                await make_user(wired, email)
                found.append(await client(stack, url, email))
        for number, each in enumerate(found):
            amounts = [f"-{number + 1}.{cents:02}" for cents in range(10)]
            await import_file(each, checking(*amounts))
        yield Target(
            url=url,
            settings=settings,
            ann=found[0],
            bob=found[1],
            nobody=await client(stack, url, None),
        )


async def client(stack: AsyncExitStack, url: str, email: str | None) -> Client:
    room = httpx2.Limits(max_connections=20)
    http = httpx2.AsyncClient(base_url=url, timeout=60, limits=room)
    found = Client(await stack.enter_async_context(http))
    if email is not None:
        assert (await found.sign_in(email))["errors"] == []
    return found


@asynccontextmanager
async def a_target(database: Database, folder: Path, **more: str) -> AsyncIterator[Target]:
    settings = Settings.read(production(database, folder, more))
    async with (
        served(create_app(settings), settings) as url,
        people(url, settings) as target,
    ):
        yield target


async def answered(
    client: Client, query: str, variables: Mapping[str, Any] = NOTHING, **headers: str
) -> httpx2.Response:
    """Asked again while the gateway says that it has too much to do: that is by design, and of how
    much is sent to it, not of what.
    """
    async with asyncio.timeout(ANSWER_S_MAX):
        while True:
            answer = await client.post(query, variables, **headers)
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.1)


def errors_of(said: Any) -> list[dict[str, Any]]:
    """Each with a code of the catalogue, a trace id and nothing of ours; of any transport."""
    found: list[dict[str, Any]] = said if isinstance(said, list) else said.get("errors", [])
    for error in found:
        extensions = error["extensions"]
        assert extensions["code"] in CODES - {"OTHER"}, error
        assert extensions["traceId"], error
        assert isinstance(error["message"], str), error
        assert error.keys() <= {"message", "locations", "path", "extensions"}, error
        allowed = {"code", "traceId", "incident", "retryAfterSeconds"}
        assert extensions.keys() <= allowed, error
        assert ("incident" in extensions) is (extensions["code"] == "INTERNAL"), error
        assert not LEAKS.search(error["message"]), error
    return found


def proper(answer: httpx2.Response) -> Any:
    """The JSON of an answer that is no fault of ours."""
    assert answer.status_code < 500, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"].split(";")[0] in (*MEDIA, "text/event-stream")
    said = json.loads(answer.content)
    errors_of(said)
    assert said.keys() <= {"data", "errors", "extensions"}, said
    return said
