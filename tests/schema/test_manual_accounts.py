"""Accounts as their owner keeps and calls them, and what is found out about their figures."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.accounts import AccountType
from domain.history import SnapshotSource
from tests.schema.builders import (
    NOW,
    a_holding,
    a_link,
    a_snapshot,
    a_transaction,
    an_account,
    money,
)
from tests.schema.world import World, gid

ERRORS = "errors { __typename code message field ... on Conflict { existingId } }"
ACCOUNT = "account { id name nickname institution type balance { amount currency } asOf link { id } provider { slug } includedInNetWorth }"
CREATE = f"mutation ($input: CreateManualAccountInput!) {{ createManualAccount(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
RECORD = f"mutation ($input: RecordBalanceInput!) {{ recordBalance(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
DELETE = f"mutation ($id: ID!) {{ deleteManualAccount(accountId: $id) {{ deletedId {ERRORS} }} }}"
UPDATE = f"mutation ($input: UpdateAccountInput!) {{ updateAccount(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
SAY = f"mutation ($input: UpdateTransactionInput!) {{ updateTransaction(input: $input) {{ transaction {{ category notes }} {ERRORS} }} }}"
CHECK = "{ accounts { name reconciliation { balanced checkedAt findings { code message expected { amount } actual { amount currency } difference { amount } } } } }"


async def do(world: World, document: str, **variables: Any) -> Any:
    [payload] = (await world.get(document, variables)).values()
    return payload


async def house(world: World, **said: Any) -> Any:
    input = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "5.00", **said}
    return await do(world, CREATE, input=input)


async def test_a_manual_account_is_shown_as_it_was_made(world: World) -> None:
    made = await house(world)

    assert made["errors"] == []
    assert made["account"] | {"id": "an id"} == {
        "id": "an id",
        "name": "House",
        "nickname": None,
        "institution": "Manual accounts",
        "type": "OTHER",
        "balance": {"amount": "5.00", "currency": "USD"},
        "asOf": "2026-11-21T20:59:00Z",
        "link": None,
        "provider": {"slug": "manual"},
        "includedInNetWorth": True,
    }
    assert world.store.audited[-2:] == [
        ("account.create", "ATTEMPTED"),
        ("account.create", "SUCCEEDED"),
    ]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": ""}, "name"),
        ({"balance": "0.001"}, "balance"),
        ({"balance": "1000000000000000"}, "balance"),
        ({"currency": "JPY", "balance": "0.5"}, "balance"),
    ],
)
async def test_what_breaks_a_rule_is_named(world: World, said: dict[str, str], field: str) -> None:
    refused = await house(world, **said)

    [error] = refused["errors"]
    assert refused["account"] is None
    assert (error["__typename"], error["field"]) == ("InvalidInput", ["input", field])


async def test_a_balance_is_recorded_and_the_account_deleted(world: World) -> None:
    id = (await house(world))["account"]["id"]

    recorded = await do(world, RECORD, input={"accountId": id, "balance": "7.50"})
    earlier = {"accountId": id, "balance": "1.00", "at": "2020-01-01T00:00:00+02:00"}
    filled = await do(world, RECORD, input=earlier)
    history = await world.get(
        '{ accounts { balanceHistory(from: "2019-12-31", to: "2019-12-31", interval: RAW) '
        "{ at source balance { amount } } } }"
    )
    deleted = await do(world, DELETE, id=id)

    assert recorded["account"]["balance"]["amount"] == "7.50"
    assert filled["account"]["balance"]["amount"] == "7.50"
    assert history["accounts"][0]["balanceHistory"] == [
        {"at": "2019-12-31T22:00:00Z", "source": "MANUAL", "balance": {"amount": "1.00"}}
    ]
    assert deleted == {"deletedId": id, "errors": []}
    again = await do(world, DELETE, id=id)
    assert again["deletedId"] is None
    assert again["errors"][0]["code"] == "NOT_FOUND"


async def test_an_account_that_a_link_feeds_is_not_its_owners_to_state(world: World) -> None:
    link = a_link(world.ann)
    account = an_account(link)
    world.hers.links.append(link)
    world.hers.accounts.append(account)
    id = gid("Account", account.id)

    for document, given in (
        (RECORD, {"input": {"accountId": id, "balance": "1"}}),
        (DELETE, {"id": id}),
    ):
        [error] = (await do(world, document, **given))["errors"]
        assert (error["__typename"], error["code"]) == ("Conflict", "CONFLICT")
        assert error["existingId"] == gid("Link", link.id)
        assert error["field"][-1] == "accountId"


async def test_an_update_leaves_what_it_does_not_mention(world: World) -> None:
    id = (await house(world))["account"]["id"]

    named = await do(world, UPDATE, input={"accountId": id, "nickname": " Home "})
    left_out = await do(world, UPDATE, input={"accountId": id, "includedInNetWorth": False})
    cleared = await do(world, UPDATE, input={"accountId": id, "nickname": None})
    refused = await do(world, UPDATE, input={"accountId": id, "includedInNetWorth": None})

    assert named["account"]["nickname"] == left_out["account"]["nickname"] == "Home"
    assert left_out["account"]["includedInNetWorth"] is False
    assert cleared["account"]["nickname"] is None
    assert refused["errors"][0]["field"] == ["input", "includedInNetWorth"]


async def test_a_transactions_category_is_the_owners_first(world: World) -> None:
    account = an_account()
    told = a_transaction(account, provider_category="Food", description="Corner shop")
    world.hers.accounts.append(account)
    world.hers.transactions.append(told)
    id = gid("Transaction", told.id)
    of = "query ($c: [String!]) { transactions(filter: {categories: $c}) { totalCount } }"

    said = await do(world, SAY, input={"transactionId": id, "category": "Fun", "notes": "n"})
    counts = [(await world.get(of, {"c": [c]}))["transactions"] for c in ("Fun", "Food")]
    back = await do(world, SAY, input={"transactionId": id, "category": None})
    none = await do(world, SAY, input={"transactionId": id, "category": ""})

    assert said["transaction"] == {"category": "Fun", "notes": "n"}
    assert counts == [{"totalCount": 1}, {"totalCount": 0}]
    assert back["transaction"] == {"category": "Food", "notes": "n"}
    assert none["transaction"]["category"] is None


async def test_figures_that_do_not_agree_are_found_in_as_many_statements(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    for number in range(20):
        banked = an_account(link, name=f"{number:02} Checking")
        invested = an_account(
            link,
            name=f"{number:02} Brokerage",
            type=AccountType.BROKERAGE,
            cash_balance=money("60.00"),
        )
        world.hers.accounts += [banked, invested]
        world.hers.holdings.append(a_holding(invested, market_value=money("40.01")))
        yesterday = NOW - timedelta(days=2)
        world.hers.snapshots.append(
            a_snapshot(banked, yesterday, "112.34", source=SnapshotSource.BACKFILL)
        )
        world.hers.transactions.append(a_transaction(banked))

    accounts = (await world.get(CHECK))["accounts"]

    assert sorted(world.sent) == ["accounts", "balances_and_transactions", "holdings_of"]
    assert len(accounts) == 40
    by_name = {a["name"][3:]: a["reconciliation"] for a in accounts}
    assert by_name["Checking"]["balanced"] is True
    assert by_name["Checking"]["checkedAt"] == "2026-11-21T20:59:00Z"
    [finding] = by_name["Brokerage"]["findings"]
    assert by_name["Brokerage"]["balanced"] is False
    assert finding | {"message": ""} == {
        "code": "POSITIONS_AND_CASH",
        "message": "",
        "expected": {"amount": "100.01"},
        "actual": {"amount": "100.00", "currency": "USD"},
        "difference": {"amount": "-0.01"},
    }


async def test_a_manual_account_has_nothing_to_compare(world: World) -> None:
    await house(world)

    [account] = (await world.get(CHECK))["accounts"]

    assert account["reconciliation"] == {"balanced": True, "checkedAt": None, "findings": []}
    assert world.sent == ["accounts"]


async def test_a_wrong_balance_of_a_bank_is_found(world: World) -> None:
    account = an_account(a_link(world.ann), balance=money("88.67"))
    world.hers.accounts.append(account)
    world.hers.transactions.append(a_transaction(account))
    earlier = a_snapshot(account, NOW - timedelta(days=2), "100.00", source=SnapshotSource.BACKFILL)
    world.hers.snapshots.append(earlier)

    [found] = (await world.get(CHECK))["accounts"]

    [finding] = found["reconciliation"]["findings"]
    assert finding["code"] == "TRANSACTIONS_AND_BALANCE"
    assert Decimal(finding["difference"]["amount"]) == Decimal("1.01")
