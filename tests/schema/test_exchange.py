"""Net worth in several currencies, as the operations show it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.accounts import Account, AccountType
from domain.money import Currency
from domain.rates import Publication
from tests.schema.builders import a_snapshot, an_account, money
from tests.schema.world import World

# 20 November 2026 is a Friday, and the tests' today the 21st.
THURSDAY, FRIDAY = date(2026, 11, 19), date(2026, 11, 20)
WORTH = """query ($currency: Currency) { netWorth(currency: $currency) {
  total { amount currency } assets { amount } liabilities { amount }
  byGroup { group total { amount currency } accountCount }
  byProvider { provider { slug } total { amount } accountCount }
  byCurrency { amount currency } unconverted { amount currency }
  rates { from to rate date source } } }"""
HISTORY = """{ netWorthHistory(from: "2026-11-18", to: "2026-11-21"%s) {
  at total { amount currency } assets { amount } unconverted { amount currency }
  byGroup { group total { amount } } } netWorth { total { amount currency } } }"""


def published(day: date, **rates: str) -> Publication:
    return Publication(day, {Currency(code): Decimal(rate) for code, rate in rates.items()})


@pytest.fixture
def euros(world: World) -> Account:
    """100 euros since the 18th, with rates of Thursday and Friday."""
    world.hers.published += [
        published(date(2026, 11, 18), USD="1.10", GBP="0.80"),
        published(THURSDAY, USD="1.20", GBP="0.80"),
        published(FRIDAY, USD="1.25", GBP="0.80"),
    ]
    account = an_account(name="euros", balance=money("100", "EUR"), provider_slug="file")
    world.hers.accounts.append(account)
    at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    world.hers.snapshots.append(a_snapshot(account, at, "100", balance=money("100", "EUR")))
    return account


async def worth(world: World, **said: Any) -> Any:
    return (await world.get(WORTH, said))["netWorth"]


async def test_a_weekend_has_the_rate_of_friday_and_says_so(world: World, euros: Account) -> None:
    world.hers.accounts += [
        an_account(name="pounds", balance=money("-8", "GBP"), type=AccountType.CREDIT_CARD),
        an_account(name="dollars", balance=money("10")),
        an_account(name="coins", balance=money("3", "BTC")),
    ]

    shown = await worth(world)

    assert shown["total"] == {"amount": "122.50", "currency": "USD"}
    assert (shown["assets"]["amount"], shown["liabilities"]["amount"]) == ("135.00", "-12.50")
    assert [(g["group"], g["total"]["amount"], g["accountCount"]) for g in shown["byGroup"]] == [
        ("DEPOSIT", "135.00", 2),
        ("CREDIT", "-12.50", 1),
    ]
    assert {p["provider"]["slug"]: p["total"]["amount"] for p in shown["byProvider"]} == {
        "file": "125.00",
        "sandbox": "-2.50",
    }
    assert {m["currency"]: m["amount"] for m in shown["byCurrency"]} == {
        "BTC": "3.00000000",
        "EUR": "100.00",
        "GBP": "-8.00",
        "USD": "10.00",
    }
    assert shown["unconverted"] == [{"amount": "3.00000000", "currency": "BTC"}]
    as_of = {"to": "USD", "date": "2026-11-20", "source": "ECB"}
    assert shown["rates"] == [
        {"from": "EUR", "rate": "1.25", **as_of},
        {"from": "GBP", "rate": "1.5625", **as_of},
    ]
    assert world.sent.count("rates") == 1


async def test_todays_rate_is_not_that_of_history(world: World, euros: Account) -> None:
    data = await world.get(HISTORY.replace("%s", ""))

    points = data["netWorthHistory"]
    assert [p["total"]["amount"] for p in points] == ["110.00", "120.00", "125.00", "125.00"]
    assert [p["byGroup"][0]["total"]["amount"] for p in points] == [
        p["total"]["amount"] for p in points
    ]
    assert points[-1]["total"] == data["netWorth"]["total"]
    assert [p["unconverted"] for p in points] == [[]] * 4
    assert world.sent.count("rates") == 2  # one for each field


async def test_a_day_without_a_rate_is_said_and_not_taken_for_nothing(
    world: World, euros: Account
) -> None:
    del world.hers.published[0]
    world.hers.accounts.append(dollars := an_account(balance=money("10")))
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    world.hers.snapshots.append(a_snapshot(dollars, at, "10"))

    first, second, *_ = (await world.get(HISTORY.replace("%s", "")))["netWorthHistory"]

    assert (first["total"]["amount"], second["total"]["amount"]) == ("10.00", "130.00")
    assert first["unconverted"] == [{"amount": "100.00", "currency": "EUR"}]


async def test_what_an_account_once_was_in_another_currency_is_converted_too(
    world: World, euros: Account
) -> None:
    world.hers.accounts[:] = [replace(euros, balance=money("7"))]

    points = (await world.get(HISTORY.replace("%s", "")))["netWorthHistory"]

    assert [p["total"]["amount"] for p in points] == ["110.00", "120.00", "125.00", "7.00"]


async def test_another_base_currency_converts_the_other_way(world: World, euros: Account) -> None:
    world.hers.accounts.append(an_account(name="dollars", balance=money("10")))
    world.hers.user = replace(world.ann, base_currency=Currency("EUR"))

    shown = await worth(world)
    in_pounds = await worth(world, currency="GBP")

    assert shown["total"] == {"amount": "108.00", "currency": "EUR"}
    assert [(r["from"], r["to"], r["rate"]) for r in shown["rates"]] == [("USD", "EUR", "0.8")]
    assert in_pounds["total"] == {"amount": "86.40", "currency": "GBP"}
    assert [r["rate"] for r in in_pounds["rates"]] == ["0.80", "0.64"]


@pytest.mark.parametrize("asked", ["", ', interval: WEEK, currency: "EUR"'])
async def test_one_currency_alone_asks_for_no_rates(
    world: World, euros: Account, asked: str
) -> None:
    if not asked:
        world.hers.accounts[:] = [an_account()]
        world.hers.snapshots.clear()
    await world.get(
        HISTORY.replace("%s", asked).replace(
            "netWorth {", 'netWorth(currency: "%s") {' % ("EUR" if asked else "USD")
        )
    )

    assert "rates" not in world.sent


async def test_without_any_rate_everything_else_is_still_told(world: World, euros: Account) -> None:
    world.hers.published.clear()
    shown = await worth(world)

    assert (shown["total"]["amount"], shown["rates"]) == ("0.00", [])
    assert shown["unconverted"] == [{"amount": "100.00", "currency": "EUR"}]
    history = (await world.get(HISTORY.replace("%s", "")))["netWorthHistory"]
    assert history == []
