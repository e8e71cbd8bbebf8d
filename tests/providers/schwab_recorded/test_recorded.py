"""What was recorded from Schwab, read: the account comes to its total to the cent."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from adapters.providers.kit import NEW_YORK, Record, as_record, decode
from adapters.providers.schwab.instruments import day_of
from domain.links import LinkId
from domain.merging import Merge, merge_account, merge_holdings, merge_securities
from domain.money import total
from domain.reconciliation import Balances, reconcile
from domain.securities import AssetType
from domain.sync import Page, ReceivedTransaction, SyncScope
from domain.transactions import TransactionSubtype as S
from tests.builders import USD, money
from tests.providers.conformance import AT, pulled
from tests.providers.schwab import a_request, a_schwab, a_sim, failures, holdings_of, some_books
from tests.providers.simulators.schwab import SchwabSimulator
from tests.providers.simulators.schwab_books import Books

FOLDER = Path(__file__).parents[3].parent / "shared/fixtures/schwab"
ACCOUNTS = "/trader/v1/accounts"
HISTORY = "/trader/v1/accounts/*/transactions"


def recorded(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def records(name: str) -> list[Record]:
    found = decode(recorded(name))
    assert isinstance(found, list)
    return [as_record(row, "the record") for row in found]


def at_schwab(number: str) -> SchwabSimulator:
    books: Books = some_books(number=number)
    return a_sim(books)


async def an_account_of(name: str, number: str, *, as_list: bool = False) -> list[Page]:
    sim = at_schwab(number)
    said = recorded(name) if as_list else b"[" + recorded(name) + b"]"
    sim.mutate(lambda _: said, path=ACCOUNTS)
    return await pulled(a_schwab(sim), a_request(sim))


async def some_rows_of(name: str) -> list[Page]:
    sim = at_schwab("111111111")
    sim.mutate(lambda _: recorded(name), path=HISTORY)
    since = AT.date().replace(year=AT.year - 2)
    return await pulled(a_schwab(sim), a_request(sim, since=since, position="{}"))


def by_key(pages: list[Page]) -> dict[str, ReceivedTransaction]:
    return {row.key: row for page in pages for row in page.transactions}


async def test_the_recorded_account_reconciles_to_the_cent() -> None:
    pages = await an_account_of("schwab_rb/account.json", "11111111")
    [received] = pages[0].accounts
    held = holdings_of(pages)
    assert received.balance == money("50946.39")
    assert received.cash == money("51420.89")
    assert total((h.market_value for h in held), USD) == money("-474.50")
    assert received.available_balance == money("44420.89")

    account = merge_account(
        Merge(), None, received, link_id=LinkId(uuid4()), provider_slug="schwab",
        may_set_balance=True,
    )  # fmt: skip
    _, securities = merge_securities([], [h.security for h in held])
    merged = merge_holdings([], held, account_id=account.id, securities=securities, complete=True)
    verdict = reconcile(account, merged.created, Balances())
    assert verdict.balanced, verdict.findings
    assert verdict.checked_at == AT
    assert not failures(pages)


async def test_every_recorded_position_is_worth_what_it_cost_and_gained() -> None:
    pages = await an_account_of("schwab_rb/account.json", "11111111")
    [said] = records_of_positions()
    held = holdings_of(pages)
    assert len(held) == len(said) == 10
    for one, record in zip(held, said, strict=True):
        gain = record.get("longOpenProfitLoss", record.get("shortOpenProfitLoss"))
        assert one.cost_basis is not None
        assert (one.market_value - one.cost_basis).amount == gain
        assert one.security.asset_type is AssetType.OPTION
        assert one.security.multiplier == 100
        assert one.security.option is not None
        assert one.market_price is not None
        assert one.security.value(one.quantity, one.market_price) == one.market_value
        assert one.average_price is not None
        exact = one.quantity * one.average_price.amount * 100
        assert abs(exact - one.cost_basis.amount) < Decimal("0.01")
    assert sum(one.quantity < 0 for one in held) == 5


def records_of_positions() -> list[list[Record]]:
    account = as_record(decode(recorded("schwab_rb/account.json")), "the account")
    inner = as_record(account["securitiesAccount"], "it")
    positions = inner["positions"]
    assert isinstance(positions, list)
    return [positions]


async def test_every_recorded_trade_is_the_sum_of_its_parts() -> None:
    name = "schwab_rb/transactions_response_body.json"
    rows = by_key(await some_rows_of(name))
    assert len(rows) == len(records(name)) == 12
    for record in records(name):
        row = rows[str(record["activityId"])]
        assert row.amount.amount == record["netAmount"]
        assert row.security is not None
        assert row.quantity is not None
        assert row.unit_price is not None
        fees = row.commission.amount if row.commission else Decimal(0)
        paid = -row.quantity * row.unit_price.amount * row.security.multiplier
        assert paid + fees == row.amount.amount
        is_of_future = (row.security.symbol or "").startswith("/")
        assert row.security.multiplier == (50 if is_of_future else 100)
        assert row.security.option is not None
        assert str(row.date) == str(record["tradeDate"])[:10]
    assert {row.subtype for row in rows.values()} <= {S.BUY, S.SELL, S.SHORT_SELL, S.BUY_TO_COVER}


def test_every_recorded_end_of_an_option_is_midnight_in_new_york() -> None:
    """Which shows where Schwab's days are: the option's own symbol has the day."""
    options = [
        item["instrument"]
        for record in records("schwab_rb/transactions_response_body.json")
        for item in as_items(record)
        if item["instrument"]["assetType"] == "OPTION" and "/" not in item["instrument"]["symbol"]
    ]
    assert len(options) == 10
    for option in options:
        ends = datetime.fromisoformat(option["expirationDate"]).astimezone(NEW_YORK)
        assert f"{ends:%y%m%d %H%M%S}" == f"{option['symbol'][6:12]} 000000"
        assert day_of(option, "expirationDate") == ends.date()


def as_items(record: Record) -> list[dict[str, dict[str, str]]]:
    items = record["transferItems"]
    assert isinstance(items, list)
    return items


async def test_recorded_rows_that_contradict_themselves_are_kept_unread() -> None:
    """In these, made by hand, what was paid has the wrong sign for what was traded."""
    pages = await some_rows_of("schwab_rb/transactions.json")
    reasons = [row.reason for page in pages for row in page.unreadable]
    assert len(reasons) == 2
    assert all("netAmount" in reason for reason in reasons)
    assert not by_key(pages)


async def test_the_shapes_of_another_client_are_read_as_far_as_they_go() -> None:
    folder = "schwab-sdk/accounts"
    [cash] = (await an_account_of(f"{folder}/get.json", "87654321"))[0].accounts
    assert (cash.balance, cash.cash) == (money("5000.00"), money("5000.00"))
    [margin] = (await an_account_of(f"{folder}/get_margin.json", "87654321"))[0].accounts
    assert (margin.balance, margin.cash) == (None, None)
    [listed] = (await an_account_of(f"{folder}/list.json", "12345678", as_list=True))[0].accounts
    assert listed.balance == money("50000.00")

    rows = by_key(await some_rows_of("schwab-sdk/transactions/list.json"))
    assert [(r.subtype, r.quantity, r.unit_price) for r in rows.values()] == [
        (S.BUY, Decimal(10), money("145.32"))
    ]
    [lost] = [
        u for p in await some_rows_of("schwab-sdk/transactions/get.json") for u in p.unreadable
    ]
    assert "tradeDate" in lost.reason


async def test_recorded_nicknames_and_hashes_are_joined_by_number() -> None:
    sim = at_schwab("12345678")
    sim.mutate(lambda _: recorded("schwab_rb/account_numbers.json"), path=f"{ACCOUNTS}/*Numbers")
    sim.mutate(lambda _: recorded("schwab_rb/user_preferences.json"), path="/*/userPreference")
    request = a_request(sim, scopes=frozenset({SyncScope.ACCOUNTS}))
    pages = await pulled(a_schwab(sim), request)
    [account] = pages[0].accounts
    [number, other] = records("schwab_rb/account_numbers.json")
    assert (account.key, account.name) == (number["hashValue"], "Contributory")
    assert failures(pages).keys() == {other["hashValue"]}
