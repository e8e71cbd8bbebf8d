"""What is stored after syncs and imports, reconciled: nothing is found, until something is wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest

from adapters.postgres.snapshot import Snapshot
from domain.accounts import MASK
from domain.queries.budget import Budget
from domain.queries.reconciliation import reconciliations
from domain.reconciliation import Finding, FindingCode, Reconciliation
from tests.builders import money
from tests.engine.files import account, bank, brokerage, january, position
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import Engine
from tests.ofx.samples import CHASE_CARD

BANKED = ("Everyday Checking", "High-Yield Savings", "Rewards Card", "Home Mortgage")
INVESTED = ("Individual Brokerage", "Traditional IRA")
CODE = FindingCode


async def checked(engine: Engine) -> dict[str, Reconciliation]:
    """By the account's name."""
    reads = Snapshot(engine.wired.pool, engine.actor.user_id)
    try:
        known = await reads.accounts()
        found = await reconciliations(reads, known, Budget())
    finally:
        await reads.close()
    return {a.name: one for a, one in zip(known, found, strict=True)}


async def only(engine: Engine, name: str) -> Finding:
    """The only finding, in that account."""
    found = await checked(engine)
    assert [n for n, one in found.items() if not one.balanced] == [name]
    [finding] = found[name].findings
    return finding


async def settled(engine: Engine, name: str) -> Sequence[asyncpg.Record]:
    """The newest first."""
    rows: Sequence[asyncpg.Record] = await engine.spy.fetch(
        "SELECT t.* FROM transactions t JOIN accounts a ON a.id = t.account_id"
        " WHERE a.name = $1 AND t.status = 'SETTLED' ORDER BY t.date DESC, t.id DESC",
        name,
    )
    return rows


# ── the sandbox ─────────────────────────────────────────────────────────────


async def test_the_sandbox_reconciles_after_each_sync(engine: Engine) -> None:
    link, _ = await engine.linked()
    for days in (0, 1, 1, 30):
        engine.clock.turn(days=days, minutes=6)
        await engine.sync(link, force=days == 0)
        found = await checked(engine)
        assert found.keys() == {*BANKED, *INVESTED}
        assert all(one.balanced and one.checked_at is not None for one in found.values()), found
    assert found["Individual Brokerage"].checked_at == datetime(2026, 12, 23, tzinfo=UTC)


async def test_a_hundred_accounts_reconcile_in_as_many_statements_as_one(engine: Engine) -> None:
    await engine.linked(scenario="large")
    for count in (1, 10, 100):
        reads = Snapshot(engine.wired.pool, engine.actor.user_id)
        known = list(await reads.accounts())
        some = known[:1] + known[-1:-count:-1]
        found = await reconciliations(reads, some, Budget())
        await reads.close()
        assert len(found) == len(some) == count
        assert all(one.balanced and one.checked_at is not None for one in found), found
        # The accounts, and of one kind its positions, of the others their balances.
        assert reads.statements == min(count + 1, 3)


@pytest.mark.parametrize("name", BANKED)
@pytest.mark.parametrize("which", [0, 5, -1])
async def test_a_transaction_that_is_missing_is_found(
    engine: Engine, name: str, which: int
) -> None:
    """But for the very first: from there on we know what happened."""
    await engine.linked()
    rows = await settled(engine, name)
    lost = rows[which] if which >= 0 else rows[-2]
    await engine.spy.execute("DELETE FROM transactions WHERE id = $1", lost["id"])

    finding = await only(engine, name)

    assert finding.code is CODE.TRANSACTIONS_AND_BALANCE
    assert finding.difference == money(str(lost["amount"]))
    assert finding.actual is not None
    assert finding.expected == finding.actual - money(str(lost["amount"]))
    assert lost["date"].isoformat() in finding.message or which == 0


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE transactions SET removed_at = now() WHERE id = $1",
        "UPDATE transactions SET status = 'CANCELLED' WHERE id = $1",
        "UPDATE transactions SET status = 'FAILED' WHERE id = $1",
        "UPDATE transactions SET status = 'PENDING' WHERE id = $1",
    ],
)
async def test_only_what_was_settled_counts(engine: Engine, harm: str) -> None:
    await engine.linked()
    row = (await settled(engine, "Rewards Card"))[7]
    await engine.spy.execute(harm, row["id"])

    assert (await only(engine, "Rewards Card")).difference == money(str(row["amount"]))


@pytest.mark.parametrize("name", [*BANKED, *INVESTED])
@pytest.mark.parametrize("off", ["0.01", "-1234.56"])
async def test_a_balance_that_was_changed_is_found_to_the_cent(
    engine: Engine, name: str, off: str
) -> None:
    await engine.linked()
    was = (await engine.one("accounts", "name = $1", name))["balance"]
    change = "UPDATE accounts SET balance = balance + $2 WHERE name = $1"
    await engine.spy.execute(change, name, Decimal(off))

    finding = await only(engine, name)

    code = CODE.POSITIONS_AND_CASH if name in INVESTED else CODE.TRANSACTIONS_AND_BALANCE
    assert (finding.code, finding.difference) == (code, money(off))
    assert finding.expected == money(str(was))
    assert finding.actual == money(str(was + Decimal(off)))


async def test_a_stored_balance_of_the_past_that_is_wrong_is_found_once(engine: Engine) -> None:
    await engine.linked()
    [row] = await engine.spy.fetch(
        "UPDATE balance_snapshots SET balance = balance + 77.77 WHERE id = (SELECT s.id"
        " FROM balance_snapshots s JOIN accounts a ON a.id = s.account_id"
        " WHERE a.name = 'Everyday Checking' ORDER BY s.at DESC OFFSET 100 LIMIT 1) RETURNING at"
    )

    finding = await only(engine, "Everyday Checking")

    assert finding.difference == money("77.77")
    assert f"the balance of {row['at'].date()} is not" in finding.message


