"""What is alike and not the same, and what of an account is kept and shown."""

import time
from datetime import UTC, datetime
from decimal import Decimal

from domain.accounts import AccountType
from domain.commands.links import Disconnect, disconnect
from domain.links import LinkId
from domain.sync import Page, SyncCounts, SyncScope, SyncStatus
from tests.builders import money, received_account, received_holding, terms
from tests.engine.files import account, bank, january
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

NUMBER = "1234567890"


# ── accounts ────────────────────────────────────────────────────────────────


async def test_one_member_number_for_checking_and_savings_is_two_accounts(engine: Engine) -> None:
    file = bank(account(january(1, 2)), account(january(3), kind="SAVINGS", balance="7.00"))
    run = await engine.imported(file)
    assert run.accounts == SyncCounts(created=2)
    rows = await engine.rows("accounts", order="type")
    assert [(r["type"], r["balance"]) for r in rows] == [("CHECKING", 500), ("SAVINGS", 7)]
    inside = [await engine.count("transactions", "account_id = $1", r["id"]) for r in rows]
    assert inside == [2, 1]
    assert (await engine.imported(file)).accounts == SyncCounts(unchanged=2)


async def test_a_live_link_finds_both_accounts_of_one_member_number(
    engine: Engine, scripted: Scripted
) -> None:
    await engine.imported(bank(account([]), account([], kind="SAVINGS")))
    both = [
        checking(key=kind.name, type=kind, institution="Chase", number="1001")
        for kind in (AccountType.SAVINGS, AccountType.CHECKING)
    ]
    scripted.script = [accounts(*both)]
    _, run = await engine.linked(provider="scripted", login="ann")
    assert run.accounts.created == 0
    assert await engine.count("accounts") == 2
    named = await engine.spy.fetch(
        "SELECT k.key, a.type FROM link_accounts k JOIN accounts a ON a.id = k.account_id"
        " WHERE length(k.key) < 20"
    )
    assert {row["key"]: row["type"] for row in named} == {
        "SAVINGS": "SAVINGS",
        "CHECKING": "CHECKING",
    }


async def test_two_keys_of_one_page_are_two_accounts_though_all_else_is_alike(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [
        accounts(checking(), checking(key="a2", balance=money("7.00"))),
        transactions(spent("t1"), spent("t2", account_key="a2")),
    ]
    link, run = await engine.linked(provider="scripted", login="ann")
    assert run.accounts == SyncCounts(created=2)
    assert {r["balance"] for r in await engine.rows("accounts")} == {100, 7}
    before = await engine.written(*DATA)
    await engine.sync(link)
    assert await engine.written(*DATA) == before

    await leave(engine, link.id, delete=False)
    _, again = await engine.linked(provider="scripted", login="ann")
    assert again.accounts.created == again.transactions.created == 0
    assert await engine.count("accounts") == 2


async def test_a_retirement_account_that_sources_call_differently_is_one(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(type=AccountType.ROTH_IRA))]
    await engine.linked(provider="scripted", login="ann")
    scripted.script = [accounts(checking(key="b1", type=AccountType.BROKERAGE))]
    await engine.linked(provider="scripted", login="bob")
    assert await engine.count("accounts") == 1


