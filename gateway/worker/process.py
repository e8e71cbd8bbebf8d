"""The worker: it does the jobs, and looks every so often at all else that goes on by itself."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import structlog
from pgqueuer import Job, RetryRequested

from adapters.postgres.jobs import waiting
from adapters.postgres.pool import AWAY
from domain.commands.leases import Busy, LeaseLost
from domain.commands.running import Interrupted, RunSync, run_sync
from domain.commands.sync import JOB
from domain.errors import DomainError, Unavailable
from domain.identity import Actor, Role, UserId
from domain.sync import RunId
from gateway import telemetry
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.patrol import Patrol
from gateway.audit.sealer import Sealer
from gateway.settings import Settings
from gateway.wiring.health import health_of
from gateway.wiring.mail import say_where
from gateway.wiring.outside import outside_of
from gateway.wiring.root import Wired, wire
from gateway.worker.chores import CHORES, Chore
from gateway.worker.outbox import Outbox
from gateway.worker.queues import Queues
from gateway.worker.rates import STEP_S as RATES_STEP_S
from gateway.worker.rates import RateUpkeep, Source, source_of
from gateway.worker.upkeep import Upkeep

log = structlog.get_logger("dashtam.worker")

POOL = 6
SCHEDULE_EVERY_S = 15.0
RELAY_EVERY_S = 1.0
SEAL_EVERY_S = 1.0
RETRY = timedelta(seconds=5)
RETRY_MAX = timedelta(minutes=15)
TRIED_FOR = timedelta(days=1)
CLEAR_EVERY_S = 3_600.0


class Worker:
    """One process of them; any number may run."""

    def __init__(self, wired: Wired, pool: asyncpg.Pool, rates: Source | None = None) -> None:
        self._app, self._pool = wired.app, pool
        self._id = uuid4()
        self._stopping = asyncio.Event()
        self._upkeep = Upkeep(wired.app, pool)
        self._outbox = Outbox(pool, heard=wired.endings, told=wired.fanout, now=wired.app.now)
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
        upkeep, outbox = self._upkeep, self._outbox
        loops = [
            asyncio.create_task(loop)
            for loop in (
                self._every(SCHEDULE_EVERY_S, upkeep.schedule),
                self._every(SCHEDULE_EVERY_S, upkeep.expire),
                self._every(SCHEDULE_EVERY_S, upkeep.take_up),
                self._every(SCHEDULE_EVERY_S, upkeep.forget_authorizations),
                self._every(CLEAR_EVERY_S, upkeep.clear),
                self._every(RELAY_EVERY_S, outbox.pass_on, outbox.recorded),
                outbox.hear(),
                self._every(SCHEDULE_EVERY_S, self._count_jobs),
                self._every(SEAL_EVERY_S, self._sealer.run),
                self._every(SEAL_EVERY_S, self._patrolled),
                self._every(RATES_STEP_S, self._rates.step),
            )
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
            try:
                await self._run(UserId(UUID(said["user"])), RunId(UUID(said["run"])))
            except RetryRequested:
                raise
            except Exception as error:
                log.exception("sync.bug", run=said["run"])
                self._again(job, error)

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
        if age > TRIED_FOR:
            log.error("job.given_up", job=job.entrypoint, exc_info=error)
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
        else:
            log.info(
                "sync.finished",
                run=run.id,
                link=run.link_id,
                trigger=run.trigger.value,
                status=run.status.value,
                transactions=run.transactions.received,
            )

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
