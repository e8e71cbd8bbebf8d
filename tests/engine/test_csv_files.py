"""CSV files through the engine: one account and one row each, whatever else tells of them."""

import pytest

from domain.errors import UnreadableFile
from domain.sync import SyncCounts, SyncStatus
from tests.csv.samples import BROKERAGE, CARD, DEPOSIT, POSITIONS
from tests.engine.files import account, bank, january
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

HEADER = "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
NAME = "Chase1001_Activity_20260131.CSV"
QFX = bank(account(january(5, 6, 7)))


def a_csv(*days: int, name: str = "SHOP", pending: tuple[int, ...] = ()) -> bytes:
    """What january() says, newest first, in other words."""
    lines = [
        f'DEBIT,01/{day:02}/2026,"{name} {day} MILL ROAD",-{day}0.00,DEBIT_CARD,'
        f"{' ' if day in pending else '500.00'},,\n"
        for day in sorted(days, reverse=True)
    ]
    return (HEADER + "".join(lines)).encode()


async def test_the_same_file_again_is_unchanged_and_writes_nothing(engine: Engine) -> None:
    for content, name in (
        (DEPOSIT, NAME),
        (CARD, "Chase2002_Activity.csv"),
        (BROKERAGE, "Individual_XXX999_Transactions_20260121.csv"),
        (POSITIONS, "Roth-Positions.csv"),
    ):
        first = await engine.imported(content.encode(), file_name=name)
        assert first.status is SyncStatus.SUCCEEDED
        assert first.accounts.created == 1
        before = await engine.written(*DATA)
        again = await engine.imported(content.encode(), file_name=name)
        assert again.transactions.created == again.accounts.created == again.holdings.created == 0
        assert await engine.written(*DATA) == before
    assert await engine.count("transactions") == 6 + 4 + 8
    assert await engine.count("holdings") == 3


@pytest.mark.parametrize("csv_first", [True, False])
@pytest.mark.parametrize("provider", ["chase", "file"])
async def test_one_account_by_csv_and_by_qfx_is_one_and_no_row_is_doubled(
    engine: Engine, csv_first: bool, provider: str
) -> None:
    both = [(a_csv(6, 7, 8), NAME), (QFX, "Chase1001_Activity_20260131.QFX")]
    for content, name in both if csv_first else reversed(both):
        run = await engine.imported(content, file_name=name, provider=provider)
        assert run.status is SyncStatus.SUCCEEDED
    kept = await engine.one("accounts")
    assert (kept["type"], kept["mask"]) == ("CHECKING", "1001")
    assert kept["sealed_number"] is not None
    amounts = [r["amount"] for r in await engine.rows("transactions", order="date")]
    assert amounts == [-50, -60, -70, -80]

    before = await engine.written(*DATA)
    for content, name in both:  # in whichever order they come again
        again = await engine.imported(content, file_name=name, provider=provider)
        assert again.transactions.updated == again.transactions.created == 0
    assert await engine.written(*DATA) == before


@pytest.mark.parametrize("undone_first", [0, 1])
async def test_what_two_formats_told_goes_when_both_are_taken_back(
    engine: Engine, undone_first: int
) -> None:
    """Two purchases are alike in all but their ids, which one of the formats has not."""
    alike = a_csv(7, 7, 6).decode().replace("SHOP 6", "SHOP 7").encode()
    qfx = bank(account([*january(7), ("F7b", "20260107", "-70.00", "SHOP 7"), *january(6)]))
    runs = [
        await engine.imported(alike, file_name=NAME),
        await engine.imported(qfx, file_name="x.qfx"),
    ]
    assert await engine.count("transactions") == 3

    await engine.undo(runs.pop(undone_first))
    assert await engine.count("transactions") == 3
    await engine.undo(runs.pop())
    for table in ("transactions", "accounts", "import_changes"):
        assert await engine.count(table) == 0, table

    again = await engine.imported(qfx, file_name="x.qfx")
    assert (again.transactions.created, again.accounts.created) == (3, 1)


async def test_a_live_link_and_a_csv_tell_of_one_account(
    engine: Engine, scripted: Scripted
) -> None:
    await engine.imported(a_csv(6), file_name=NAME)
    row = spent("t1", "-60.00", date=(await engine.one("transactions"))["date"])
    scripted.script = [
        accounts(checking(key="a1", number="990011001", institution="Chase")),
        transactions(row),
    ]
    await engine.linked(provider="scripted", login="ann")
    assert await engine.count("accounts") == 1
    assert await engine.count("transactions") == 1


