"""Connections: bounds, cursors, totals, and filters that meet their parents."""

import base64
import json
from datetime import date, timedelta
from typing import Any

import pytest

from domain.accounts import Account
from domain.securities import AssetType
from tests.schema.builders import (
    NOW,
    a_holding,
    a_link,
    a_run,
    a_security,
    a_transaction,
    an_account,
    money,
)
from tests.schema.world import World, gid


@pytest.fixture
def account(world: World) -> Account:
    account = an_account()
    world.hers.accounts.append(account)
    for number in range(7):
        security = a_security(symbol=f"S{number % 3}")
        world.hers.holdings.append(a_holding(account, security=security))
        world.hers.transactions.append(
            a_transaction(
                account,
                date=date(2026, 11, 1) + timedelta(days=number % 4),
                amount=money(str(3 - number)),
                description=f"Coffee {number}",
            )
        )
    return account


@pytest.mark.parametrize("first", [0, -1, 501])
@pytest.mark.parametrize(
    "field",
    [
        "holdings(first: $n) { totalCount }",
        "transactions(first: $n) { totalCount }",
        "syncRuns(first: $n) { nodes { id } }",
        "accounts { holdings(first: $n) { totalCount } }",
        "accounts { transactions(first: $n) { totalCount } }",
    ],
)
async def test_first_outside_1_to_500_is_an_error_of_the_field(
    world: World, account: Account, field: str, first: int
) -> None:
    by_variable = await world.ask(f"query ($n: Int!) {{ {field} }}", {"n": first})
    literally = await world.ask(f"{{ {field} }}".replace("$n", str(first)))

    for answer in (by_variable, literally):
        assert answer.data is None
        assert [e["message"] for e in answer.errors] == ["first must be 1 to 500"]
        assert answer.codes == ["BAD_USER_INPUT"]


async def test_500_is_a_page(world: World, account: Account) -> None:
    data = await world.get("{ transactions(first: 500) { nodes { id } } }")

    assert len(data["transactions"]["nodes"]) == 7


@pytest.mark.parametrize("order", ["DATE_DESC", "DATE_ASC", "AMOUNT_DESC", "AMOUNT_ASC"])
@pytest.mark.parametrize("nested", [True, False])
async def test_pages_of_transactions_join_without_gap_or_repeat(
    world: World, account: Account, order: str, nested: bool
) -> None:
    field = f"transactions(first: 3, after: $after, orderBy: {order})"
    info = "hasNextPage hasPreviousPage startCursor endCursor"
    shown = f"{field} {{ edges {{ cursor node {{ id }} }} nodes {{ id }} pageInfo {{ {info} }} }}"
    shown = f"accounts {{ {shown} }}" if nested else shown
    document = f"query ($after: String) {{ {shown} }}"
    seen: list[str] = []
    after: str | None = None
    while True:
        data = await world.get(document, {"after": after})
        page = (data["accounts"][0] if nested else data)["transactions"]
        ids = [n["id"] for n in page["nodes"]]
        assert ids == [e["node"]["id"] for e in page["edges"]]
        place = page["pageInfo"]
        assert place["startCursor"] == page["edges"][0]["cursor"]
        assert place["endCursor"] == page["edges"][-1]["cursor"]
        assert place["hasPreviousPage"] is (after is not None)
        seen += ids
        after = place["endCursor"]
        if not place["hasNextPage"]:
            break

    rows = sorted(
        world.hers.transactions,
        key=lambda t: (t.amount.amount if "AMOUNT" in order else t.date, t.id),
        reverse=order.endswith("DESC"),
    )
    assert seen == [gid("Transaction", t.id) for t in rows]