async def test_an_account_that_changes_its_currency_is_quarantined_and_the_stored_one_stays(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    link, _ = await engine.linked(provider="scripted", login="ann")
    before = await engine.written(*DATA)
    scripted.script = [accounts(checking(balance=money("9.00", "EUR")))]

    run = await engine.sync(link)

    assert run.accounts == SyncCounts(quarantined=1)
    assert await engine.written(*DATA) == before
    kept = await engine.one("quarantine")
    assert kept["reason"] == "the account was in USD, and is in EUR now"
    assert "000123456789" not in kept["raw"]
    assert "6789" in kept["raw"]


# ── rows ────────────────────────────────────────────────────────────────────


async def test_another_row_of_the_same_day_and_amount_in_the_next_file_is_kept(
    engine: Engine,
) -> None:
    await engine.imported(bank(account([("A1", "20260115", "-5.00", "STARBUCKS")])))
    run = await engine.imported(bank(account([("A2", "20260115", "-5.00", "PARKING")])))
    assert run.transactions == SyncCounts(created=1)
    told = {r["description"] for r in await engine.rows("transactions")}
    assert told == {"STARBUCKS", "PARKING"}


async def test_a_renumbered_row_is_known_by_its_text_however_it_is_spaced(engine: Engine) -> None:
    await engine.imported(bank(account([("A1", "20260115", "-5.00", "STARBUCKS  #4")])))
    run = await engine.imported(bank(account([("N1", "20260115", "-5.00", "Starbucks #4")])))
    assert run.transactions.created == 0
    assert await engine.count("transactions") == 1


async def test_a_lot_in_another_currency_is_quarantined_and_the_rest_is_stored(
    engine: Engine, scripted: Scripted
) -> None:
    lots = [
        received_holding(),
        received_holding(market_value=money("900.00", "EUR")),
        received_holding(security=terms("MSFT")),
    ]
    scripted.script = [
        accounts(received_account(type=AccountType.BROKERAGE)),
        Page(
            step=SyncScope.HOLDINGS,
            progress=Decimal(1),
            holdings=lots,
            holdings_complete=["a1"],
        ),
    ]
    _, run = await engine.linked(provider="scripted", login="ann")
    assert run.status is SyncStatus.SUCCEEDED
    assert run.holdings == SyncCounts(created=2, quarantined=1)
    assert {r["market_value"] for r in await engine.rows("holdings")} == {Decimal(1500)}
    kept = await engine.one("quarantine")
    assert kept["reason"] == "the rest of its position is in another currency"
    assert "900.00" in kept["raw"]


# ── a balance that nobody stated ────────────────────────────────────────────


async def test_a_new_account_without_a_balance_has_none_of_1970_and_no_snapshot(
    engine: Engine,
) -> None:
    run = await engine.imported(bank(account(january(1), balance="", as_of="20260301")))
    stored = await engine.one("accounts")
    assert (stored["balance"], stored["currency"]) == (0, "USD")
    assert stored["as_of"].year == 2026
    assert await engine.count("balance_snapshots") == 0
    assert "account.balance_changed" not in await engine.events()
    assert run.accounts == SyncCounts(created=1, quarantined=1)
    assert (await engine.one("quarantine"))["reason"] == "the statement states no balance"

    await engine.imported(bank(account(january(2), balance="80.00", as_of="20260401")))
    assert (await engine.one("accounts"))["balance"] == 80
    snapshot = await engine.one("balance_snapshots")
    assert (snapshot["balance"], snapshot["at"]) == (80, datetime(2026, 4, 1, tzinfo=UTC))


# ── what is kept of a number ────────────────────────────────────────────────


async def test_no_table_holds_the_number_of_an_account_in_a_file(engine: Engine) -> None:
    wrong = ("BAD", "20260105", "twelve", "BROKEN")
    file = bank(
        account([*january(1), wrong], number=NUMBER),
        account([], number=NUMBER, kind="SAVINGS", balance=""),
        account([], number=NUMBER, currency="MILES"),
    )
    run = await engine.imported(file)
    assert run.status is SyncStatus.PARTIAL
    assert run.error is not None
    assert run.error.message == "an account: 'MILES' is not an ISO 4217 or crypto asset code"
    assert await engine.count("quarantine") == 3
    for table in await engine.every_table():
        for row in await engine.rows(table):
            assert NUMBER not in str(tuple(row.values())), table
    assert {r["mask"] for r in await engine.rows("accounts")} == {"7890"}


async def test_an_imports_accounts_are_found_again_by_their_hashed_keys(engine: Engine) -> None:
    file = bank(account(january(1), number=NUMBER), account([], number="555"))
    first = await engine.bring_in(file)
    again = await engine.bring_in(file)
    assert len(set(first.account_ids)) == 2
    assert again.account_ids == first.account_ids


async def test_a_pulled_link_keeps_the_keys_that_its_provider_is_asked_by(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking())]
    await engine.linked(provider="scripted", login="ann")
    stored = await engine.one("accounts")
    [run] = await engine.request(account_id=stored["id"], force=True)
    await engine.run(run.id)
    assert scripted.asked[-1].account_keys == frozenset({"a1"})


