"""A stranger's rows are not there, whatever is asked or written."""

from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from domain.errors import NotFound
from domain.identity import Actor, SessionId
from domain.links import LinkStatus
from domain.merging import Merge
from domain.sync import SyncRun, SyncStatus
from tests.builders import NOW, TODAY, a_run
from tests.postgres.writes.world import (
    Owned,
    a_session,
    owning,
)


async def test_a_strangers_rows_are_not_there_in_any_repository(
    store: PostgresStore, alice: Actor, bob: Actor
) -> None:
    owned, run, session = await _everything(store, alice)
    async with store.begin(bob, None) as work:
        assert (await work.users.get()).id == bob.user_id
        assert await work.sessions.get(session) is None
        assert await work.sessions.live(NOW) == []
        for asked in (work.links.get(owned.link.id), work.accounts.get(owned.account.id)):
            with pytest.raises(NotFound):
                await asked
        with pytest.raises(NotFound):
            await work.runs.get(run.id)
        assert await work.links.by_login("sandbox", "a login") is None
        assert await work.links.list(list(LinkStatus)) == []
        assert await work.links.credentials(owned.link.id) is None
        assert await work.accounts.by_id([owned.account.id]) == []
        assert await work.accounts.by_key(owned.link.id) == {}
        assert await work.accounts.by_fingerprint(["f1"]) == {}
        assert await work.securities.all() == []
        assert await work.holdings.of_accounts([owned.account.id]) == []
        key = (owned.account.id, "t1")
        stored = await work.transactions.stored(owned.link.id, [key], (TODAY, TODAY))
        assert not stored.by_key
        assert not stored.others
        assert await work.history.latest([owned.account.id]) == {}
        assert await work.runs.active(owned.link.id) is None
        assert await work.runs.quarantined(run.id) == []
        assert await work.imports.get(run.id) is None
        assert await work.imports.changes(run.id) == []
        assert await work.imports.versions("account", [owned.account.id]) == {}


async def test_a_stranger_changes_and_deletes_nothing(
    store: PostgresStore, alice: Actor, bob: Actor, superuser: asyncpg.Connection
) -> None:
    owned, run, _ = await _everything(store, alice)
    before = await _all_rows(superuser)
    async with store.begin(bob, None) as work:
        await work.accounts.write(Merge(updated=[replace(owned.account, name="taken")]))
        await work.holdings.write(Merge(updated=[replace(owned.holding, quantity=Decimal(0))]))
        await work.transactions.delete([owned.transaction.id])
        await work.holdings.delete([owned.holding.id])
        await work.accounts.unlink(owned.link.id)
        await work.accounts.delete([owned.account.id])
        await work.accounts.identify({owned.account.id: ("x", None)})
        await work.links.shred_credentials(owned.link.id)
        await work.history.delete_of_run(run.id)
        await work.runs.save(replace(run, status=SyncStatus.FAILED))
        await work.imports.forget(run.id)
    after = await _all_rows(superuser)
    assert {t: rows for t, rows in after.items() if rows != before[t]}.keys() <= {"users"}


async def _everything(store: PostgresStore, actor: Actor) -> tuple[Owned, SyncRun, SessionId]:
    owned = await owning(store, actor)
    run = a_run(user_id=actor.user_id, link_id=owned.link.id)
    session = a_session(actor)
    async with store.begin(actor, None) as work:
        await work.sessions.add(session)
        await work.links.save_credentials(owned.link.id, lambda _: b"sealed")
        await work.accounts.identify({owned.account.id: ("f1", b"n")})
        await work.runs.add(run)
        await work.imports.remember(run.id, [Merge(created=[owned.account])])
    return owned, run, session.id


async def _all_rows(superuser: asyncpg.Connection) -> dict[str, list[str]]:
    tables = await superuser.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {
        t["relname"]: [
            row["r"]
            for row in await superuser.fetch(
                f"SELECT t::text AS r FROM public.{t['relname']} AS t ORDER BY 1"
            )
        ]
        for t in tables
    }
