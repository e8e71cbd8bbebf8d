"""The unit of work of a command: its rows, events, jobs and audit entry commit together."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters import telemetry
from adapters.postgres.accounts import Accounts
from adapters.postgres.audit import AuditLog
from adapters.postgres.authorizations import Authorizations
from adapters.postgres.connections import answered
from adapters.postgres.email_tokens import EmailTokens
from adapters.postgres.history import History
from adapters.postgres.holdings import Holdings
from adapters.postgres.idempotency_keys import IdempotencyKeys, mark
from adapters.postgres.identity import Users
from adapters.postgres.imports import Imports
from adapters.postgres.jobs import Job, enqueue
from adapters.postgres.links import Links
from adapters.postgres.rates import rates_on
from adapters.postgres.receipts import Receipts
from adapters.postgres.runs import Runs
from adapters.postgres.second_factor import SecondFactors
from adapters.postgres.securities import Securities
from adapters.postgres.sessions import Rotation, Sessions
from adapters.postgres.tables.events import events
from adapters.postgres.transactions import Transactions
from adapters.postgres.writing import Writing
from domain.audit import Attempt, AuditOutcome
from domain.cancellation import to_its_end
from domain.errors import Unavailable
from domain.events import Event
from domain.identity import Actor, UserId, new_id
from domain.money import Currency
from domain.rates import Rates
from domain.storage import people
from domain.storage import work as storage
from domain.sync import RunId

EVENTS_CHANNEL = "dashtam_events"  # the relay listens
NOTIFY = text("SELECT pg_notify(:channel, '')")


def _nobody(_: Collection[RunId]) -> None:
    """Nobody wants to know."""


class PostgresWork:
    def __init__(self, db: Writing) -> None:
        self._db = db
        self._events: list[Event] = []
        self._jobs: list[Job] = []
        self.users: people.Users = Users(db)
        self.sessions: people.Sessions = Sessions(db)
        self.security: people.Rotation = Rotation(db)
        self.email_tokens: people.EmailTokens = EmailTokens(db)
        self.second_factors: people.SecondFactors = SecondFactors(db)
        self.links: storage.Links = Links(db)
        self.authorizations: storage.Authorizations = Authorizations(db)
        self.receipts: storage.Receipts = Receipts(db)
        self.accounts: storage.Accounts = Accounts(db)
        self.securities: storage.Securities = Securities(db)
        self.holdings: storage.Holdings = Holdings(db)
        self.transactions: storage.Transactions = Transactions(db)
        self.history: storage.History = History(db)
        self.runs: storage.Runs = (runs := Runs(db))
        self.moved = runs.moved
        self.imports: storage.Imports = Imports(db)
        self.idempotency_keys: storage.IdempotencyKeys = IdempotencyKeys(db)

    @property
    def has_written(self) -> bool:
        return self._db.has_written or bool(self._jobs)

    async def rates(self, currencies: Collection[Currency], day: date) -> Rates:
        return await rates_on(self._db, currencies, day)

    def record(self, event: Event) -> None:
        self._events.append(event)

    def later(
        self, job: str, *, key: str, payload: Mapping[str, str], of: UserId | None = None
    ) -> None:
        whose = self._db.user_id if of is None else of
        self._jobs.append(Job(name=job, user_id=whose, key=key, payload=payload))

    async def flush(self) -> None:
        """Events and jobs join the transaction that caused them."""
        rows = [
            {
                "user_id": e.user_id,
                "id": new_id(),
                "name": e.name.value,
                "at": e.at,
                "facts": dict(e.facts),
            }
            for e in self._events
        ]
        await self._db.insert(events, rows)
        if rows:
            await self._db.run(NOTIFY, channel=EVENTS_CHANNEL)
        await enqueue(self._db.db, self._jobs)


class PostgresStore:
    """Raises Unavailable while the database is away.

    `mac` makes what each row of the audit log carries. `moved` is told, once they are committed,
    of the sync runs that a unit of work has changed. It neither waits nor fails, since the work is
    done by then.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        mac: Callable[[bytes], bytes],
        moved: Callable[[Collection[RunId]], None] = _nobody,
    ) -> None:
        self._engine, self._moved, self._log = engine, moved, AuditLog(mac)

    @asynccontextmanager
    async def begin(self, actor: Actor, settles: Attempt | None) -> AsyncIterator[storage.Work]:
        async with self._inside(actor.user_id) as db:
            work = PostgresWork(db)
            yield work
            await work.flush()
            key = actor.idempotency_key
            if key and key.user_id == actor.user_id and (settles or work.has_written):
                await mark(db, key)
            if settles and not await self._log.write(
                db, settles, AuditOutcome.SUCCEEDED, settles.why
            ):
                raise RuntimeError(f"{settles.action} has an outcome already")
        if settles:
            settles.settled = True
        if work.moved:
            self._moved(work.moved)

    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        async with self._inside(attempt.about or attempt.actor.user_id) as db:
            return await self._log.write(db, attempt, outcome, detail)

    @asynccontextmanager
    async def _inside(self, user_id: UserId) -> AsyncIterator[Writing]:
        """A transaction in this user's identity; it commits if the body ends well."""
        with telemetry.unit_of_work():
            db = await self._entered(user_id)
            try:
                yield db
                with answered(), telemetry.statement("COMMIT"):
                    await db.db.commit()
            finally:
                await _closed(db.db)

    async def _entered(self, user_id: UserId, *, again: bool = True) -> Writing:
        """On a connection that answers.

        One that the server ended while it was idle shows only when it is spoken on: then the pool
        trusts none that it has, and makes a new one. To ask each first whether it is alive would
        cost every unit of work three round trips.
        """
        with answered(), telemetry.waiting("write"):
            connection = await self._engine.connect()
        db = Writing(connection, user_id)
        try:
            await db.enter()
        except BaseException as error:
            is_gone = connection.invalidated and isinstance(error, Unavailable)
            await _closed(connection)
            if is_gone and again:
                return await self._entered(user_id, again=False)
            raise
        return db


async def _closed(connection: AsyncConnection) -> None:
    """What has not been committed is rolled back, and a cancellation waits for that."""
    with suppress(DBAPIError):  # the server went away, and has rolled back itself
        await to_its_end(connection.close())
