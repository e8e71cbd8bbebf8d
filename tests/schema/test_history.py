"""Balance history and net worth, as the operations show them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.accounts import Account, AccountType
from domain.history import SnapshotSource
from domain.money import Currency
from tests.schema.builders import NOW, TODAY, a_snapshot, an_account, money
from tests.schema.world import World, gid


@pytest.fixture
def account(world: World) -> Account:
    account = an_account(balance=money("130.00"))
    world.hers.accounts.append(account)
    for day, amount in ((1, "100.00"), (3, "120.00"), (20, "110.00")):
        at = datetime(2026, 11, day, 12, tzinfo=UTC)
        world.hers.snapshots.append(a_snapshot(account, at, amount))
    return account


async def test_days_without_a_snapshot_carry_the_last_value_forward(
    world: World, account: Account
) -> None:
    data = await world.get(
        '{ balanceHistory(from: "2026-11-01", to: "2026-11-04") '
        "{ accountId at balance { amount currency } change { amount } changePercent source } }"
    )

    points = data["balanceHistory"]
    assert [p["at"] for p in points] == [f"2026-11-0{d}T00:00:00Z" for d in (1, 2, 3, 4)]
    assert [p["balance"]["amount"] for p in points] == ["100.00", "100.00", "120.00", "120.00"]
    assert [p["change"] and p["change"]["amount"] for p in points] == [
        None,
        "0.00",
        "20.00",
        "0.00",
    ]
    assert [p["changePercent"] for p in points] == [None, "0.00", "20.00", "0.00"]
    assert points[0]["accountId"] == gid("Account", account.id)
    assert points[0]["source"] == "ACCOUNT_SYNC"


async def test_the_change_of_the_first_point_is_to_what_was_known_before_the_span(
    world: World, account: Account
) -> None:
    data = await world.get(
        '{ accounts { balanceHistory(from: "2026-11-03", to: "2026-11-03") '
        "{ change { amount } balance { amount } } } }"
    )

    assert data["accounts"][0]["balanceHistory"] == [
        {"balance": {"amount": "120.00"}, "change": {"amount": "20.00"}}
    ]


@pytest.mark.parametrize(
    ("interval", "labels"),
    [
        ("WEEK", ["2026-11-01", "2026-11-08", "2026-11-15", "2026-11-22"]),
        ("MONTH", ["2026-11-30"]),
    ],
)
async def test_an_interval_is_labelled_by_its_last_day(
    world: World, account: Account, interval: str, labels: list[str]
) -> None:
    data = await world.get(
        '{ balanceHistory(from: "2026-10-01", to: "2026-12-31", interval: %s) { at } }'.replace(
            "%s", interval
        )
    )

    assert [p["at"][:10] for p in data["balanceHistory"]] == labels


async def test_raw_is_what_was_stored(world: World, account: Account) -> None:
    data = await world.get(
        '{ balanceHistory(from: "2026-11-02", interval: RAW) { at change { amount } } }'
    )

    assert data["balanceHistory"] == [
        {"at": "2026-11-03T12:00:00Z", "change": {"amount": "20.00"}},
        {"at": "2026-11-20T12:00:00Z", "change": {"amount": "-10.00"}},
    ]


async def test_days_are_those_of_the_viewers_time_zone(world: World) -> None:
    world.hers.user = replace(world.ann, time_zone="Pacific/Auckland")  # 13 hours before UTC
    account = an_account()
    world.hers.accounts.append(account)
    evening = datetime(2026, 11, 20, 20, tzinfo=UTC)  # 9:00 on the 21st there
    world.hers.snapshots += [
        a_snapshot(account, evening - timedelta(days=9), "1.00"),
        a_snapshot(account, evening, "2.00"),
    ]

    data = await world.get(
        '{ balanceHistory(from: "2026-11-20", to: "2026-11-21") { at balance { amount } } '
        'netWorthHistory(from: "2026-11-20") { at } }'
    )

    assert data["balanceHistory"] == [
        {"at": "2026-11-19T11:00:00Z", "balance": {"amount": "1.00"}},
        {"at": "2026-11-20T11:00:00Z", "balance": {"amount": "2.00"}},
    ]
    assert [p["at"] for p in data["netWorthHistory"]] == ["2026-11-20", "2026-11-21", "2026-11-22"]


async def test_the_latest_balance_knows_its_change(world: World, account: Account) -> None:
    once, never = an_account(name="Once"), an_account(name="Never")
    world.hers.accounts += [once, never]
    world.hers.snapshots.append(
        a_snapshot(once, NOW, "0", source=SnapshotSource.MANUAL, cash_value=money("5"))
    )

    data = await world.get(
        "{ accounts { name latestBalance { at balance { amount } change { amount } changePercent "
        "source cashValue { amount } } } }"
    )

    shown = {a["name"]: a["latestBalance"] for a in data["accounts"]}
    assert shown["Never"] is None
    assert shown["Checking"]["change"] == {"amount": "-10.00"}
    assert shown["Checking"]["changePercent"] == "-8.33"
    assert shown["Once"] == {
        "at": "2026-11-21T20:59:00Z",
        "balance": {"amount": "0"},
        "change": None,
        "changePercent": None,
        "source": "MANUAL",
        "cashValue": {"amount": "5"},
    }


async def test_ids_choose_accounts_and_include_inactive_ones(
    world: World, account: Account
) -> None:
    closed = an_account(name="Closed", is_active=False)
    world.hers.accounts.append(closed)
    world.hers.snapshots.append(a_snapshot(closed, NOW, "7.00"))
    document = (
        'query ($ids: [ID!]) { balanceHistory(accountIds: $ids, from: "2026-11-21") { accountId } }'
    )

    of_all = await world.get(document)
    of_it = await world.get(document, {"ids": [gid("Account", closed.id)]})

    assert of_all["balanceHistory"] == [{"accountId": gid("Account", account.id)}]
    assert of_it["balanceHistory"] == [{"accountId": gid("Account", closed.id)}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('from: "2026-11-02", to: "2026-11-01"', "from is after to"),
        ('from: "2010-01-01"', "a history is at most 10 years long"),
        ('from: "0001-01-01"', "from and to lie after the year 1899 and before the year 9991"),
        ('to: "9999-12-31"', "from and to lie after the year 1899 and before the year 9991"),
    ],
)
@pytest.mark.parametrize("field", ["balanceHistory", "netWorthHistory"])
async def test_a_span_out_of_bounds_is_refused(
    world: World, account: Account, field: str, arguments: str, message: str
) -> None:
    answer = await world.ask(f"{{ {field}({arguments}) {{ at }} }}")

    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["message"] == message


async def test_a_list_has_at_most_10000_points(world: World) -> None:
    for number in range(28):
        account = an_account(name=f"Account {number:02}")
        world.hers.accounts.append(account)
        world.hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=400), "1"))

    root = await world.ask("{ balanceHistory { at } }")
    coarser = await world.get("{ balanceHistory(interval: WEEK) { at } }")
    nested = await world.get("{ accounts { balanceHistory { at } } }")

    assert root.codes == ["BAD_USER_INPUT"]
    assert "10000 points" in root.errors[0]["message"]
    assert len(coarser["balanceHistory"]) == 28 * 53
    assert [len(a["balanceHistory"]) for a in nested["accounts"]] == [366] * 28


async def test_an_operation_has_at_most_100000_points_in_all_its_lists(world: World) -> None:
    for number in range(28):
        account = an_account(name=f"Account {number:02}")
        world.hers.accounts.append(account)
        world.hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=3700), "1"))
    aliases = " ".join(
        f'h{n}: balanceHistory(from: "2023-11-21", interval: DAY) {{ at }}' for n in range(5)
    )

    answer = await world.ask(f"{{ accounts {{ {aliases} }} }}")
    del world.hers.accounts[1:]  # the points of a sum over all of them are as many, and slow
    roots = await world.ask(
        "{ "
        + " ".join(f'n{n}: netWorthHistory(from: "2016-11-22") {{ at }}' for n in range(28))
        + " }"
    )

    assert answer.data is None
    assert answer.codes == ["TOO_COMPLEX"]
    assert "points" in answer.errors[0]["message"]
    assert roots.codes == ["TOO_COMPLEX"]


async def test_others_have_their_turn_while_long_histories_are_answered(world: World) -> None:
    """Thirteen lists of ten years: in one go they would take a second and more."""
    for number in range(13):
        account = an_account(name=f"Account {number:02}")
        world.hers.accounts.append(account)
        world.hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=3700), "1"))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.0005)
            turns += 1

    counting = asyncio.create_task(count())
    data = await world.get('{ accounts { balanceHistory(from: "2016-11-22") { at } } }')
    counting.cancel()

    assert sum(len(a["balanceHistory"]) for a in data["accounts"]) == 13 * 3652
    assert turns >= 2 * 13 - 2  # one between two accounts as they are made, one as they are shown


async def test_ten_years_of_days_are_a_history(world: World, account: Account) -> None:
    world.hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=3700), "1"))

    data = await world.get('{ balanceHistory(from: "2016-11-22") { at } }')

    assert len(data["balanceHistory"]) == 3652


async def net_worth(world: World, **said: Any) -> Any:
    return (
        await world.get(
            """query ($currency: Currency) { netWorth(currency: $currency) {
              total { amount currency } assets { amount } liabilities { amount } asOf
              byGroup { group total { amount } accountCount }
              byProvider { provider { slug } total { amount } accountCount }
              byCurrency { amount currency } unconverted { amount currency } rates { rate } } }""",
            said,
        )
    )["netWorth"]


async def test_net_worth_is_split_by_sign_and_leaves_out_what_does_not_count(
    world: World,
) -> None:
    world.hers.accounts += [
        an_account(name="a", balance=money("10.005")),
        an_account(name="b", balance=money("20.001"), type=AccountType.BROKERAGE),
        an_account(name="c", balance=money("-5.50"), type=AccountType.CREDIT_CARD),
        an_account(name="d", balance=money("7.00", "EUR"), provider_slug="file"),
        an_account(name="e", balance=money("1000"), is_active=False),
        an_account(name="f", balance=money("1000"), included_in_net_worth=False),
    ]

    shown = await net_worth(world)

    assert shown["total"] == {"amount": "24.51", "currency": "USD"}
    assert (shown["assets"]["amount"], shown["liabilities"]["amount"]) == ("30.01", "-5.50")
    assert shown["asOf"] == "2026-11-21T20:59:00Z"
    assert {g["group"]: (g["total"]["amount"], g["accountCount"]) for g in shown["byGroup"]} == {
        "DEPOSIT": ("10.00", 1),
        "INVESTMENT": ("20.00", 1),
        "CREDIT": ("-5.50", 1),
    }
    assert [p["provider"]["slug"] for p in shown["byProvider"]] == ["sandbox"]
    assert shown["byProvider"][0]["accountCount"] == 3
    assert shown["byCurrency"] == [
        {"amount": "7.00", "currency": "EUR"},
        {"amount": "24.51", "currency": "USD"},
    ]
    assert shown["unconverted"] == [{"amount": "7.00", "currency": "EUR"}]
    assert shown["rates"] == []


async def test_net_worth_may_be_asked_for_in_another_currency(world: World) -> None:
    world.hers.accounts += [an_account(balance=money("7.00", "EUR")), an_account()]

    shown = await net_worth(world, currency="EUR")

    assert shown["total"] == {"amount": "7.00", "currency": "EUR"}
    assert shown["unconverted"] == [{"amount": "100.00", "currency": "USD"}]


async def test_the_base_currency_is_the_default(world: World) -> None:
    world.hers.user = replace(world.ann, base_currency=Currency("JPY"))
    world.hers.accounts.append(an_account(balance=money("1000.5", "JPY")))

    assert (await net_worth(world))["total"] == {"amount": "1000", "currency": "JPY"}


@pytest.mark.parametrize("interval", ["DAY", "WEEK", "MONTH"])
async def test_the_last_point_of_today_is_the_net_worth_to_the_cent(
    world: World, account: Account, interval: str
) -> None:
    world.hers.accounts += [
        an_account(name="without a snapshot", balance=money("-33.335")),
        an_account(name="of another currency", balance=money("7.00", "EUR")),
        an_account(name="left out", balance=money("5"), included_in_net_worth=False),
    ]

    data = await world.get(
        "{ netWorth { total { amount } assets { amount } liabilities { amount } "
        "byGroup { group total { amount } accountCount } } "
        f"netWorthHistory(interval: {interval}) {{ at total {{ amount }} assets {{ amount }} "
        "liabilities { amount } byGroup { group total { amount } accountCount } } }"
    )

    last = data["netWorthHistory"][-1]
    assert (
        last.pop("at")
        == {"DAY": "2026-11-21", "WEEK": "2026-11-22", "MONTH": "2026-11-30"}[interval]
    )
    assert last == data["netWorth"]
    assert last["total"]["amount"] == "96.66"


async def test_net_worth_history_carries_forward_and_begins_with_what_is_known(
    world: World, account: Account
) -> None:
    data = await world.get(
        '{ netWorthHistory(from: "2026-10-30", to: "2026-11-04") { at total { amount } } '
        'coming: netWorthHistory(from: "2026-11-20", to: "2026-11-30") { at total { amount } } '
        'future: netWorthHistory(from: "2026-12-01", to: "2026-12-02") { at } }'
    )

    assert [(p["at"][-2:], p["total"]["amount"]) for p in data["netWorthHistory"]] == [
        ("01", "100.00"),
        ("02", "100.00"),
        ("03", "120.00"),
        ("04", "120.00"),
    ]
    assert [(p["at"], p["total"]["amount"]) for p in data["coming"]] == [
        ("2026-11-20", "110.00"),
        (TODAY.isoformat(), "130.00"),
    ]
    assert data["future"] == []


async def test_net_worth_has_no_raw_history(world: World, account: Account) -> None:
    answer = await world.ask("{ netWorthHistory(interval: RAW) { at } }")

    assert answer.codes == ["BAD_USER_INPUT"]


async def test_nobody_without_accounts_is_worth_nothing(world: World) -> None:
    shown = await net_worth(world)

    assert shown["total"]["amount"] == "0.00"
    assert Decimal(shown["liabilities"]["amount"]) == 0
    assert (await world.get("{ netWorthHistory { at } balanceHistory { at } }")) == {
        "netWorthHistory": [],
        "balanceHistory": [],
    }
