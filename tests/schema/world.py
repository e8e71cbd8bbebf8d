"""A user, another user, providers, and operations asked as the gateway asks them."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, execute, parse, validate
from strawberry.execution import optimized_is_awaitable

from adapters.security.casbin_policy import CasbinPolicy, default_policy
from adapters.security.devices import SignedDevices
from adapters.security.keyring import Keyring
from adapters.security.one_time_codes import TotpCodes
from domain.errors import InvalidInput, UnreadableFile
from domain.identity import NOBODY, Actor, User
from domain.imports import Statement
from domain.links import ProviderInfo
from domain.ports import App, Store
from domain.providers import Provider
from domain.storage.doors import Doors
from domain.storage.reads import Reads
from domain.sync import Login, Page, PullRequest, QuarantinedRow, RunId
from schema.context import ClientInfo, Context
from schema.errors import public
from schema.schema import schema
from tests.schema.builders import FILE, MANUAL_ACCOUNTS, NOW, SANDBOX, a_user
from tests.schema.ledger import Ledger, LedgerReads
from tests.schema.store import CountedLimits, MemoryStore

PASSWORD = "correct-horse-battery-staple"


@dataclass(slots=True)
class StandInProvider:
    """Connects any login whose scenario it knows, and says which."""

    info: ProviderInfo

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        scenario = credentials.get("scenario", "default")
        if scenario not in ("default", "large"):
            raise InvalidInput("no such scenario", field=("input", "using", "credentials"))
        return Login(identity=scenario, credentials=credentials)

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        raise AssertionError("the schema pulls nothing")
        yield

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}


class PlainPasswords:
    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def verify(self, password: str, hashed: str | None, *, is_known: bool = False) -> bool:
        return hashed == f"hash of {password}"

    def check(self, *, is_known: bool = False) -> None:
        pass

    def needs_rehash(self, hashed: str) -> bool:
        return False


class PlainTokens:
    def __init__(self) -> None:
        self.made = 0

    def issue(
        self, *, user_id: UUID, session_id: UUID, version: int, generation: int, now: datetime
    ) -> str:
        return f"access {session_id}"

    def new_secret(self) -> str:
        self.made += 1
        return f"secret {self.made}"

    def digest(self, secret: str) -> bytes:
        return hashlib.sha256(secret.encode()).digest()

    def successor(self, presented: str) -> str:
        return f"{presented} again"


class PlainVault:
    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        return context + plain

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        return sealed.removeprefix(context)

    def fingerprint(self, text: str, *, context: bytes) -> str:
        return hashlib.sha256(context + text.encode()).hexdigest()


def no_statement(content: bytes, name: str) -> Statement:
    raise UnreadableFile("this is no statement", line=1)


class Told:
    """`domain.ports.Movements`: says that a run moved when a test says so."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.watching: list[RunId] = []

    @contextmanager
    def watch(self, *ids: RunId) -> Iterator[asyncio.Event]:
        self.watching = [*ids]
        try:
            yield self.moved
        finally:
            self.watching = []


class World:
    """`ann` asks, unless said otherwise; what is Bob's does not exist for her."""

    def __init__(self) -> None:
        self.ann, self.bob = a_user(), a_user(email="bob@example.com")
        self.store, self.limits = MemoryStore(), CountedLimits()
        for user in (self.ann, self.bob):
            self.store.ledgers[user.id] = Ledger(user=user)
            self.store.passwords[user.id] = f"hash of {PASSWORD}"
        self.store.ledgers[NOBODY] = Ledger(user=a_user(email="nobody@example.invalid"))
        providers = {info.slug: StandInProvider(info) for info in (SANDBOX, FILE, MANUAL_ACCOUNTS)}
        self.app = App(
            store=cast("Store", self.store),
            doors=cast("Doors", self.store),
            policy=CasbinPolicy(default_policy()),
            providers=cast("Mapping[str, Provider]", providers),
            vault=PlainVault(),
            passwords=PlainPasswords(),
            common_passwords=frozenset(),
            one_time_codes=TotpCodes(),
            devices=SignedDevices(Keyring.new()),
            tokens=PlainTokens(),
            limits=self.limits,
            read_statement=no_statement,
            now=lambda: NOW,
        )
        self.opened: list[LedgerReads] = []
        self.down: Exception | None = None

    @property
    def hers(self) -> Ledger:
        return self.store.ledgers[self.ann.id]

    @property
    def his(self) -> Ledger:
        return self.store.ledgers[self.bob.id]

    @property
    def left_open(self) -> int:
        return sum(not reads.closed for reads in self.opened)

    @property
    def sent(self) -> list[str]:
        """The statements of the last operation."""
        return [statement for reads in self.opened for statement in reads.sent]

    def snapshot(self, actor: Actor) -> LedgerReads:
        reads = LedgerReads(self.store.ledgers[actor.user_id])
        reads.down = self.down
        self.opened.append(reads)
        return reads

    def context(self, viewer: User | Actor | None) -> Context:
        if isinstance(viewer, User):
            viewer = Actor(user_id=viewer.id, role=viewer.role)
        return Context(
            app=self.app,
            viewer=viewer,
            now=NOW,
            trace_id="trace",
            snapshot=cast("Callable[[Actor], Reads]", self.snapshot),
            client=ClientInfo(ip="192.0.2.1", device="a test"),
        )

    async def ask(
        self, document: str, variables: dict[str, Any] | None = None, **said: Any
    ) -> "Answer":
        """One operation with the gateway's options; signed out with `viewer=None`."""
        self.opened.clear()
        node = parse(document)
        assert validate(schema, node) == []
        context = self.context(said.get("viewer", self.ann))
        try:
            result: Any = execute(
                schema,
                node,
                context_value=context,
                variable_values=variables,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            )
            if not isinstance(result, ExecutionResult):
                result = await result
        finally:
            await context.close()
        errors = [public(error, context.trace_id) for error in result.errors or []]
        return Answer(result.data, errors, context)

    async def get(self, document: str, variables: dict[str, Any] | None = None) -> Any:
        """The data of an operation that has no errors."""
        answer = await self.ask(document, variables)
        assert answer.errors == []
        return answer.data


@dataclass(frozen=True, slots=True)
class Answer:
    data: Any
    errors: list[dict[str, Any]]
    context: Context

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


def gid(kind: str, id: UUID) -> str:
    return base64.b64encode(f"{kind}:{id}".encode()).decode()