async def test_a_position_whose_value_is_wrong_is_found(engine: Engine) -> None:
    await engine.linked()
    change = (
        "UPDATE holdings SET market_value = market_value + $1 WHERE security_id = "
        "(SELECT id FROM securities WHERE symbol = 'MSFT')"
    )
    await engine.spy.execute(change, Decimal("0.01"))
    slight = await only(engine, "Individual Brokerage")
    assert (slight.code, slight.difference) == (CODE.POSITIONS_AND_CASH, money("-0.01"))

    await engine.spy.execute(change, Decimal("999.99"))
    found = (await checked(engine))["Individual Brokerage"].findings
    assert [(f.code, f.difference) for f in found] == [
        (CODE.HOLDING_VALUE, money("1000.00")),
        (CODE.POSITIONS_AND_CASH, money("-1000.00")),
    ]
    assert "MSFT" in found[0].message


async def test_an_option_without_its_multiplier_is_found(engine: Engine) -> None:
    await engine.linked()
    await engine.spy.execute("UPDATE securities SET multiplier = 1 WHERE asset_type = 'OPTION'")

    finding = await only(engine, "Individual Brokerage")

    assert finding.code is CODE.HOLDING_VALUE


# ── other feeds ─────────────────────────────────────────────────────────────


async def test_a_feed_without_a_history_is_compared_from_the_first_quiet_balance_on(
    engine: Engine, scripted: Scripted
) -> None:
    """Transactions of a day may or may not be in a balance that was seen on it."""
    link = None
    balance = Decimal("100.00")
    told = [spent("t0", "-1.00", date=engine.clock().date())]
    for day in range(9):
        if day in (4, 6):
            balance -= 5
            told.append(spent(f"t{day}", "-5.00", date=engine.clock().date()))
        stated = checking(balance=money(str(balance)), as_of=engine.clock())
        scripted.script = [accounts(stated), transactions(*told)]
        if link is None:
            link, _ = await engine.linked(provider="scripted", login="ann")
        else:
            await engine.sync(link)
        [found] = (await checked(engine)).values()
        assert found.balanced
        # On the third day nothing was posted on the days around it.
        assert (found.checked_at is not None) == (day >= 2), day
        engine.clock.turn(days=1)

    [lost] = await engine.rows("transactions", "date = $1", told[-1].date)
    await engine.spy.execute("DELETE FROM transactions WHERE id = $1", lost["id"])
    assert (await only(engine, "Checking")).difference == money("-5.00")


async def test_an_account_whose_transactions_nobody_tells_has_nothing_to_compare(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking())]
    link, _ = await engine.linked(provider="scripted", login="ann")
    engine.clock.turn(days=3)
    scripted.script = [accounts(checking(balance=money("7.00"), as_of=engine.clock()))]
    await engine.sync(link)

    [found] = (await checked(engine)).values()

    assert (found.balanced, found.checked_at) == (True, None)


async def test_transactions_of_another_currency_are_not_passed_over(engine: Engine) -> None:
    await engine.linked()
    row = (await settled(engine, "Everyday Checking"))[3]
    await engine.spy.execute("UPDATE transactions SET currency = 'EUR' WHERE id = $1", row["id"])

    assert (await only(engine, "Everyday Checking")).code is CODE.NOT_COMPARABLE


async def test_only_what_lies_within_a_year_of_the_balance_is_compared(engine: Engine) -> None:
    """However long an account has been told of since: its whole history is never read."""
    await engine.linked()
    await engine.spy.execute("UPDATE accounts SET as_of = as_of - interval '3 years'")

    found = await checked(engine)

    assert {name: found[name].checked_at for name in BANKED} == dict.fromkeys(BANKED)


# ── statements ──────────────────────────────────────────────────────────────


def month(*days: int, balance: str, as_of: str) -> bytes:
    return bank(account(january(*days), balance=balance, as_of=as_of))


async def test_statements_are_compared_with_one_another(engine: Engine) -> None:
    await engine.imported(month(1, 2, 3, balance="940.00", as_of="20260103"))
    [one] = (await checked(engine)).values()
    assert (one.balanced, one.checked_at) == (True, None)  # there is nothing beside it

    await engine.imported(month(4, 5, balance="850.00", as_of="20260106"))
    [two] = (await checked(engine)).values()
    assert two == Reconciliation(checked_at=datetime(2026, 1, 6, tzinfo=UTC))

    await engine.imported(month(9, 10, balance="590.00", as_of="20260110"))  # the 7th: -70.00
    finding = await only(engine, f"Checking {MASK}1001")
    assert finding.code is CODE.TRANSACTIONS_AND_BALANCE
    assert (finding.expected, finding.actual) == (money("660.00"), money("590.00"))
    assert finding.difference == money("-70.00")

    await engine.imported(month(7, balance="780.00", as_of="20260107"))
    [whole] = (await checked(engine)).values()
    assert whole.balanced


async def test_a_brokerages_statement_reconciles(engine: Engine) -> None:
    aapl = position("037833100", "10", "150", "1500")
    await engine.imported(brokerage(aapl, cash="100"))
    await engine.imported(CHASE_CARD.encode("cp1252"), provider="chase")

    found = await checked(engine)

    assert len(found) == 2
    assert all(one.balanced for one in found.values()), found
    assert [one.checked_at is not None for one in found.values()].count(True) == 1

    await engine.spy.execute("UPDATE holdings SET market_value = 1400, market_price = NULL")
    [name] = [n for n, one in found.items() if one.checked_at is not None]
    assert (await only(engine, name)).difference == money("100")
