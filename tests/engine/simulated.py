"""Months of syncs in seconds: the real commands, over links and runs that are kept in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from adapters.memory.budgets import MemoryBudgets
from adapters.security.casbin_policy import CasbinPolicy, default_policy
from domain.audit import Attempt, AuditOutcome
from domain.commands.running import RunSync, run_sync
from domain.commands.sync import ScheduleSync, schedule_sync
from domain.errors import NotFound, ProviderUnavailable
from domain.events import Event
from domain.identity import Actor, Role, UserId, new_id
from domain.links import Link, LinkId
from domain.ports import App, Store
from domain.providers import Allowance, Provider
from domain.storage.doors import Doors
from domain.storage.work import Work
from domain.sync import Login, Page, PullRequest, QuarantinedRow, RunId, SyncRun
from tests.engine.scripted import INFO

NOTHING = cast("Any", None)


@dataclass(slots=True)
class Kept:
    """What is committed, by id, in the order in which it was first."""

    links: dict[LinkId, Link] = field(default_factory=dict)
    runs: dict[RunId, SyncRun] = field(default_factory=dict)
    active: dict[LinkId, RunId] = field(default_factory=dict)
    queue: list[RunId] = field(default_factory=list)

    @asynccontextmanager
    async def begin(self, actor: Actor, settles: Attempt | None) -> AsyncIterator[Work]:
        yield cast("Work", _Work(self))
        if settles is not None:
            settles.settled = True

    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        return True

    def due(self, at: datetime) -> list[LinkId]:
        due = [(link.next_sync_at, link.id) for link in self.links.values() if link.next_sync_at]
        return [id for when, id in sorted(due) if when <= at]


@dataclass(slots=True)
class _Work:
    kept: Kept

    def __post_init__(self) -> None:
        self.users, self.imports, self.accounts = _Users(), NOTHING, _Accounts()
        self.links, self.runs = _Links(self.kept), _Runs(self.kept)

    users: Any = field(init=False)
    imports: Any = field(init=False)
    accounts: Any = field(init=False)
    links: Any = field(init=False)
    runs: Any = field(init=False)

    def record(self, event: Event) -> None: ...
    def later(self, job: str, *, key: str, payload: Mapping[str, str]) -> None:
        self.kept.queue.append(RunId(UUID(payload["run"])))


class _Users:
    async def get(self, *, lock: bool = False) -> None: ...


class _Accounts:
    async def unread(self, link_id: LinkId) -> Sequence[str]:
        return ()

    async def mark_read(self, link_id: LinkId, keys: Sequence[str] | None) -> None: ...


@dataclass(slots=True)
class _Links:
    kept: Kept

    async def get(self, id: LinkId, *, lock: bool = False) -> Link:
        return self.kept.links[id]

    async def save(self, link: Link) -> None:
        self.kept.links[link.id] = link

    async def credentials(self, id: LinkId) -> None: ...


@dataclass(slots=True)
class _Runs:
    kept: Kept

    async def get(self, id: RunId, *, lock: bool = False) -> SyncRun:
        if (run := self.kept.runs.get(id)) is None:
            raise NotFound("no such run")
        return run

    async def active(self, link_id: LinkId) -> SyncRun | None:
        return self.kept.runs.get(self.kept.active.get(link_id, NOTHING))

    async def last_alike(self, run: SyncRun) -> SyncRun | None:
        ended = (r for r in self.kept.runs.values() if r.link_id == run.link_id)
        return max((r for r in ended if r.status.is_terminal), key=lambda r: r.id, default=None)

    async def add(self, run: SyncRun) -> None:
        assert run.link_id not in self.kept.active, "a link has one run at a time"
        await self.save(run)

    async def save(self, run: SyncRun) -> None:
        self.kept.runs[run.id] = run
        if run.status.is_terminal:
            self.kept.active.pop(run.link_id, None)
        else:
            self.kept.active[run.link_id] = run.id


@dataclass(slots=True)
class Counting:
    """Says nothing, in so many calls, each counted before it is made; `wrong` says what is wrong
    with a link at a time."""

    now: Callable[[], datetime]
    allowances: Sequence[Allowance]
    calls_a_pull: int
    wrong: Callable[[str, datetime], Exception | None]
    info = INFO
    budgets: MemoryBudgets = field(default_factory=MemoryBudgets)
    calls: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    at_once: int = 0
    most_at_once: int = 0

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        raise AssertionError("they are linked")

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            for _ in range(self.calls_a_pull):
                await asyncio.sleep(0)
                await self._call(request.link)
        finally:
            self.at_once -= 1
        return
        yield

    async def _call(self, link: str) -> None:
        for allowance in self.allowances:
            key = "all" if allowance.shared else link
            wait = await self.budgets.take(key, allowance, self.now())
            if wait is not None:
                raise ProviderUnavailable(
                    "asked often enough",
                    provider="scripted",
                    retry_after_s=int(wait.total_seconds()) + 1,
                    asked=False,
                )
        self.calls[link].append(self.now())
        if (error := self.wrong(link, self.now())) is not None:
            raise error

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}


@dataclass(slots=True)
class Simulation:
    """One worker with so many runs at once, which looks at what is due as often as it does."""

    at: datetime
    kept: Kept
    provider: Counting
    at_once: int
    looks_every: timedelta
    actor: Actor = field(default_factory=lambda: Actor(user_id=UserId(new_id()), role=Role.USER))

    async def run(self, days: int) -> None:
        until = self.at + timedelta(days=days)
        app = self._app()
        while self.at < until:
            for link_id in self.kept.due(self.at)[:100]:
                await schedule_sync(
                    app, ScheduleSync(actor=self.actor, link_id=link_id, at=self.at)
                )
            await self._work(app)
            following = min(
                (link.next_sync_at for link in self.kept.links.values() if link.next_sync_at),
                default=until,
            )
            self.at = max(self.at + self.looks_every, following)

    async def _work(self, app: App) -> None:
        queue, self.kept.queue = self.kept.queue, []

        async def worker() -> None:
            while queue:
                cmd = RunSync(actor=self.actor, run_id=queue.pop(0), worker=new_id(), at=self.at)
                await run_sync(app, cmd)

        await asyncio.gather(*(worker() for _ in range(self.at_once)))

    def _app(self) -> App:
        return App(
            store=cast("Store", self.kept),
            doors=cast("Doors", None),
            policy=CasbinPolicy(default_policy()),
            providers={"scripted": cast("Provider", self.provider)},
            vault=NOTHING,
            passwords=NOTHING,
            common_passwords=(),
            one_time_codes=NOTHING,
            devices=NOTHING,
            tokens=NOTHING,
            limits=NOTHING,
            read_statement=NOTHING,
            now=lambda: self.at,
        )