# ── previews ────────────────────────────────────────────────────────────────


async def test_a_preview_of_five_hundred_accounts_stores_each_page_once(engine: Engine) -> None:
    file = bank(*(account(january(1, 2), number=f"9{n:05}") for n in range(500)))
    began = time.perf_counter()
    preview = await engine.preview(file)
    took = time.perf_counter() - began
    assert len(preview.accounts) == 500
    assert {a.transactions for a in preview.accounts} == {SyncCounts(created=2)}
    assert all(a.is_new for a in preview.accounts)
    assert took < 6, f"{took:.2f} s"  # 1.5 s where nothing else runs; it was 16


async def test_a_preview_counts_what_an_account_will_have_in_quarantine(engine: Engine) -> None:
    wrong = ("BAD", "20260105", "twelve", "BROKEN")
    file = bank(account([*january(1), wrong]), account(january(2), number="2002"))
    preview = await engine.preview(file)
    run = await engine.imported(file)
    assert [a.transactions for a in preview.accounts] == [
        SyncCounts(created=1, quarantined=1),
        SyncCounts(created=1),
    ]
    assert run.transactions == SyncCounts(created=2, quarantined=1)


# ── leaving ─────────────────────────────────────────────────────────────────


async def leave(engine: Engine, link_id: LinkId, *, delete: bool) -> None:
    cmd = Disconnect(actor=engine.actor, link_id=link_id, delete_data=delete, at=engine.clock())
    await disconnect(engine.app, cmd)


async def test_an_account_that_is_handed_over_shows_its_new_links_provider(
    engine: Engine, scripted: Scripted
) -> None:
    imported = await engine.imported(bank(account(january(1))))
    scripted.script = [
        accounts(checking(institution="Chase", number="1001", as_of=engine.clock.at))
    ]
    link, _ = await engine.linked(provider="scripted", login="ann")
    assert (await engine.one("accounts"))["provider_slug"] == "scripted"

    await leave(engine, link.id, delete=True)

    stored = await engine.one("accounts")
    assert (stored["link_id"], stored["provider_slug"]) == (imported.link_id, "file")


async def test_an_account_is_not_handed_over_to_a_link_that_was_disconnected(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [
        accounts(checking(institution="Chase", number="1001", as_of=engine.clock.at))
    ]
    first, _ = await engine.linked(provider="scripted", login="ann")
    second, _ = await engine.linked(provider="scripted", login="bob")
    engine.clock.turn(hours=1)
    imported = await engine.imported(bank(account(january(1))))  # the last to answer
    await leave(engine, imported.link_id, delete=False)

    await leave(engine, second.id, delete=True)

    stored = await engine.one("accounts")
    assert (stored["link_id"], stored["provider_slug"]) == (first.id, "scripted")


async def test_disconnecting_with_the_data_leaves_nothing_that_its_runs_kept(
    engine: Engine,
) -> None:
    wrong = ("BAD", "20260105", "twelve", "BROKEN")
    first = await engine.imported(bank(account([*january(1), wrong])))
    changed = [("F1", "20260101", "-99.00", "SHOP 1")]
    await engine.imported(bank(account(changed, balance="9.00", as_of="20260301")))
    other = bank(account([*january(1), wrong], number="777")).replace(b"Chase", b"Elm")
    await engine.imported(other.replace(b"10898", b"4711"), provider="chase")
    assert await engine.count("import_changes", "before IS NOT NULL") > 0
    kept = await engine.count("quarantine")

    await leave(engine, first.link_id, delete=True)

    mine = "run_id IN (SELECT id FROM sync_runs WHERE link_id = $1)"
    assert await engine.count("import_changes", mine, first.link_id) == 0
    assert await engine.count("quarantine", mine, first.link_id) == 0
    assert await engine.count("quarantine") == kept - 1
    assert await engine.count("import_changes") > 0
