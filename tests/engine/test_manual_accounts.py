"""Accounts that their owner keeps: rows, history, events and tombstones."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.postgres.snapshot import Snapshot
from domain.accounts import MANUAL_MAX, Account, AccountId, AccountType
from domain.commands.accounts import (
    CreateManualAccount,
    DeleteManualAccount,
    RecordBalance,
    UpdateAccount,
    create_manual_account,
    delete_manual_account,
    record_balance,
    update_account,
)
from domain.errors import Conflict, ErrorCode, InvalidInput, NotFound, NotPermitted
from domain.identity import UNSET, Actor, Role, new_id
from domain.queries.budget import Budget
from domain.queries.reconciliation import reconciliations
from domain.secret import Secret
from tests.builders import USD, money
from tests.engine.world import DATA, Engine


async def house(engine: Engine, balance: str = "250000.00", **said: Any) -> Account:
    values: dict[str, Any] = {"name": "House", "type": AccountType.OTHER, "currency": USD}
    values |= {"actor": engine.actor, "balance": Decimal(balance), "at": engine.clock()}
    return await create_manual_account(engine.app, CreateManualAccount(**values | said))


async def record(
    engine: Engine, id: AccountId, balance: str, at: datetime | None = None, **said: Any
) -> Account:
    values: dict[str, Any] = {"actor": engine.actor, "at": engine.clock()}
    cmd = RecordBalance(account_id=id, balance=Decimal(balance), balance_at=at, **values | said)
    return await record_balance(engine.app, cmd)


async def delete(engine: Engine, id: AccountId, actor: Actor | None = None) -> AccountId:
    cmd = DeleteManualAccount(actor=actor or engine.actor, account_id=id, at=engine.clock())
    return await delete_manual_account(engine.app, cmd)


async def update(engine: Engine, id: AccountId, **said: Any) -> Account:
    values: dict[str, Any] = {"nickname": UNSET, "included_in_net_worth": UNSET}
    cmd = UpdateAccount(actor=engine.actor, account_id=id, at=engine.clock(), **values | said)
    return await update_account(engine.app, cmd)


async def history(engine: Engine) -> list[tuple[datetime, str]]:
    rows = await engine.rows("balance_snapshots", order="at")
    assert {row["source"] for row in rows} <= {"MANUAL"}
    return [(row["at"], str(row["balance"])) for row in rows]


# ── made ────────────────────────────────────────────────────────────────────


async def test_an_account_is_made_with_its_first_balance_and_told(engine: Engine) -> None:
    made = await house(engine, "-250000.00", name=" House ", type=AccountType.MORTGAGE)

    row = await engine.one("accounts")
    assert (row["id"], row["name"], row["institution"]) == (made.id, "House", "Manual accounts")
    assert (row["provider_slug"], row["link_id"], row["type"]) == ("manual", None, "MORTGAGE")
    assert (str(row["balance"]), row["as_of"]) == ("-250000.00", engine.clock())
    assert row["data_version"] == await engine.version() == 1
    assert await history(engine) == [(engine.clock(), "-250000.00")]
    assert await engine.events() == ["account.balance_changed", "networth.changed"]
    [(told,)] = await engine.spy.fetch(
        "SELECT facts FROM events WHERE name = 'account.balance_changed'"
    )
    assert '"current": "-250000.00 USD"' in told
    assert "previous" not in told
    assert await engine.audit("account.create") == [("ATTEMPTED", None), ("SUCCEEDED", None)]


async def test_a_debt_with_a_positive_balance_is_an_overpaid_one(engine: Engine) -> None:
    for kind in ("CREDIT_CARD", "LOAN", "MORTGAGE", "LINE_OF_CREDIT"):
        await house(engine, "12.34", name=kind, type=AccountType[kind])

    assert {str(row["balance"]) for row in await engine.rows("accounts")} == {"12.34"}


@pytest.mark.parametrize(
    "said",
    [
        {"name": " "},
        {"name": "x" * 201},
        {"balance": "0.001"},
        {"balance": "1e15"},
    ],
)
async def test_what_breaks_a_rule_leaves_nothing(engine: Engine, said: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await house(engine, **said)

    assert await engine.count("accounts") == await engine.count("balance_snapshots") == 0
    assert await engine.version() == 0


async def test_there_is_an_end_to_how_many_there_can_be(engine: Engine) -> None:
    await house(engine)
    await engine.spy.execute(
        "INSERT INTO accounts (user_id, id, provider_slug, institution, name, type, currency,"
        " balance, as_of) SELECT user_id, gen_random_uuid(), 'manual', 'i', 'n', 'OTHER', 'USD', 0,"
        " now() FROM users, generate_series(2, $1)",
        MANUAL_MAX,
    )
    with pytest.raises(Conflict):
        await house(engine)
    assert await engine.count("accounts") == MANUAL_MAX


async def test_where_they_are_not_offered_none_is_made(engine: Engine) -> None:
    from dataclasses import replace

    engine.app = replace(engine.app, providers={})
    with pytest.raises(Conflict) as refused:
        await house(engine)
    assert refused.value.code is ErrorCode.PROVIDER_DISABLED


async def test_there_is_nothing_to_link(engine: Engine) -> None:
    with pytest.raises(InvalidInput) as refused:
        await engine.connect(provider="manual")
    assert refused.value.field == ("input", "provider")
    assert await engine.count("links") == 0


# ── recorded ────────────────────────────────────────────────────────────────


async def test_a_later_balance_moves_the_account_and_an_earlier_one_fills_its_history(
    engine: Engine,
) -> None:
    made = await house(engine, "100.00")
    begun = engine.clock()
    engine.clock.turn(days=2)

    moved = await record(engine, made.id, "130.00")
    assert (str(moved.balance.amount), moved.as_of) == ("130.00", engine.clock())
    assert await engine.events() == ["account.balance_changed", "networth.changed"] * 2
    [told] = await engine.spy.fetch(
        "SELECT facts::text AS said FROM events WHERE name = 'account.balance_changed'"
        " ORDER BY seq DESC LIMIT 1"
    )
    assert '"previous": "100.00 USD"' in told["said"]

    version, events = await engine.version(), await engine.events()
    past = begun - timedelta(days=30)
    kept = await record(engine, made.id, "90.00", past)
    assert (kept.balance, kept.as_of) == (moved.balance, moved.as_of)
    assert (await engine.version(), await engine.events()) == (version, events)
    assert await history(engine) == [
        (past, "90.00"),
        (begun, "100.00"),
        (engine.clock(), "130.00"),
    ]


async def test_the_same_balance_later_is_a_fact_of_its_own_and_nothing_moved(
    engine: Engine,
) -> None:
    made = await house(engine, "100.00")
    begun = engine.clock()
    engine.clock.turn(days=4)
    await record(engine, made.id, "100.00")
    assert await engine.events() == ["account.balance_changed", "networth.changed"]

    between = begun + timedelta(days=2)
    assert (await record(engine, made.id, "90.00", between)).balance.amount == 100

    assert [balance for _, balance in await history(engine)] == ["100.00", "90.00", "100.00"]


async def test_of_one_instant_the_later_word_counts_and_the_same_writes_nothing(
    engine: Engine,
) -> None:
    made = await house(engine, "100.00")
    at = engine.clock()
    before, version = await engine.written(*DATA), await engine.version()

    await record(engine, made.id, "100.0", at)
    assert (await engine.written(*DATA), await engine.version()) == (before, version)

    engine.clock.turn(minutes=1)
    again = await record(engine, made.id, "101.00", at)
    assert (again.balance, again.as_of) == (money("101.00"), at)
    assert await history(engine) == [(at, "101.00")]

    earlier = at - timedelta(days=1)
    await record(engine, made.id, "50.00", earlier)
    await record(engine, made.id, "55.00", earlier)
    before = await engine.written(*DATA)
    await record(engine, made.id, "55.00", earlier)
    assert await engine.written(*DATA) == before
    assert await history(engine) == [(earlier, "55.00"), (at, "101.00")]


async def test_a_clock_that_is_ahead_records_now(engine: Engine) -> None:
    made = await house(engine, "100.00")
    engine.clock.turn(days=1)

    ahead = await record(engine, made.id, "1.00", engine.clock() + timedelta(minutes=2))
    assert ahead.as_of == engine.clock()

    with pytest.raises(InvalidInput) as refused:
        await record(engine, made.id, "1.00", engine.clock() + timedelta(hours=1))
    assert refused.value.field == ("input", "at")


async def test_what_a_provider_says_is_not_said_by_the_owner(engine: Engine) -> None:
    link, _ = await engine.linked()
    fed = AccountId((await engine.rows("accounts"))[0]["id"])
    before = await engine.written(*DATA, "tombstones", "events")

    with pytest.raises(Conflict) as refused:
        await record(engine, fed, "1.00")
    assert (refused.value.field, refused.value.existing) == (
        ("input", "accountId"),
        ("Link", link.id),
    )
    with pytest.raises(Conflict) as refused:
        await delete(engine, fed)
    assert refused.value.field == ("accountId",)
    assert await engine.written(*DATA, "tombstones", "events") == before


# ── deleted ─────────────────────────────────────────────────────────────────


async def test_a_deleted_account_is_gone_and_mourned(engine: Engine) -> None:
    made, other = await house(engine), await house(engine, name="Car")

    assert await delete(engine, made.id) == made.id

    assert [row["id"] for row in await engine.rows("accounts")] == [other.id]
    assert await engine.count("balance_snapshots", "account_id = $1", made.id) == 0
    tombstone = await engine.one("tombstones")
    assert (tombstone["kind"], tombstone["id"]) == ("account", made.id)
    assert tombstone["data_version"] == await engine.version() == 3
    assert (await engine.events())[-1] == "networth.changed"
    for again in (delete(engine, made.id), record(engine, made.id, "1"), update(engine, made.id)):
        with pytest.raises(NotFound):
            await again


async def test_one_that_did_not_count_is_deleted_without_a_word_of_net_worth(
    engine: Engine,
) -> None:
    made = await house(engine)
    await update(engine, made.id, included_in_net_worth=False)
    events = await engine.events()

    await delete(engine, made.id)

    assert await engine.events() == events


# ── at once ─────────────────────────────────────────────────────────────────


async def test_balances_recorded_at_once_are_all_kept_and_the_latest_is_the_balance(
    engine: Engine,
) -> None:
    made = await house(engine, "0.00")
    begun = engine.clock()
    instants = [begun + timedelta(seconds=n) for n in (5, 1, 4, 2, 3)]
    engine.clock.turn(minutes=1)

    await asyncio.gather(
        *(record(engine, made.id, f"{at.second}.00", at) for at in instants),
        *(record(engine, made.id, "7.00", engine.clock()) for _ in range(3)),
    )

    stored = await engine.one("accounts")
    assert (stored["balance"], stored["as_of"]) == (7, engine.clock())
    assert len(await history(engine)) == 7
    assert len([e for e in await engine.events() if e == "account.balance_changed"]) >= 2


async def test_an_account_that_is_deleted_while_balances_are_recorded_is_gone(
    engine: Engine,
) -> None:
    made = await house(engine)
    engine.clock.turn(minutes=1)

    said = await asyncio.gather(
        *(record(engine, made.id, f"{n}.00") for n in range(4)),
        delete(engine, made.id),
        *(record(engine, made.id, f"{n}.00") for n in range(4)),
        delete(engine, made.id),
        return_exceptions=True,
    )

    assert all(isinstance(one, NotFound | Account) or one == made.id for one in said), said
    assert [one for one in said if one == made.id] == [made.id]
    for table in ("accounts", "balance_snapshots"):
        assert await engine.count(table) == 0


# ── whose, and who may ──────────────────────────────────────────────────────


async def test_somebody_elses_account_does_not_exist(engine: Engine) -> None:
    from dataclasses import replace

    from domain.commands.people import CreateUser, actor_to_be, create_user
    from tests.engine.world import PASSWORD

    made = await house(engine)
    cmd = CreateUser(
        actor=actor_to_be(Role.USER),
        email="bob@example.com",
        password=Secret(PASSWORD),
        role=Role.USER,
        at=engine.clock(),
    )
    bob = Actor(user_id=(await create_user(engine.app, cmd)).id, role=Role.USER)
    hers = engine.actor
    before = await engine.written(*DATA)
    engine.actor = bob
    said = []
    for id in (made.id, AccountId(new_id())):
        for attempt in (record(engine, id, "1.00"), delete(engine, id), update(engine, id)):
            with pytest.raises(NotFound) as refused:
                await attempt
            said.append((refused.value.message, refused.value.field, refused.value.code))
    assert said[:3] == said[3:]
    engine.actor = replace(hers)
    assert await engine.written(*DATA) == before


async def test_who_only_reads_changes_nothing(engine: Engine) -> None:
    made = await house(engine)
    before = await engine.written(*DATA)
    engine.actor = Actor(user_id=engine.actor.user_id, role=Role.READONLY)
    attempts = (
        house(engine),
        record(engine, made.id, "1.00"),
        delete(engine, made.id),
        update(engine, made.id, nickname="x"),
    )
    for attempt in attempts:
        with pytest.raises(NotPermitted):
            await attempt
    assert await engine.written(*DATA) == before
    assert await engine.audit("account.delete") == [
        ("ATTEMPTED", None),
        ("FAILED", "NOT_PERMITTED"),
    ]


# ── seen ────────────────────────────────────────────────────────────────────


async def test_there_is_nothing_to_reconcile(engine: Engine) -> None:
    await house(engine, "1.00", type=AccountType.CHECKING)
    engine.clock.turn(days=5)
    await record(engine, AccountId((await engine.one("accounts"))["id"]), "9.00")
    reads = Snapshot(engine.wired.pool, engine.actor.user_id)
    [found] = await reconciliations(reads, await reads.accounts(), Budget())

    assert (found.balanced, found.checked_at, reads.statements) == (True, None, 1)
    await reads.close()
