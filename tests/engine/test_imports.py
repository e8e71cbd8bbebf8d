import pytest

from domain.accounts import AccountType
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import CASH_ALONE, FILE_BYTES_MAX
from domain.sync import SyncCounts, SyncStatus, SyncTrigger
from tests.builders import money
from tests.engine.files import account, bank, brokerage, january, position
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine
from tests.ofx.samples import CHASE_CARD

JANUARY = bank(account(january(*range(1, 21))))
CHASE = CHASE_CARD.encode("cp1252")
AAPL = position("037833100", "10", "150", "1500")
MSFT = position("594918104", "5", "400", "2000")


async def test_a_statement_becomes_an_account_with_its_transactions(engine: Engine) -> None:
    result = await engine.bring_in(JANUARY)
    run = result.run
    assert run is not None
    assert (run.status, run.trigger) == (SyncStatus.SUCCEEDED, SyncTrigger.IMPORT)
    assert run.accounts == SyncCounts(created=1)
    assert run.transactions == SyncCounts(created=20)
    stored = await engine.one("accounts")
    assert list(result.account_ids) == [stored["id"]]
    assert (stored["balance"], stored["mask"]) == (500, "1001")
    snapshot = await engine.one("balance_snapshots")
    assert (snapshot["source"], snapshot["at"]) == ("FILE_IMPORT", stored["as_of"])
    assert await engine.events() == [
        "import.started",
        "account.balance_changed",
        "networth.changed",
        "import.completed",
    ]
    file = await engine.one("import_files")
    assert (file["size"], file["sealed_content"]) == (len(JANUARY), None)


async def test_the_same_file_again_is_unchanged_and_writes_nothing(engine: Engine) -> None:
    await engine.imported(JANUARY)
    before, version = await engine.written(*DATA), await engine.version()
    again = await engine.imported(JANUARY)
    assert again.status is SyncStatus.SUCCEEDED
    assert again.accounts == SyncCounts(unchanged=1)
    assert again.transactions == SyncCounts(unchanged=20)
    assert (await engine.written(*DATA), await engine.version()) == (before, version)


async def test_an_overlapping_file_adds_only_what_is_new(engine: Engine) -> None:
    await engine.imported(JANUARY)
    run = await engine.imported(bank(account(january(*range(15, 29)), as_of="20260215")))
    assert run.transactions == SyncCounts(created=8, unchanged=6)
    assert await engine.count("transactions") == 28
    assert await engine.count("links") == 1


async def test_two_accounts_in_one_file_are_two(engine: Engine) -> None:
    file = bank(account(january(1, 2)), account(january(1, 3), number="2002", kind="SAVINGS"))
    run = await engine.imported(file)
    assert (run.accounts.created, run.transactions.created) == (2, 4)
    assert await engine.count("accounts", "type = 'SAVINGS'") == 1


async def test_the_same_number_in_two_currencies_is_two_accounts(engine: Engine) -> None:
    run = await engine.imported(
        bank(account(january(1)), account(january(1), currency="EUR", balance="7.00"))
    )
    assert run.accounts.created == 2
    assert {r["currency"] for r in await engine.rows("accounts")} == {"USD", "EUR"}
    assert {r["currency"] for r in await engine.rows("transactions")} == {"USD", "EUR"}


async def test_an_id_that_a_bank_uses_twice_names_two_transactions(engine: Engine) -> None:
    run = await engine.imported(CHASE, provider="chase")
    assert run.transactions.created == 3
    amounts = sorted(str(r["amount"]) for r in await engine.rows("transactions"))
    assert amounts == ["-2.94", "-98.03", "500.00"]
    again = await engine.imported(CHASE, provider="chase")
    assert again.transactions == SyncCounts(unchanged=3)


async def test_ids_that_a_bank_renumbers_are_known_by_what_they_name(engine: Engine) -> None:
    await engine.imported(JANUARY)
    before, version = await engine.written(*DATA), await engine.version()
    renumbered = [(f"N{id}", *rest) for id, *rest in january(*range(1, 21))]
    run = await engine.imported(bank(account(renumbered)))  # type: ignore[arg-type]
    assert run.transactions == SyncCounts(unchanged=20)
    assert (await engine.written(*DATA), await engine.version()) == (before, version)


