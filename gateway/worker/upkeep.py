"""What comes by itself, when its time has come: syncs that are due, links whose consent ends, runs
that were left, and rows that have been over for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from adapters.postgres.budgets import clear_budgets
from adapters.postgres.jobs import forget_finished
from adapters.postgres.pool import AWAY
from domain.commands.authorizing import forget_lapsed
from domain.commands.expiring import ExpireLink, expire_link
from domain.commands.notices import RECEIPTS_KEPT
from domain.commands.sync import ScheduleSync, schedule_sync, take_up
from domain.errors import DomainError, Unavailable
from domain.idempotency import KEPT as IDEMPOTENCY_KEYS_KEPT
from domain.identity import Actor, Role
from domain.mail import TOKEN_KEPT
from domain.ports import App
from domain.sync import LEASE

log = structlog.get_logger("dashtam.worker")

AT_ONCE = 100
JOBS_KEPT = timedelta(days=7)  # what is noted of them, once they are done
CLOCKS_APART = timedelta(hours=1)  # of two machines, at most
CLEAR_MAX = 1_000


class Upkeep:
    """Any number of workers may do the same. Raises what a database does that is away."""

    def __init__(self, app: App, pool: asyncpg.Pool) -> None:
        self._app, self._pool = app, pool

    async def schedule(self) -> None:
        at = self._app.now()
        for user_id, link_id in await self._app.doors.due_links(at, AT_ONCE):
            actor = Actor(user_id=user_id, role=Role.USER)
            with _one_of_many("schedule.bug", link=link_id):
                await schedule_sync(self._app, ScheduleSync(actor=actor, link_id=link_id, at=at))

    async def expire(self) -> None:
        """What ends soon is announced, and what has ended waits for its owner."""
        at = self._app.now()
        for user_id, link_id in await self._app.doors.expiring_links(at, AT_ONCE):
            actor = Actor(user_id=user_id, role=Role.USER)
            with _one_of_many("expire.bug", link=link_id):
                await expire_link(self._app, ExpireLink(actor=actor, link_id=link_id, at=at))

    async def forget_authorizations(self) -> None:
        """Those that were begun, and not completed in time."""
        at = self._app.now()
        for user_id in await self._app.doors.lapsed_authorizations(at, AT_ONCE):
            with _one_of_many("forget.bug"):
                await forget_lapsed(self._app, user_id, at)

    async def take_up(self) -> None:
        """Runs that nobody will work on: their job was lost, or what did them without one died."""
        before = self._app.now() - LEASE - timedelta(seconds=15)
        for user_id, run_id in await self._app.doors.stalled_runs(before, AT_ONCE):
            with _one_of_many("take_up.bug", run=run_id):
                await take_up(self._app, user_id, run_id)

    async def clear(self) -> None:
        """What has been over for long."""
        doors, now = self._app.doors, self._app.now()
        for clear in (
            partial(doors.clear_email_tokens, now - TOKEN_KEPT),
            partial(doors.forget_unverified, now - TOKEN_KEPT),
            doors.forget_sessions,
            doors.forget_events,
            partial(forget_finished, self._pool, now - JOBS_KEPT),
            partial(clear_budgets, self._pool, now - CLOCKS_APART),
            partial(doors.clear_webhook_receipts, now - RECEIPTS_KEPT),
            partial(doors.clear_idempotency_keys, now - IDEMPOTENCY_KEYS_KEPT),
        ):
            with _one_of_many("clear.bug"):
                while await clear(CLEAR_MAX) == CLEAR_MAX:
                    pass


@contextmanager
def _one_of_many(event: str, **about: UUID) -> Iterator[None]:
    """What is wrong with one does not hold up the others."""
    try:
        yield
    except (Unavailable, *AWAY):
        raise
    except DomainError:  # it was disconnected, or they have left meanwhile
        pass
    except Exception:
        log.exception(event, **about)
