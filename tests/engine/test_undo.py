from dataclasses import replace

import pytest

from adapters.security.keyring import Keyring
from adapters.security.vault import Vault
from domain.commands.links import Disconnect, disconnect
from domain.errors import Conflict
from domain.imports import FILE_BYTES_MAX, IN_REQUEST_BYTES_MAX
from domain.sync import SyncStatus
from tests.builders import money
from tests.engine.files import account, bank, brokerage, january, position
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine
from tests.ofx.samples import CHASE_CARD, many

JANUARY = bank(account(january(*range(1, 21))))
CHASE = CHASE_CARD.encode("cp1252")
AAPL = position("037833100", "10", "150", "1500")
MSFT = position("594918104", "5", "400", "2000")


def day(written: str) -> object:
    from datetime import datetime

    return datetime.strptime(written, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone


# ── taking back ─────────────────────────────────────────────────────────────

OF_IMPORTS = ("accounts", "holdings", "transactions", "balance_snapshots")


async def test_undoing_leaves_what_was_there_before(engine: Engine, scripted: Scripted) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    await engine.linked(provider="scripted", login="ann")
    await engine.imported(brokerage(AAPL, MSFT))
    await engine.imported(JANUARY)
    before = await engine.said(*OF_IMPORTS, leave_out=("data_version",))

    file = bank(account(january(*range(15, 29)), balance="1.00", as_of="20260215"))
    undone = await engine.undo(await engine.imported(file))
    assert undone.status is SyncStatus.CANCELLED
    assert await engine.said(*OF_IMPORTS) == before

    fewer = position("037833100", "4", "160", "640", of="20260228")
    await engine.undo(await engine.imported(brokerage(fewer, as_of="20260228160000")))
    assert await engine.said(*OF_IMPORTS) == before


async def test_undoing_the_first_import_of_an_account_takes_the_account_away(
    engine: Engine,
) -> None:
    run = await engine.imported(brokerage(AAPL, MSFT))
    await engine.undo(run)
    for table in OF_IMPORTS:
        assert await engine.count(table) == 0, table
    assert await engine.count("tombstones") == 4  # account, two holdings, transaction
    again = await engine.imported(brokerage(AAPL, MSFT))
    assert (again.accounts.created, again.holdings.created) == (1, 2)


async def test_nothing_is_taken_back_twice(engine: Engine) -> None:
    run = await engine.imported(JANUARY)
    await engine.undo(run)
    with pytest.raises(Conflict):
        await engine.undo(run)


async def test_what_a_later_import_says_too_stays_until_that_is_taken_back(
    engine: Engine,
) -> None:
    empty = await engine.said(*OF_IMPORTS)
    first = await engine.imported(JANUARY)
    second = await engine.imported(
        bank(account(january(*range(15, 29)), balance="90.00", as_of="20260215"))
    )

    await engine.undo(first)

    days = sorted(r["date"].day for r in await engine.rows("transactions"))
    assert days == list(range(15, 29))
    assert (await engine.one("accounts"))["balance"] == 90
    assert [r["balance"] for r in await engine.rows("balance_snapshots")] == [90]
    await engine.undo(second)
    assert await engine.said(*OF_IMPORTS) == empty


async def test_imports_are_taken_back_in_any_order(engine: Engine) -> None:
    empty = await engine.said(*OF_IMPORTS)
    files = [
        JANUARY,
        bank(account(january(*range(10, 25)), balance="2.00", as_of="20260215")),
        bank(account(january(*range(20, 29)), balance="3.00", as_of="20260301")),
        JANUARY,
    ]
    for order in ((3, 2, 1, 0), (0, 1, 2, 3), (1, 3, 0, 2), (2, 0, 3, 1)):
        runs = [await engine.imported(file) for file in files]
        for number in order:
            await engine.undo(runs[number])
        assert await engine.said(*OF_IMPORTS) == empty, order
        assert await engine.count("import_changes") == 0


async def test_the_same_file_twice_is_one_import_and_taking_it_back_takes_it_back(
    engine: Engine,
) -> None:
    empty = await engine.said(*OF_IMPORTS)
    first = await engine.imported(JANUARY)
    before = await engine.said(*OF_IMPORTS, leave_out=("data_version", "run_id"))
    second = await engine.imported(JANUARY)
    await engine.undo(second)
    assert await engine.said(*OF_IMPORTS, leave_out=("data_version", "run_id")) == before
    third = await engine.imported(JANUARY)
    await engine.undo(first)
    assert await engine.said(*OF_IMPORTS) == empty
    await engine.undo(third)
    assert await engine.said(*OF_IMPORTS) == empty


async def test_what_a_live_link_has_confirmed_meanwhile_is_not_taken_back(
    engine: Engine, scripted: Scripted
) -> None:
    run = await engine.imported(bank(account(january(*range(1, 11)))))
    rows = [
        spent(f"live-{id}", amount, description=name, date=day(when))
        for id, when, amount, name in january(1, 2, 3)
    ]
    live = checking(institution="Chase", number="1001", balance=money("460.00"))
    scripted.script = [accounts(live), transactions(*rows)]
    link, _ = await engine.linked(provider="scripted", login="ann")

    await engine.undo(run)

    assert sorted(r["date"].day for r in await engine.rows("transactions")) == [1, 2, 3]
    stored = await engine.one("accounts")
    assert (stored["balance"], stored["link_id"]) == (460, link.id)
    before = await engine.written(*DATA)
    await engine.sync(link)
    assert await engine.written(*DATA) == before


async def test_what_the_owner_has_changed_meanwhile_is_not_taken_back(engine: Engine) -> None:
    run = await engine.imported(bank(account(january(1, 2))))
    version = await engine.version()
    await engine.spy.execute("UPDATE users SET data_version = data_version + 1")
    await engine.spy.execute(
        "UPDATE transactions SET notes = 'mine', data_version = $1 WHERE date = '2026-01-01'",
        version + 1,
    )
    await engine.undo(run)
    assert [r["notes"] for r in await engine.rows("transactions")] == ["mine"]
    assert await engine.count("accounts") == 1


async def test_only_an_import_that_is_over_is_taken_back(engine: Engine) -> None:
    _, run = await engine.linked(scenario="empty")
    with pytest.raises(Conflict):
        await engine.undo(run)
    queued = await engine.imported(large())
    with pytest.raises(Conflict):
        await engine.undo(queued)


async def test_a_disconnected_files_accounts_stay_or_go_as_asked(engine: Engine) -> None:
    run = await engine.imported(JANUARY)
    cmd = Disconnect(actor=engine.actor, link_id=run.link_id, delete_data=True, at=engine.clock())
    await disconnect(engine.app, cmd)
    assert await engine.count("accounts") == await engine.count("transactions") == 0
    again = await engine.imported(JANUARY)
    assert again.link_id != run.link_id
    assert again.transactions.created == 20


# ── large files ─────────────────────────────────────────────────────────────


def large() -> bytes:
    file = many(16_000)
    assert IN_REQUEST_BYTES_MAX < len(file) < FILE_BYTES_MAX
    return file


async def test_a_large_file_waits_for_a_worker_and_tells_its_progress(engine: Engine) -> None:
    file = large()
    run = await engine.imported(file)
    assert run.status is SyncStatus.QUEUED
    sealed = (await engine.one("import_files"))["sealed_content"]
    assert sealed is not None
    assert file[:200] not in bytes(sealed)
    with pytest.raises(Conflict) as refused:
        await engine.imported(JANUARY)  # the same institution's
    assert refused.value.existing == ("SyncRun", run.id)

    seen = []
    for row in await engine.rows("sync_runs"):
        seen.append(row["progress"])
        done = await engine.run(row["id"])
    assert done.status is SyncStatus.SUCCEEDED
    assert done.transactions.created == 16_000
    assert (await engine.one("import_files"))["sealed_content"] is None
    undone = await engine.undo(done)
    assert undone.status is SyncStatus.CANCELLED
    assert await engine.count("transactions") == 0


async def test_a_file_that_waits_and_cannot_be_opened_fails_its_import(engine: Engine) -> None:
    right = engine.app
    waiting = (await engine.bring_in(large())).run
    assert waiting is not None

    engine.app = replace(right, vault=Vault(Keyring.new()))
    failed = await engine.run(waiting.id)

    assert failed.status is SyncStatus.FAILED
    assert failed.error is not None
    assert failed.error.message.startswith("the stored file cannot be opened: ")
    assert (await engine.one("import_files"))["sealed_content"] is None


async def test_a_cancelled_import_forgets_its_file_and_what_it_stored_can_be_taken_back(
    engine: Engine,
) -> None:
    from domain.commands.sync import CancelSync, cancel_sync

    run = await engine.imported(large())
    await cancel_sync(engine.app, CancelSync(actor=engine.actor, run_id=run.id, at=engine.clock()))
    assert (await engine.one("import_files"))["sealed_content"] is None
    assert (await engine.imported(JANUARY)).status is SyncStatus.SUCCEEDED


async def test_an_import_of_before_cash_was_kept_can_be_taken_back(engine: Engine) -> None:
    await engine.imported(brokerage(AAPL, MSFT))
    before = await engine.said(*OF_IMPORTS)
    run = await engine.imported(
        brokerage(AAPL, MSFT, as_of="20260228160000", cash="250").replace(b"i1", b"i2")
    )
    await engine.spy.execute(
        "UPDATE import_changes SET before = before - 'cash_balance'"
        " WHERE kind = 'account' AND jsonb_typeof(before) = 'object'"
    )

    await engine.undo(run)

    [account] = await engine.rows("accounts")
    assert account["cash_balance"] is None
    now = await engine.said(*OF_IMPORTS)
    assert now["holdings"] == before["holdings"]
    assert now["balance_snapshots"] == before["balance_snapshots"]