async def test_a_second_purchase_like_the_first_is_a_second_one(engine: Engine) -> None:
    coffee = ("C1", "20260105", "-4.50", "COFFEE")
    await engine.imported(bank(account([coffee])))
    run = await engine.imported(bank(account([coffee, ("C2", *coffee[1:])])))
    assert run.transactions == SyncCounts(created=1, unchanged=1)


async def test_two_slugs_of_one_bank_feed_one_account(engine: Engine) -> None:
    await engine.imported(CHASE, provider="chase")
    run = await engine.imported(CHASE, provider="file")
    assert (run.accounts.created, run.transactions.created) == (0, 0)
    assert await engine.count("links") == 2
    assert await engine.count("accounts") == 1
    assert await engine.count("transactions") == 3


def without_positions(*, as_of: str, cash: str) -> bytes:
    file = brokerage(as_of=as_of, cash=cash)
    silent = file.replace(b"<INVPOSLIST></INVPOSLIST>", b"")
    assert silent != file
    return silent


async def test_a_statement_that_lists_no_positions_leaves_those_that_are_known(
    engine: Engine,
) -> None:
    await engine.imported(without_positions(as_of="20260110160000", cash="40"))
    assert (await engine.one("accounts"))["balance"] == 40  # nothing else is known of it
    await engine.imported(brokerage(AAPL, MSFT))
    silent = without_positions(as_of="20260228160000", cash="77")
    preview = (await engine.bring_in(silent, dry_run=True)).preview
    assert preview is not None
    assert [account.balance for account in preview.accounts] == [None]
    assert [row.reason for row in preview.unreadable] == [CASH_ALONE]

    run = await engine.imported(silent)
    assert (run.status, run.accounts.quarantined) == (SyncStatus.SUCCEEDED, 1)
    assert run.holdings == SyncCounts()
    assert await engine.count("holdings", "is_active") == 2
    assert (await engine.one("accounts"))["balance"] == 3600
    assert {r["balance"] for r in await engine.rows("balance_snapshots")} == {40, 3600}

    none = await engine.imported(brokerage(as_of="20260228160000", cash="77"))  # an empty list
    assert none.holdings.removed == 2
    await engine.imported(without_positions(as_of="20260301160000", cash="80"))
    assert (await engine.one("accounts"))["balance"] == 80


async def test_positions_and_securities_of_an_investment_statement(engine: Engine) -> None:
    run = await engine.imported(brokerage(AAPL, MSFT))
    assert (run.holdings.created, run.transactions.created) == (2, 1)
    assert {r["symbol"] for r in await engine.rows("securities")} == {"AAPL", "MSFT"}
    assert (await engine.one("accounts"))["balance"] == 3600
    before = await engine.written(*DATA)
    assert (await engine.imported(brokerage(AAPL, MSFT))).holdings == SyncCounts(unchanged=2)
    assert await engine.written(*DATA) == before

    sold = await engine.imported(brokerage(AAPL, as_of="20260228160000"))
    assert sold.holdings.removed == 1
    assert await engine.count("holdings", "is_active") == 1


async def test_an_older_investment_statement_moves_no_position(engine: Engine) -> None:
    await engine.imported(brokerage(AAPL, as_of="20260228160000"))
    before = await engine.written("accounts", "holdings")
    older = position("037833100", "4", "140", "560", of="20251231")
    run = await engine.imported(brokerage(older, MSFT, as_of="20251231160000"))
    assert run.holdings == SyncCounts(unchanged=2)
    assert await engine.written("accounts", "holdings") == before
    assert await engine.count("balance_snapshots") == 2


# ── what a statement's balance is ───────────────────────────────────────────