async def test_two_accounts_of_the_same_last_digits_are_not_guessed_between(engine: Engine) -> None:
    await engine.imported(bank(account([], number="1001"), account([], number="881001")))
    await engine.imported(a_csv(6), file_name=NAME)
    assert await engine.count("accounts") == 3


async def test_other_digits_in_the_files_name_are_another_account(engine: Engine) -> None:
    await engine.imported(a_csv(6), file_name=NAME)
    await engine.imported(a_csv(6), file_name="Chase2002_Activity_20260131.CSV")
    assert await engine.count("accounts") == 2
    assert await engine.count("transactions") == 2


async def test_what_was_pending_in_one_file_has_settled_or_gone_in_the_next(
    engine: Engine,
) -> None:
    await engine.imported(a_csv(5, 6, 7, pending=(6, 7)), file_name=NAME)
    told = {r["amount"]: (r["id"], r["status"]) for r in await engine.rows("transactions")}
    assert [status for _, status in told.values()].count("PENDING") == 2

    # One was posted two days later, the other is nowhere.
    later = a_csv(5, 9).decode().replace("-90.00", "-60.00").encode()
    run = await engine.imported(later, file_name=NAME)
    assert run.transactions == SyncCounts(updated=1, unchanged=1, removed=1)
    rows = {r["amount"]: r for r in await engine.rows("transactions")}
    assert rows[-60]["id"] == told[-60][0]
    assert (rows[-60]["status"], rows[-60]["date"].day) == ("SETTLED", 9)
    assert rows[-70]["removed_at"] is not None

    await engine.undo(run)
    again = {r["amount"]: (r["id"], r["status"]) for r in await engine.rows("transactions")}
    assert again == told


async def test_an_older_file_takes_nothing_back(engine: Engine) -> None:
    await engine.imported(a_csv(5, 6, 7, pending=(7,)), file_name=NAME)
    before = await engine.written("transactions")
    await engine.imported(a_csv(5, 6), file_name=NAME)
    assert await engine.written("transactions") == before


async def test_what_a_newer_file_gave_up_is_not_pending_again_by_an_older_one(
    engine: Engine,
) -> None:
    """With the tip another amount settled: both together would count it twice."""
    older = a_csv(5, 6, 7, pending=(7,))
    await engine.imported(older, file_name=NAME)
    await engine.imported(a_csv(5, 6, 8), file_name=NAME)
    given_up = "amount = -70 AND removed_at IS NOT NULL"
    assert len(await engine.rows("transactions", given_up)) == 1
    before = await engine.written(*DATA)
    again = await engine.imported(older, file_name=NAME)
    assert again.transactions == SyncCounts(unchanged=3)
    assert await engine.written(*DATA) == before


async def test_positions_and_transactions_of_one_broker_are_of_one_account(engine: Engine) -> None:
    name = "Roth_Contributory_IRA_XXX178_Transactions_20260121-115444.csv"
    await engine.imported(BROKERAGE.encode(), file_name=name)
    await engine.imported(POSITIONS.encode(), file_name="Roth-Positions.csv")
    kept = await engine.one("accounts")
    assert (kept["balance"], kept["cash_balance"], kept["type"]) == (142_000, 350, "ROTH_IRA")


async def test_rows_that_cannot_be_read_are_kept_and_a_preview_counts_them(engine: Engine) -> None:
    content = a_csv(5, 6).replace(b"-60.00", b"sixty")
    preview = await engine.preview(content, file_name=NAME)
    assert [u.line for u in preview.unreadable] == [2]
    run = await engine.imported(content, file_name=NAME)
    assert run.transactions == SyncCounts(created=1, quarantined=1)
    kept = await engine.one("quarantine")
    assert (kept["line"], "the amount" in kept["reason"]) == (2, True)


async def test_a_layout_that_is_not_known_is_refused_by_its_columns(engine: Engine) -> None:
    with pytest.raises(UnreadableFile, match="Date, Amount, Note") as refused:
        await engine.imported(b"Date,Amount,Note\n2026-01-01,5,x\n", file_name="x.csv")
    assert refused.value.field == ("input", "file")
