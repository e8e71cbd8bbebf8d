"""What owners say of accounts and transactions lives beside what providers say, and stays."""

from typing import Any
from uuid import UUID

import pytest

from domain.accounts import AccountId
from domain.commands.accounts import UpdateAccount, update_account
from domain.commands.transactions import UpdateTransaction, update_transaction
from domain.errors import InvalidInput, NotFound, NotPermitted
from domain.identity import UNSET, Actor, Role, new_id
from domain.transactions import Transaction, TransactionId, TransactionStatus
from tests.builders import money
from tests.engine.files import account, bank, january
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine


async def say(engine: Engine, id: UUID, **said: Any) -> Transaction:
    values: dict[str, Any] = {"actor": engine.actor, "category": UNSET, "notes": UNSET}
    cmd = UpdateTransaction(transaction_id=TransactionId(id), at=engine.clock(), **values | said)
    return await update_transaction(engine.app, cmd)


async def call(engine: Engine, id: UUID, **said: Any) -> None:
    values: dict[str, Any] = {"nickname": UNSET, "included_in_net_worth": UNSET}
    cmd = UpdateAccount(
        actor=engine.actor, account_id=AccountId(id), at=engine.clock(), **values | said
    )
    await update_account(engine.app, cmd)


async def first(engine: Engine, scripted: Scripted, **said: Any) -> Any:
    """The only transaction of a new link."""
    row = spent("t1", category="Restaurants", **said)
    scripted.script = [accounts(checking()), transactions(row)]
    await engine.linked(provider="scripted", login="ann")
    return await engine.one("transactions")


async def test_what_the_owner_says_stands_beside_what_the_provider_says(
    engine: Engine, scripted: Scripted
) -> None:
    row = await first(engine, scripted)
    engine.clock.turn(minutes=1)

    said = await say(engine, row["id"], category=" Fun ", notes="with Ann\nand Bob ")

    assert (said.category, said.notes, said.updated_at) == (
        "Fun",
        "with Ann\nand Bob",
        engine.clock(),
    )
    stored = await engine.one("transactions")
    assert (stored["provider_category"], stored["own_category"]) == ("Restaurants", "Fun")
    assert stored["data_version"] == await engine.version() == row["data_version"] + 1
    assert await engine.audit("transaction.update") == [("ATTEMPTED", None), ("SUCCEEDED", None)]
    named = {r["resource"] for r in await engine.rows("audit_log", "action = 'transaction.update'")}
    assert named == {f"transaction:{row['id']}"}


async def test_null_goes_back_empty_says_none_and_what_is_left_out_stays(
    engine: Engine, scripted: Scripted
) -> None:
    id = (await first(engine, scripted))["id"]
    await say(engine, id, category="Fun", notes="n")

    assert (await say(engine, id, notes=None)).category == "Fun"
    assert (await say(engine, id, category=None)).category == "Restaurants"
    none = await say(engine, id, category="  ")
    assert (none.category, none.own_category) == (None, "")
    assert (await say(engine, id, notes=" ")).notes is None


@pytest.mark.parametrize("said", [{}, {"category": "Fun"}, {"notes": "n "}, {"category": " Fun"}])
async def test_nothing_new_writes_nothing(
    engine: Engine, scripted: Scripted, said: dict[str, Any]
) -> None:
    id = (await first(engine, scripted))["id"]
    await say(engine, id, category="Fun", notes="n")
    account_id = (await engine.one("accounts"))["id"]
    await call(engine, account_id, nickname="Mine", included_in_net_worth=True)
    before, version = await engine.written(*DATA, "users"), await engine.version()
    engine.clock.turn(hours=1)

    await say(engine, id, **said)
    await call(engine, account_id)
    await call(engine, account_id, nickname=" Mine", included_in_net_worth=True)

    assert (await engine.written(*DATA, "users"), await engine.version()) == (before, version)


