"""The worker: jobs, the outbox relay, the clock that makes links due, and the audit log's sealing.

Also what comes by itself: runs that were left, and rows that have been over for long.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from time import time_ns
from uuid import UUID, uuid4

import asyncpg
import structlog
from pgqueuer import Job, RetryRequested

from adapters.postgres.budgets import clear_budgets
from adapters.postgres.jobs import forget_finished, waiting
from adapters.postgres.pool import AWAY
from adapters.postgres.relay import BATCH, relay
from adapters.postgres.store import EVENTS_CHANNEL
from domain.claims import KEPT as REQUESTS_KEPT
from domain.commands.authorizing import forget_lapsed
from domain.commands.expiring import ExpireLink, expire_link
from domain.commands.leases import Busy, LeaseLost
from domain.commands.notices import RECEIPTS_KEPT
from domain.commands.running import Interrupted, RunSync, run_sync
from domain.commands.sync import JOB, ScheduleSync, schedule_sync, take_up
from domain.errors import DomainError, Unavailable
from domain.events import Event
from domain.identity import Actor, Role, UserId
from domain.links import LinkId
from domain.mail import TOKEN_KEPT
from domain.ports import RELAYED
from domain.sync import LEASE, RunId
from gateway import telemetry
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.patrol import Patrol
from gateway.audit.sealer import Sealer
from gateway.routes.health import health_of
from gateway.settings import Settings
from gateway.wiring.mail import say_where
from gateway.wiring.outside import outside_of
from gateway.wiring.root import Wired, wire
from gateway.worker.chores import CHORES, Chore
from gateway.worker.queues import Queues
from gateway.worker.rates import STEP_S as RATES_STEP_S
from gateway.worker.rates import RateUpkeep, Source, source_of

log = structlog.get_logger("dashtam.worker")

POOL = 6
SCHEDULE_EVERY_S = 15.0
RELAY_EVERY_S = 1.0
SEAL_EVERY_S = 1.0
DUE_MAX = 100
RETRY = timedelta(seconds=5)
RETRY_MAX = timedelta(minutes=15)
CHORE_KEPT = timedelta(days=1)
JOBS_KEPT = timedelta(days=7)  # what is noted of them, once they are done
CLEAR_EVERY_S = 3_600.0
CLEAR_MAX = 1_000


class Worker:
    """One process of them; any number may run."""

    def __init__(self, wired: Wired, pool: asyncpg.Pool, rates: Source | None = None) -> None:
        self._wired, self._app, self._pool = wired, wired.app, pool
        self._id = uuid4()
        self._stopping, self._recorded = asyncio.Event(), asyncio.Event()
        checkpoints = Checkpoints(wired.settings.checkpoints, wired.audit_keys)
        self._sealer = Sealer(pool, wired.audit_keys, checkpoints, wired.app.now)
        self._rates = RateUpkeep(pool, rates, wired.app.now)
        self._patrol = Patrol(wired.audit_keys, checkpoints, wired.app.now)
        self._queues = Queues(
            pool,
            providers=wired.app.providers,
            sync=self._sync,
            chores={name: partial(self._chore, chore) for name, chore in CHORES.items()},
        )

    def stop(self) -> None:
        """Take no more jobs, end those that run after the page that each is storing."""
        self._stopping.set()
        self._queues.stop()

    async def run(self) -> None:
        loops = [
            asyncio.create_task(self._every(SCHEDULE_EVERY_S, self._schedule)),
            asyncio.create_task(self._every(SCHEDULE_EVERY_S, self._expire)),
            asyncio.create_task(self._every(SCHEDULE_EVERY_S, self._take_up)),
            asyncio.create_task(self._every(SCHEDULE_EVERY_S, self._forget)),
            asyncio.create_task(self._every(RELAY_EVERY_S, self._relay, self._recorded)),
            asyncio.create_task(self._hear_of_events()),
            asyncio.create_task(self._every(SCHEDULE_EVERY_S, self._count_jobs)),
            asyncio.create_task(self._every(SEAL_EVERY_S, self._sealer.run)),
            asyncio.create_task(self._every(SEAL_EVERY_S, self._patrolled)),
            asyncio.create_task(self._every(CLEAR_EVERY_S, self._clear)),
            asyncio.create_task(self._every(RATES_STEP_S, self._rates.step)),
        ]
        try:
            await self._queues.run()
        finally:
            self._stopping.set()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._sealer.close()

    async def _sync(self, job: Job) -> None:
        said = json.loads(job.payload or b"{}")
        watch = telemetry.current()
        with nullcontext() if watch is None else watch.job(JOB, job.headers):
            await self._run(UserId(UUID(said["user"])), RunId(UUID(said["run"])))

    async def _chore(self, chore: Chore, job: Job) -> None:
        said = json.loads(job.payload or b"{}")
        watch = telemetry.current()
        with nullcontext() if watch is None else watch.job(job.entrypoint, job.headers):
            try:
                await chore(self._app, UserId(UUID(said.pop("user"))), said)
            except DomainError as refusal:
                log.info("chore.refused", job=job.entrypoint, code=refusal.code.value)
            except Unavailable as error:
                self._again(job, error)
            except Exception as error:
                log.exception("chore.bug", job=job.entrypoint)
                self._again(job, error)

    def _again(self, job: Job, error: Exception) -> None:
        """Once it has waited as long as until now: soon at first, and for a day at most."""
        age = self._app.now() - job.created
        if age > CHORE_KEPT:
            log.error("chore.given_up", job=job.entrypoint, exc_info=error)
            return
        raise RetryRequested(delay=min(max(age, RETRY), RETRY_MAX)) from error

    async def _run(self, user_id: UserId, run_id: RunId) -> None:
        actor = Actor(user_id=user_id, role=Role.USER)
        cmd = RunSync(
            actor=actor,
            run_id=run_id,
            worker=self._id,
            at=self._app.now(),
            stopping=self._stopping.is_set,
        )
        try:
            run = await run_sync(self._app, cmd)
        except Busy as busy:
            raise RetryRequested(delay=timedelta(seconds=busy.retry_after_s)) from None
        except Interrupted:
            raise RetryRequested from None
        except LeaseLost:
            log.info("sync.taken_over", run=run_id)
        except DomainError as refusal:  # the run or its user is gone
            log.info("sync.refused", run=run_id, code=refusal.code.value)
        except Unavailable:
            raise RetryRequested(delay=RETRY) from None
        except Exception as error:
            log.exception("sync.bug", run=run_id)
            raise RetryRequested(delay=RETRY) from error
        else:
            log.info(
                "sync.finished",
                run=run.id,
                link=run.link_id,
                trigger=run.trigger.value,
                status=run.status.value,
                transactions=run.transactions.received,
            )

    async def _schedule(self) -> None:
        at = self._app.now()
        for user_id, link_id in await self._app.doors.due_links(at, DUE_MAX):
            actor = Actor(user_id=user_id, role=Role.USER)
            cmd = ScheduleSync(actor=actor, link_id=LinkId(link_id), at=at)
            with self._one_of_many("schedule.bug", link_id):
                await schedule_sync(self._app, cmd)

    async def _expire(self) -> None:
        """What ends soon is announced, and what has ended waits for its owner."""
        at = self._app.now()
        for user_id, link_id in await self._app.doors.expiring_links(at, DUE_MAX):
            actor = Actor(user_id=user_id, role=Role.USER)
            with self._one_of_many("expire.bug", link_id):
                await expire_link(self._app, ExpireLink(actor=actor, link_id=link_id, at=at))

    @contextmanager
    def _one_of_many(self, event: str, link_id: LinkId) -> Iterator[None]:
        """What is wrong with one link does not hold up the others."""
        try:
            yield
        except (Unavailable, *AWAY):
            raise
        except DomainError:  # disconnected or deleted meanwhile
            pass
        except Exception:
            log.exception(event, link=link_id)

    async def _forget(self) -> None:
        """Authorizations that were begun, and not completed in time."""
        at = self._app.now()
        for user_id in await self._app.doors.lapsed_authorizations(at, DUE_MAX):
            with suppress(DomainError):  # they have left
                await forget_lapsed(self._app, user_id, at)

    async def _take_up(self) -> None:
        """Runs that nobody will work on: their job was lost, or what did them without one died."""
        before = self._app.now() - LEASE - timedelta(seconds=15)
        for user_id, run_id in await self._app.doors.stalled_runs(before, DUE_MAX):
            with suppress(DomainError):  # they have left
                await take_up(self._app, user_id, run_id)

    async def _relay(self) -> None:
        watch, count = telemetry.current(), BATCH
        while count == BATCH:
            began_ns = time_ns()
            count = await relay(self._pool, self._send)
            if watch is not None:
                watch.relayed(count, began_ns)

    async def _send(self, seq: int, event: Event) -> None:
        if (watch := telemetry.current()) is not None:
            watch.passed_on(event.at, self._app.now())
        said = {"seq": seq, "user": str(event.user_id)}
        await self._wired.fanout.publish(RELAYED, json.dumps(said))

    async def _hear_of_events(self) -> None:
        """Of each commit that recorded some; what is not heard, `_relay` finds a second later."""
        async with self._wired.endings.subscribe(EVENTS_CHANNEL) as said:
            async for _ in said:
                self._recorded.set()

    async def _clear(self) -> None:
        """What has been over for long."""
        doors, before = self._app.doors, self._app.now() - TOKEN_KEPT
        for clear in (
            partial(doors.clear_email_tokens, before),
            partial(doors.forget_unverified, before),
            doors.forget_sessions,
            doors.forget_events,
            partial(forget_finished, self._pool, self._app.now() - JOBS_KEPT),
            partial(clear_budgets, self._pool, self._app.now()),
            partial(doors.clear_webhook_receipts, self._app.now() - RECEIPTS_KEPT),
            partial(doors.clear_claims, self._app.now() - REQUESTS_KEPT),
        ):
            while await clear(CLEAR_MAX) == CLEAR_MAX:
                pass

    async def _patrolled(self) -> None:
        async with self._pool.acquire() as connection:
            await self._patrol.step(connection)

    async def _count_jobs(self) -> None:
        if (watch := telemetry.current()) is not None:
            watch.waiting_jobs(*await waiting(self._pool))

    async def _every(
        self,
        seconds: float,
        do: Callable[[], Awaitable[None]],
        sooner: asyncio.Event | None = None,
    ) -> None:
        """And `sooner`, where somebody says so; but not after it failed."""
        while not self._stopping.is_set():
            wait = sooner or asyncio.Event()
            wait.clear()
            try:
                await do()
            except (Unavailable, *AWAY) as error:
                log.warning("worker.database_away", exc_info=error)
                wait = asyncio.Event()
            except Exception:
                log.exception("worker.bug")
                wait = asyncio.Event()
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(seconds):
                    await wait.wait()


async def work(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; a run that is cut off goes on elsewhere after its last page.

    A database that goes away is waited for. Raises Unavailable where it was never there.
    """
    stop = asyncio.Event()
    for word in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(word, stop.set)
    async with telemetry.opened(settings, "worker") as operators:
        await _work_until(stop, settings, operators)


async def _work_until(
    stop: asyncio.Event, settings: Settings, operators: telemetry.Readiness
) -> None:
    begun = False
    while not stop.is_set():
        try:
            async with wire(settings) as wired:
                say_where(wired.app.mail)
                begun, operators.health = True, health_of(wired)
                await _work(wired, stop)
        except (Unavailable, asyncpg.InterfaceError, *AWAY) as error:
            if not begun:
                raise
            log.warning("worker.database_away", exc_info=error, retry_s=RETRY.total_seconds())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY.total_seconds())


async def _work(wired: Wired, stop: asyncio.Event) -> None:
    settings = wired.settings
    async with (
        asyncpg.create_pool(settings.database_url, min_size=2, max_size=POOL) as pool,
        source_of(settings.rates_url, outside_of(settings, wired.pool)) as rates,
    ):
        worker = Worker(wired, pool, rates)

        async def stopping() -> None:
            await stop.wait()
            worker.stop()

        waiting = asyncio.create_task(stopping())
        try:
            await worker.run()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