async def test_an_older_statement_is_a_fact_of_its_date_and_moves_no_balance(
    engine: Engine,
) -> None:
    await engine.imported(bank(account(january(20), balance="300.00", as_of="20260320")))
    await engine.imported(bank(account(january(10), balance="100.00", as_of="20260110")))
    await engine.imported(bank(account(january(15), balance="200.00", as_of="20260215")))
    assert (await engine.one("accounts"))["balance"] == 300
    rows = await engine.rows("balance_snapshots", order="at")
    assert [r["balance"] for r in rows] == [100, 200, 300]
    await engine.imported(bank(account(january(21), balance="400.00", as_of="20260321")))
    assert (await engine.one("accounts"))["balance"] == 400


async def test_a_newer_statement_with_the_same_balance_is_not_outdone_by_one_between(
    engine: Engine,
) -> None:
    for balance, as_of in (("100.00", "20260131"), ("100.00", "20260331"), ("50.00", "20260228")):
        await engine.imported(bank(account([], balance=balance, as_of=as_of)))
    assert (await engine.one("accounts"))["balance"] == 100
    rows = await engine.rows("balance_snapshots", order="at")
    assert [r["balance"] for r in rows] == [100, 50, 100]


async def test_a_statement_without_a_balance_leaves_the_one_that_is_known(engine: Engine) -> None:
    await engine.imported(JANUARY)
    run = await engine.imported(bank(account(january(25), balance="", as_of="20260301")))
    assert run.transactions.created == 1
    assert (await engine.one("accounts"))["balance"] == 500
    assert await engine.count("balance_snapshots") == 1
    assert run.accounts.quarantined == 1


async def test_a_live_links_balance_wins_over_a_files_and_nothing_is_doubled(
    engine: Engine, scripted: Scripted
) -> None:
    rows = [
        spent(f"live-{id}", amount, description=name, date=day(when))
        for id, when, amount, name in january(*range(1, 11))
    ]
    live = checking(institution="Chase", number="1001", balance=money("480.00"))
    scripted.script = [accounts(live), transactions(*rows)]
    link, _ = await engine.linked(provider="scripted", login="ann")

    run = await engine.imported(bank(account(january(*range(1, 21)), as_of="20261121")))

    assert run.accounts.created == 0
    assert (run.transactions.created, run.transactions.unchanged) == (10, 10)
    stored = await engine.one("accounts")
    assert (stored["balance"], stored["link_id"]) == (480, link.id)
    assert await engine.count("balance_snapshots", "source = 'FILE_IMPORT'") == 1
    before = await engine.written(*DATA)
    await engine.sync(link)
    assert await engine.written(*DATA) == before


async def test_a_live_link_takes_over_the_account_that_a_file_made(
    engine: Engine, scripted: Scripted
) -> None:
    file = bank(account(january(*range(1, 11)), as_of="20261122"))  # ahead of the live balance
    await engine.imported(file)
    rows = [
        spent(f"live-{id}", amount, description=name, date=day(when))
        for id, when, amount, name in january(*range(1, 13))
    ]
    live = checking(
        institution="Chase", number="1001", balance=money("460.00"), as_of=engine.clock.at
    )
    scripted.script = [accounts(live), transactions(*rows)]
    link, run = await engine.linked(provider="scripted", login="ann")

    stored = await engine.one("accounts")
    assert (stored["balance"], stored["link_id"], stored["provider_slug"]) == (
        *(460, link.id),
        "scripted",
    )
    # In its own words from now on, and they stay: two sources do not take turns.
    assert run.transactions == SyncCounts(created=2, updated=10)
    before = await engine.written(*DATA)
    await engine.sync(link)
    assert (await engine.imported(file)).transactions.created == 0
    assert await engine.written(*DATA) == before