async def test_syncs_do_not_touch_what_the_owner_said(engine: Engine) -> None:
    link, _ = await engine.linked()
    rows = await engine.rows("transactions", "status = 'SETTLED'", order="date DESC LIMIT 5")
    for row in rows:
        await say(engine, row["id"], category="Mine", notes=f"note {row['id']}")
    for row in await engine.rows("accounts"):
        await call(engine, row["id"], nickname=f"my {row['name']}", included_in_net_worth=False)
    before = await engine.written(*DATA)

    await engine.sync(link)
    assert await engine.written(*DATA) == before
    engine.clock.turn(days=20)
    await engine.sync(link)

    for row in rows:
        now = await engine.one("transactions", "id = $1", row["id"])
        assert (now["own_category"], now["notes"]) == ("Mine", f"note {row['id']}")
    for now in await engine.rows("accounts"):
        assert (now["nickname"], now["included_in_net_worth"]) == (f"my {now['name']}", False)


async def test_a_pending_one_that_settles_keeps_what_the_owner_said(
    engine: Engine, scripted: Scripted
) -> None:
    row = await first(engine, scripted, status=TransactionStatus.PENDING)
    await say(engine, row["id"], category="Fun", notes="tip to come")
    settled = spent("t2", "-5.40", replaces="t1", category="Dining", description="CAFE")
    scripted.script = [accounts(checking()), transactions(settled, removed=[("a1", "t1")])]

    await engine.sync()

    now = await engine.one("transactions")
    assert (now["id"], now["status"], now["amount"]) == (
        row["id"],
        "SETTLED",
        money("-5.40").amount,
    )
    assert (now["own_category"], now["notes"]) == ("Fun", "tip to come")
    assert now["provider_category"] == "Dining"


async def test_taking_an_import_back_leaves_what_the_owner_has_said_since(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    await engine.linked(provider="scripted", login="ann")
    live = await engine.one("transactions")
    await say(engine, live["id"], notes="before")
    run = await engine.imported(bank(account(january(1, 2))))
    of_file = await engine.rows("transactions", "id <> $1", live["id"], order="date")
    await say(engine, of_file[0]["id"], category="Mine", notes="kept")

    await engine.undo(run)

    left = await engine.rows("transactions", order="notes")
    assert [(row["id"], row["notes"]) for row in left] == [
        (live["id"], "before"),
        (of_file[0]["id"], "kept"),
    ]
    assert left[1]["own_category"] == "Mine"


async def test_an_account_may_be_called_otherwise_and_left_out(
    engine: Engine, scripted: Scripted
) -> None:
    await first(engine, scripted)
    row, events = await engine.one("accounts"), await engine.events()

    await call(engine, row["id"], nickname="  Rainy day ")
    named = await engine.one("accounts")
    assert (named["name"], named["nickname"]) == ("Checking", "Rainy day")
    assert await engine.events() == events
    await call(engine, row["id"], included_in_net_worth=False)
    assert await engine.events() == [*events, "networth.changed"]
    await call(engine, row["id"], nickname=None)
    cleared = await engine.one("accounts")
    assert (cleared["nickname"], cleared["included_in_net_worth"]) == (None, False)
    assert cleared["data_version"] == await engine.version()


async def test_an_account_counts_or_it_does_not(engine: Engine, scripted: Scripted) -> None:
    await first(engine, scripted)
    id = (await engine.one("accounts"))["id"]

    with pytest.raises(InvalidInput) as refused:
        await call(engine, id, included_in_net_worth=None)

    assert refused.value.field == ("input", "includedInNetWorth")


async def test_only_who_may_write_says_anything_and_only_of_their_own(
    engine: Engine, scripted: Scripted
) -> None:
    row = await first(engine, scripted)
    before = await engine.written(*DATA)
    with pytest.raises(NotFound):
        await say(engine, new_id(), notes="x")
    with pytest.raises(NotFound):
        await call(engine, new_id(), nickname="x")
    reader = Actor(user_id=engine.actor.user_id, role=Role.READONLY)
    with pytest.raises(NotPermitted):
        await say(engine, row["id"], notes="x", actor=reader)
    assert await engine.written(*DATA) == before