async def test_pages_of_holdings_join_without_gap_or_repeat(world: World, account: Account) -> None:
    document = """query ($after: String) {
      holdings(first: 2, after: $after) {
        nodes { security { symbol } } pageInfo { hasNextPage endCursor } } }"""
    symbols: list[str] = []
    after = None
    for _ in range(4):
        page = (await world.get(document, {"after": after}))["holdings"]
        symbols += [n["security"]["symbol"] for n in page["nodes"]]
        after = page["pageInfo"]["endCursor"]

    assert symbols == ["S0", "S0", "S0", "S1", "S1", "S2", "S2"]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_pages_of_runs_go_from_the_newest_to_the_oldest(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    world.hers.runs += [a_run(link) for _ in range(5)]
    world.hers.runs.append(a_run(a_link(world.ann)))
    of = gid("Link", link.id)
    document = """query ($link: ID, $after: String) { syncRuns(linkId: $link, first: 3, after: $after)
      { nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""

    first = (await world.get(document, {"link": of}))["syncRuns"]
    after = first["pageInfo"]["endCursor"]
    second = (await world.get(document, {"link": of, "after": after}))["syncRuns"]
    none = (await world.get(document, {"link": "nonsense"}))["syncRuns"]

    newest = [gid("SyncRun", r.id) for r in world.hers.runs[4::-1]]
    assert [n["id"] for n in first["nodes"] + second["nodes"]] == newest
    assert first["pageInfo"]["hasNextPage"]
    assert not second["pageInfo"]["hasNextPage"]
    assert none["nodes"] == []
    assert none["pageInfo"]["endCursor"] is None


def cursor(position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


UUID_ = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "after",
    [
        "",
        "nonsense",
        "é",
        "AAAA",
        cursor("text"),
        cursor(["2026-11-01"]),
        cursor(["2026-11-01", UUID_, UUID_]),
        cursor(["2026-02-30", UUID_]),
        cursor(["2026-11-01", "no uuid"]),
        cursor([20261101, UUID_]),
        cursor({"by": "2026-11-01"}),
        cursor(["12.34", UUID_]),
        cursor(["NaN", UUID_]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
async def test_what_is_no_cursor_of_the_list_is_refused(
    world: World, account: Account, after: str
) -> None:
    document = "query ($after: String) { transactions(after: $after) { totalCount } }"
    answer = await world.ask(document, {"after": after})

    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["message"] == "after is not a cursor of this list"
    assert world.sent == []


@pytest.mark.parametrize("position", [["a\0b", UUID_], ["\ud800", UUID_], ["S", "x"], ["S"]])
async def test_a_cursor_of_holdings_holds_storable_text(
    world: World, account: Account, position: list[str]
) -> None:
    document = "query ($after: String) { holdings(after: $after) { totalCount } }"
    answer = await world.ask(document, {"after": cursor(position)})

    assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_cursor_by_date_is_none_of_an_order_by_amount(
    world: World, account: Account
) -> None:
    page = (await world.get("{ transactions(first: 1) { pageInfo { endCursor } } }"))[
        "transactions"
    ]
    answer = await world.ask(
        "query ($after: String) { transactions(after: $after, orderBy: AMOUNT_ASC) { totalCount } }",
        {"after": page["pageInfo"]["endCursor"]},
    )

    assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_total_costs_a_statement_only_where_it_is_asked_for(
    world: World, account: Account
) -> None:
    await world.get("{ transactions(first: 2) { nodes { id } } }")
    without = list(world.sent)
    data = await world.get("{ transactions(first: 2) { nodes { id } totalCount } }")

    assert without == ["transactions"]
    assert world.sent == ["transactions", "count_transactions"]
    assert data["transactions"]["totalCount"] == 7


async def test_the_totals_of_many_accounts_cost_one_statement(
    world: World, account: Account
) -> None:
    other = an_account(name="Empty")
    world.hers.accounts.append(other)

    data = await world.get(
        "{ accounts { holdings(first: 1) { totalCount } "
        'transactions(filter: {search: "COFFEE"}) { totalCount } } }'
    )

    assert [a["holdings"]["totalCount"] for a in data["accounts"]] == [7, 0]
    assert [a["transactions"]["totalCount"] for a in data["accounts"]] == [7, 0]
    assert sorted(world.sent) == [
        "accounts",
        "count_holdings_of",
        "count_transactions_of",
        "holdings_of",
        "transactions_of",
    ]


async def test_a_nested_filter_intersects_with_its_parent(world: World, account: Account) -> None:
    other = an_account(name="Other")
    world.hers.accounts.append(other)
    world.hers.transactions.append(a_transaction(other))
    world.hers.holdings.append(a_holding(other))
    document = """query ($ids: [ID!]) { accounts { name
      holdings(filter: {accountIds: $ids}) { totalCount nodes { id } }
      transactions(filter: {accountIds: $ids}) { totalCount nodes { id } } } }"""

    data = await world.get(document, {"ids": [gid("Account", other.id)]})
    nothing = await world.get(document, {"ids": ["nonsense"]})

    counts = [
        (a["name"], len(a["holdings"]["nodes"]), a["holdings"]["totalCount"])
        for a in data["accounts"]
    ]
    assert counts == [("Checking", 0, 0), ("Other", 1, 1)]
    assert [a["transactions"]["totalCount"] for a in data["accounts"]] == [0, 1]
    assert [a["transactions"]["totalCount"] for a in nothing["accounts"]] == [0, 0]
    assert world.sent == ["accounts"]


async def test_the_same_field_with_other_arguments_is_another_list(
    world: World, account: Account
) -> None:
    data = await world.get(
        "{ accounts { some: holdings(first: 1) { nodes { id } } "
        'one: holdings(filter: {symbol: "S1"}) { nodes { id } } } }'
    )

    [shown] = data["accounts"]
    assert len(shown["some"]["nodes"]) == 1
    assert len(shown["one"]["nodes"]) == 2


async def test_transactions_by_link_are_those_of_the_accounts_that_it_feeds(world: World) -> None:
    link = a_link(world.ann)
    fed, other = an_account(link, is_active=False), an_account(name="Other")
    world.hers.links.append(link)
    world.hers.accounts += [fed, other]
    world.hers.transactions += [a_transaction(fed), a_transaction(other)]
    document = """query ($links: [ID!], $accounts: [ID!]) {
      transactions(filter: {linkIds: $links, accountIds: $accounts}) { totalCount
        nodes { account { id } } } }"""

    of_link = await world.get(document, {"links": [gid("Link", link.id)]})
    of_both = await world.get(
        document, {"links": [gid("Link", link.id)], "accounts": [gid("Account", other.id)]}
    )
    of_none = await world.get(document, {"links": ["nonsense"]})

    assert of_link["transactions"] == {
        "totalCount": 1,
        "nodes": [{"account": {"id": gid("Account", fed.id)}}],
    }
    assert of_both["transactions"]["totalCount"] == 0
    assert of_none["transactions"]["totalCount"] == 0


async def test_every_part_of_a_transaction_filter_restricts(world: World) -> None:
    account = an_account()
    world.hers.accounts.append(account)
    wanted = a_transaction(
        account,
        security=a_security(symbol="ACME"),
        merchant="Bakery",
        own_category="Food",
        removed_at=NOW,
    )
    world.hers.transactions += [wanted, a_transaction(account, amount=money("1"))]
    parts = (
        "types: [PAYMENT]",
        "subtypes: [PURCHASE]",
        "statuses: [SETTLED]",
        'categories: ["Food"]',
        'from: "2026-11-20", to: "2026-11-20"',
        'symbol: "acme"',
        'search: "bAKERY"',
        'minAmount: "-12.34", maxAmount: "-12.34"',
    )
    for part in (*parts, ", ".join(parts)):
        data = await world.get(
            f"{{ transactions(filter: {{includeRemoved: true, {part}}}) {{ nodes {{ id category }} }} }}"
        )
        assert {"id": gid("Transaction", wanted.id), "category": "Food"} in data["transactions"][
            "nodes"
        ], part

    hidden = await world.get('{ transactions(filter: {symbol: "ACME"}) { nodes { id } } }')
    assert hidden["transactions"]["nodes"] == []


async def test_closed_holdings_come_only_when_asked_for(world: World) -> None:
    account = an_account()
    world.hers.accounts.append(account)
    fund = a_security(symbol="FUND", asset_type=AssetType.ETF)
    world.hers.holdings += [a_holding(account), a_holding(account, security=fund, is_active=False)]

    data = await world.get(
        "{ holdings { totalCount } all: holdings(filter: {includeClosed: true}) { totalCount } "
        "etf: holdings(filter: {assetTypes: [ETF], includeClosed: true}) { nodes { isActive } } }"
    )

    assert (data["holdings"]["totalCount"], data["all"]["totalCount"]) == (1, 2)
    assert data["etf"]["nodes"] == [{"isActive": False}]


@pytest.mark.parametrize("field", ["transactions", "accounts { transactions"])
async def test_from_after_to_is_refused(world: World, account: Account, field: str) -> None:
    end = "}" * (1 + field.count("{"))
    filter = '{from: "2026-11-02", to: "2026-11-01"}'
    answer = await world.ask(f"{{ {field}(filter: {filter}) {{ totalCount }} {end}")

    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["message"] == "from is after to"
