"""Sync runs: asking for them, following them, cancelling them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry

import domain.links
import domain.sync
from domain.accounts import AccountId
from domain.commands import sync as commands
from domain.errors import InvalidInput, NotFound
from domain.identity import Permission
from domain.links import LinkId
from domain.queries import links as link_queries
from domain.queries import sync as queries
from domain.queries.pages import Page
from domain.sync import WAIT_S_MAX, RunId, SyncScope, SyncStatus, SyncTrigger
from schema import ids, paging
from schema.context import Context, Info
from schema.edges import edge
from schema.errors import UserError, sync_error
from schema.fields import (
    NOT_GIVEN,
    After,
    First,
    described,
    field,
    given,
    optional,
    query,
    subscription,
)
from schema.ids import Node, describes
from schema.paging import Edge, PageInfo
from schema.payloads import Payload, mutation

if TYPE_CHECKING:
    from schema.links import Link

ALink: TypeAlias = Annotated["Link", strawberry.lazy("schema.links")]

APART_S = 0.1  # between two looks, however often they move
ROW_WEIGHT = 10  # objects: as much as a quarantined row may hold

strawberry.enum(SyncTrigger, description="Why a run was started.")
strawberry.enum(
    SyncStatus,
    description="How far a run has come. PARTIAL: some accounts could not be read. "
    "FAILED: none could, or it broke off.",
)
strawberry.enum(SyncScope, description="A part of what a sync reads.")


@strawberry.type(
    description="What a run did: received = created + updated + unchanged + quarantined."
)
class SyncCounts:
    created: int
    updated: int
    unchanged: int
    removed: int = described("Found gone at the provider.")
    quarantined: int = described("Could not be understood, and was kept as it came.")


@strawberry.type(
    description="Something received that could not be understood: kept as it came, never dropped."
)
class QuarantinedRow:
    kind: SyncScope
    reason: str
    line: int | None = described("Of the file, counted from 1.")
    raw: str

    @field(strawberry.ID)
    def id(self: Any) -> strawberry.ID:
        return ids.global_id("QuarantinedRow", self.id)


async def links_of_runs(
    context: Context, runs: Sequence[domain.sync.SyncRun]
) -> list[domain.links.Link | None]:
    """The link that is synced."""
    return await link_queries.links_by_id(context.reads, [r.link_id for r in runs])


async def errors_of_runs(
    context: Context, runs: Sequence[domain.sync.SyncRun]
) -> list[UserError | None]:
    """Why it failed, or what first went wrong in it."""
    failed = [r.link_id if r.error else None for r in runs]
    links = await link_queries.links_by_id(context.reads, failed)
    return [
        sync_error(run.error, context.provider(link.provider_slug if link else ""))
        if run.error
        else None
        for run, link in zip(runs, links, strict=True)
    ]


async def quarantine_of_runs(
    context: Context, runs: Sequence[domain.sync.SyncRun], *, first: First = 100
) -> list[Sequence[domain.sync.QuarantinedRow]]:
    """What it could not understand, in the order in which it came."""
    limit = paging.limit(first)
    with context.budget.reserved(limit * len(runs) * (ROW_WEIGHT - 1)):
        return await queries.quarantine(context.reads, [r.id for r in runs], limit=limit)


@strawberry.type(description="One sync or import of one link, from the moment it was asked for.")
class SyncRun(Node):
    is_type_of = describes(domain.sync.SyncRun)

    trigger: SyncTrigger
    status: SyncStatus
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    step: SyncScope | None = described("What it is reading.")
    accounts: SyncCounts
    holdings: SyncCounts
    transactions: SyncCounts
    attempts: int = described("How often it was begun since it last stored something.")
    link: ALink = edge(links_of_runs, of=ALink)
    error: UserError | None = edge(errors_of_runs, of=UserError | None)
    quarantine: list[QuarantinedRow] = edge(quarantine_of_runs, of=list[QuarantinedRow])

    @field(float, "From 0 to 1.")
    def progress(self: Any) -> float:
        return float(self.progress)


@strawberry.type(description="A sync run and its place in a list.")
class SyncRunEdge:
    cursor: str
    node: SyncRun


@strawberry.type(description="A page of sync runs, the newest first.")
class SyncRunConnection:
    nodes: list[SyncRun]

    @field(list[SyncRunEdge])
    def edges(self: Any) -> list[Edge[domain.sync.SyncRun]]:
        return paging.edges(self, _cursor)

    @field(PageInfo)
    def page_info(self: Any) -> PageInfo:
        return paging.page_info(self, _cursor)


def _cursor(run: domain.sync.SyncRun) -> str:
    return paging.encoded("runs", str(run.id))


@strawberry.input(
    description="Without ids: every link that can be pulled. With one, that link or account."
)
class SyncInput:
    link_id: strawberry.ID | None = optional()
    account_id: strawberry.ID | None = optional()
    scopes: list[SyncScope] | None = optional("All by default.")
    since: date | None = optional("The first day, inclusive.", name="from")
    until: date | None = optional("The last day, inclusive.", name="to")
    force: bool = strawberry.field(
        default=False,
        description="Read the provider's whole window again, and do not wait five minutes.",
    )
    wait_seconds: int = strawberry.field(
        default=0,
        description="0 to 25: how long to wait for the runs to end. They come back as they "
        "then are.",
    )


@strawberry.type(description="The answer of `sync`.")
class SyncPayload:
    runs: list[SyncRun]
    errors: list[UserError]


@strawberry.type(description="The answer of `cancelSync`.")
class CancelSyncPayload:
    run: SyncRun | None
    errors: list[UserError]


@strawberry.type(description="The answer of `replayQuarantine`.")
class ReplayQuarantinePayload:
    run: SyncRun | None
    errors: list[UserError]


@strawberry.type
class SyncQuery:
    @query(SyncRun | None, permits=Permission.READ_DATA)
    async def sync_run(self, info: Info, id: strawberry.ID) -> domain.sync.SyncRun | None:
        reads, key = info.context.reads, ids.key("SyncRun", id)
        return None if key is None else (await queries.runs_by_id(reads, [RunId(key)]))[0]

    @query(
        SyncRunConnection, "The newest first; of one link, or of all.", permits=Permission.READ_DATA
    )
    async def sync_runs(
        self,
        info: Info,
        link_id: strawberry.ID | None = NOT_GIVEN,
        first: First = 20,
        after: After = NOT_GIVEN,
    ) -> Page[domain.sync.SyncRun]:
        reads = info.context.reads
        limit, after_id = paging.limit(first), paging.id_after(after, "runs")
        begin, link = None if after_id is None else RunId(after_id), None
        if (asked := given(link_id)) is not None:
            link = LinkId(ids.key("Link", asked) or ids.ABSENT)
        return info.context.paid(await queries.runs(reads, link, limit=limit, after=begin))


@strawberry.type
class SyncMutation:
    @mutation(
        SyncPayload,
        "Read what is new at providers. A run under way is joined.",
        runs=commands.request_sync,
    )
    async def sync(self, info: Info, input: SyncInput) -> Payload:
        context, wait_s = info.context, input.wait_seconds
        if not 0 <= wait_s <= WAIT_S_MAX:
            raise InvalidInput(f"waitSeconds is 0 to {WAIT_S_MAX}", field=("input", "waitSeconds"))
        link, account, scopes = given(input.link_id), given(input.account_id), given(input.scopes)
        cmd = commands.RequestSync(
            actor=context.actor,
            link_id=None if link is None else LinkId(ids.key("Link", link) or ids.ABSENT),
            account_id=None
            if account is None
            else AccountId(ids.key("Account", account) or ids.ABSENT),
            scopes=None if scopes is None else frozenset(scopes),
            since=given(input.since),
            until=given(input.until),
            force=input.force,
            at=context.now,
        )
        try:
            runs = await commands.request_sync(context.app, cmd)
        except NotFound as refusal:
            refusal.field = ("input", "linkId" if account is None else "accountId")
            raise
        return Payload(runs=await _awaited(context, [run.id for run in runs], wait_s))

    @mutation(
        CancelSyncPayload,
        "Stop a run, after the page that it is storing.",
        runs=commands.cancel_sync,
        id_at=("runId",),
    )
    async def cancel_sync(self, info: Info, run_id: strawberry.ID) -> Payload:
        context, id = info.context, RunId(ids.key("SyncRun", run_id) or ids.ABSENT)
        cmd = commands.CancelSync(actor=context.actor, run_id=id, at=context.now)
        await commands.cancel_sync(context.app, cmd)
        return Payload(run=await run_of(context, id))

    @mutation(
        ReplayQuarantinePayload,
        "Read again what a run could not understand.",
        runs=commands.replay_quarantine,
        id_at=("runId",),
    )
    async def replay_quarantine(self, info: Info, run_id: strawberry.ID) -> Payload:
        context, id = info.context, RunId(ids.key("SyncRun", run_id) or ids.ABSENT)
        cmd = commands.ReplayQuarantine(actor=context.actor, run_id=id, at=context.now)
        await commands.replay_quarantine(context.app, cmd)
        return Payload(run=await run_of(context, id))


@strawberry.type
class SyncSubscription:
    @subscription(
        SyncRun,
        "A run as it is, then as it becomes, at most four times a second, to its end.",
        permits=Permission.READ_DATA,
    )
    async def sync_progress(
        self, info: Info, run_id: strawberry.ID
    ) -> AsyncGenerator[domain.sync.SyncRun, None]:
        context, id = info.context, RunId(ids.key("SyncRun", run_id) or ids.ABSENT)
        stream = queries.progress(id, context.app.movements, context.fresh)
        async with aclosing(stream) as states:
            async for run in states:
                yield run


async def run_of(context: Context, id: RunId) -> domain.sync.SyncRun | None:
    return (await queries.runs_by_id(context.reads, [id]))[0]


async def _awaited(
    context: Context, asked: Sequence[RunId], wait_s: int
) -> list[domain.sync.SyncRun]:
    """The runs as they are once all have ended, or after `wait_s` seconds.

    Nothing is held open between two looks; the last one's snapshot stays, for what else the
    payload reads.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    with context.app.movements.watch(*asked) as moved:
        while True:
            moved.clear()
            runs = [r for r in await queries.runs_by_id(context.reads, asked) if r is not None]
            if loop.time() >= deadline or all(run.status.is_terminal for run in runs):
                return runs
            await context.renew()
            with context.lent(), suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await asyncio.sleep(APART_S)
                    await queries.until_moved(moved)
