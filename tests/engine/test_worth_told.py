"""What is told of balances, positions and the net worth, as whoever subscribes will read it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from adapters.postgres.rates import KnownRates
from domain.commands.links import Disconnect, disconnect
from domain.money import Currency
from domain.rates import Publication
from domain.sync import Page, SyncScope, Unreadable
from tests.builders import money, received_holding, terms
from tests.engine.files import account, bank, january
from tests.engine.scripted import Scripted, accounts, checking
from tests.engine.world import Engine

WORTH = "networth.changed"


async def told(engine: Engine, name: str) -> list[dict[str, Any]]:
    rows = await engine.rows("events", "name = $1", name, order="seq")
    return [json.loads(row["facts"]) for row in rows]


def purse(amount: str, key: str = "a1", of: str = "USD", **said: Any) -> Any:
    return checking(key=key, number=key, currency=Currency(of), balance=money(amount, of), **said)


async def sync(engine: Engine, scripted: Scripted, *pages: Page) -> str:
    """After an hour; gives the run's id."""
    engine.clock.turn(hours=1)
    scripted.script = [*pages]
    return str((await engine.sync()).id)


async def test_a_first_sync_tells_what_everything_is_worth_and_has_no_before(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10"), purse("-2.5", "a2"))]
    _, run = await engine.linked(provider="scripted", login="ann")

    assert await told(engine, WORTH) == [{"current": "7.50 USD", "run": str(run.id)}]


async def test_a_change_is_told_with_what_was_before_and_an_idle_sync_is_not(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10"), purse("1", "a2"))]
    await engine.linked(provider="scripted", login="ann")
    before = await engine.count("events")
    await sync(engine, scripted, accounts(purse("10"), purse("1", "a2")))
    portfolio = [e for e in (await engine.events())[before:] if not e.startswith("sync.")]
    assert portfolio == []

    run = await sync(engine, scripted, accounts(purse("12"), purse("4", "a2")))

    assert (await told(engine, WORTH))[1:] == [
        {"previous": "11.00 USD", "current": "16.00 USD", "run": run}
    ]
    assert [
        (e["previous"], e["current"]) for e in (await told(engine, "account.balance_changed"))[2:]
    ] == [
        ("10 USD", "12 USD"),
        ("1 USD", "4 USD"),
    ]


async def test_money_that_only_moves_between_accounts_changes_no_net_worth(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10"), purse("1", "a2"))]
    await engine.linked(provider="scripted", login="ann")

    await sync(engine, scripted, accounts(purse("4"), purse("7", "a2")))

    assert len(await told(engine, WORTH)) == 1
    assert len(await told(engine, "account.balance_changed")) == 4


async def test_an_account_that_is_gone_and_comes_back_changes_it(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10"), purse("1", "a2"))]
    await engine.linked(provider="scripted", login="ann")
    await sync(engine, scripted, accounts(purse("10")))
    await sync(engine, scripted, accounts(purse("10"), purse("1", "a2")))

    steps = [(e.get("previous"), e["current"]) for e in await told(engine, WORTH)]
    assert steps[1:] == [("11.00 USD", "10.00 USD"), ("10.00 USD", "11.00 USD")]


async def test_other_currencies_are_told_at_todays_rate_and_what_has_none_is_left_out(
    engine: Engine, scripted: Scripted
) -> None:
    day = engine.clock().date() - timedelta(days=1)
    quotes = {Currency("USD"): Decimal("1.25"), Currency("GBP"): Decimal("0.5")}
    await KnownRates(engine.wired.pool).add([Publication(day, quotes)], "ECB")
    scripted.script = [accounts(purse("10", of="EUR"), purse("3", "a2", of="BTC"))]
    await engine.linked(provider="scripted", login="ann")

    await sync(engine, scripted, accounts(purse("12", of="EUR"), purse("4", "a2", of="BTC")))
    await sync(engine, scripted, accounts(purse("12", of="EUR"), purse("5", "a2", of="BTC")))

    steps = [(e.get("previous"), e["current"]) for e in await told(engine, WORTH)]
    assert steps == [(None, "12.50 USD"), ("12.50 USD", "15.00 USD")]


async def test_deleting_a_links_data_and_undoing_an_import_are_told(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10"))]
    link, _ = await engine.linked(provider="scripted", login="ann")
    run = await engine.imported(bank(account(january(1, 2), balance="5.00")))
    await engine.undo(run)
    cmd = Disconnect(actor=engine.actor, link_id=link.id, delete_data=True, at=engine.clock())
    await disconnect(engine.app, cmd)

    steps = [(e.get("previous"), e["current"]) for e in await told(engine, WORTH)]
    assert steps[1:] == [
        ("10.00 USD", "15.00 USD"),
        ("15.00 USD", "10.00 USD"),
        ("10.00 USD", "0.00 USD"),
    ]
    assert (await told(engine, WORTH))[2]["run"] == str(run.id)


def positions(*symbols: str, unreadable: Sequence[Unreadable] = ()) -> Page:
    return Page(
        step=SyncScope.HOLDINGS,
        progress=Decimal(1),
        holdings=[received_holding(security=terms(symbol)) for symbol in symbols],
        holdings_complete=("a1",),
        unreadable=unreadable,
    )


async def test_positions_are_told_by_how_many_of_each_there_were(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(purse("10")), positions("AAPL", "MSFT")]
    await engine.linked(provider="scripted", login="ann")
    odd = Unreadable(scope=SyncScope.HOLDINGS, reason="no quantity", raw="{}", account_key="a1")
    again = positions("AAPL", "TSLA", unreadable=(odd,))
    await sync(engine, scripted, accounts(purse("10")), again)

    counts = await told(engine, "account.holdings_changed")
    assert len({event.pop("account") for event in counts}) == 1
    zero = {"created": "0", "updated": "0", "unchanged": "0", "removed": "0", "quarantined": "0"}
    assert counts == [
        zero | {"created": "2"},
        zero | {"created": "1", "unchanged": "1", "removed": "1", "quarantined": "1"},
    ]