def day(written: str) -> object:
    from datetime import datetime

    return datetime.strptime(written, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone


# ── what cannot be read ─────────────────────────────────────────────────────


async def test_rows_that_cannot_be_read_are_kept_with_line_and_reason(engine: Engine) -> None:
    wrong = ("BAD", "20260105", "twelve", "BROKEN")
    run = await engine.imported(bank(account([*january(1), wrong])))
    assert run.transactions == SyncCounts(created=1, quarantined=1)
    kept = await engine.one("quarantine")
    assert kept["reason"]
    assert kept["line"] > 1


async def test_a_file_of_an_account_that_cannot_be_read_is_no_success(engine: Engine) -> None:
    run = await engine.imported(bank(account(january(1), currency="MILES")))
    assert run.status is SyncStatus.FAILED
    assert await engine.count("accounts") == 0
    link = await engine.one("links")
    assert (link["status"], link["next_sync_at"], link["consecutive_failures"]) == (
        *("ACTIVE", None),
        0,
    )
    both = bank(account(january(1), currency="MILES"), account(january(1)))
    partly = await engine.imported(both)
    assert partly.status is SyncStatus.PARTIAL
    for one in (run, partly):
        assert one.error is not None
        assert one.error.code is ErrorCode.FILE_UNREADABLE
        assert "MILES" in one.error.message


async def test_what_is_no_statement_is_refused_and_leaves_nothing(engine: Engine) -> None:
    for file, code in (
        (b"", ErrorCode.FILE_UNREADABLE),
        (b"date,amount\n1,2", ErrorCode.FILE_UNREADABLE),
        (b"x" * (FILE_BYTES_MAX + 1), ErrorCode.FILE_TOO_LARGE),
    ):
        with pytest.raises(UnreadableFile) as refused:
            await engine.bring_in(file)
        assert (refused.value.code, refused.value.field) == (code, ("input", "file"))
    for table in ("links", "sync_runs", "import_files", "events"):
        assert await engine.count(table) == 0


async def test_a_files_link_is_never_due(engine: Engine) -> None:
    await engine.imported(JANUARY)
    link = await engine.one("links")
    assert (link["status"], link["next_sync_at"]) == ("ACTIVE", None)
    engine.clock.turn(days=100)
    assert await engine.app.doors.due_links(engine.clock(), 10) == []


async def test_a_change_of_what_the_account_is_follows_its_provider(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(type=AccountType.BROKERAGE))]
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script = [accounts(checking(type=AccountType.IRA))]
    assert (await engine.sync(link)).accounts.updated == 1
    assert (await engine.one("accounts"))["type"] == "IRA"


# ── preview ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("imported_before", [False, True])
async def test_a_preview_writes_nothing_and_counts_what_the_import_will(
    engine: Engine, *, imported_before: bool
) -> None:
    if imported_before:
        await engine.imported(JANUARY)
    file = bank(
        account(january(*range(15, 29)), as_of="20260215"), account(january(3), number="2002")
    )
    tables = [t for t in await engine.every_table() if not t.startswith("public.audit_")]
    before = await engine.written(*tables)

    preview = await engine.preview(file)

    assert await engine.written(*tables) == before
    run = await engine.imported(file)
    assert sum((a.transactions for a in preview.accounts), SyncCounts()) == run.transactions
    assert sum((a.holdings for a in preview.accounts), SyncCounts()) == run.holdings
    assert sum(a.is_new for a in preview.accounts) == run.accounts.created
    assert [a.is_new for a in preview.accounts] == [not imported_before, True]


async def test_a_preview_of_an_investment_statement_counts_its_positions(engine: Engine) -> None:
    await engine.imported(brokerage(AAPL))
    file = brokerage(AAPL, MSFT, as_of="20260228160000")
    preview = await engine.preview(file)
    run = await engine.imported(file)
    assert preview.accounts[0].holdings == run.holdings == SyncCounts(created=1, unchanged=1)
    assert preview.institution == "Chase"


async def test_a_preview_shows_what_the_import_would_quarantine(engine: Engine) -> None:
    """Also what can be read, and has no place: a part of a position in another currency."""
    euros = "<CURRENCY><CURRATE>1.1<CURSYM>EUR</CURRENCY></INVPOS>"
    file = brokerage(AAPL, AAPL.replace("</INVPOS>", euros))
    preview = await engine.preview(file)
    assert (await engine.imported(file)).holdings == preview.accounts[0].holdings
    kept = [(r["reason"], r["line"]) for r in await engine.rows("quarantine")]
    assert [(row.reason, row.line) for row in preview.unreadable] == kept
    assert kept == [("the rest of its position is in another currency", None)]
