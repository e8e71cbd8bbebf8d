"""A whole dashboard in one request: figures that agree, few statements, one instant."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import asyncpg
import httpx2
import pytest

from gateway.asgi import _sessions, graphql_view
from gateway.processes import demo
from tests.e2e.linking import brokerages, import_file, linked
from tests.e2e.stack import Client, Stack
from tests.gateway.http.served import served

DASHBOARD = """query Dashboard {
  viewer { email baseCurrency timeZone }
  accounts {
    id name type group provider { slug } includedInNetWorth isActive
    balance { amount currency }
    latestBalance { at balance { amount } holdingsValue { amount } cashValue { amount } }
    balanceHistory { at accountId balance { amount } change { amount } }
    holdings { totalCount nodes { security { symbol name } quantity marketValue { amount } } }
    transactions(first: 10) { nodes { id date description amount { amount } status } }
  }
  netWorth {
    total { amount currency } assets { amount } liabilities { amount } asOf
    byGroup { group total { amount } accountCount }
    byProvider { provider { slug } total { amount } accountCount }
    byCurrency { amount currency } unconverted { amount } rates { rate }
  }
  netWorthHistory { at total { amount } assets { amount } liabilities { amount }
    byGroup { group total { amount } } }
}"""
BY_ITSELF = ("casbin_rules", "audit_state")  # what a gateway looks at now and then
FEW = """query Few {
  viewer { email }
  accounts {
    name balance { amount }
    link { id status } balanceHistory { at balance { amount } }
    holdings(first: 5) { totalCount nodes { security { symbol } marketValue { amount } } }
    transactions(first: 10) { nodes { description amount { amount } account { name } } }
  }
  netWorth { total { amount } byGroup { group total { amount } } }
  netWorthHistory { at total { amount } }
}"""


def money(of: dict[str, Any]) -> Decimal:
    return Decimal(of["amount"])


def total(of: list[dict[str, Any]]) -> Decimal:
    return sum((money(one["total"]) for one in of), Decimal(0))


@pytest.fixture(scope="module")
async def household(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody() as client:
        await linked(client)
        yield client


@pytest.fixture(scope="module")
async def dashboard(household: Client) -> dict[str, Any]:
    return await household.ask(DASHBOARD)


def test_net_worth_is_the_accounts_beside_it(dashboard: dict[str, Any]) -> None:
    accounts, worth = dashboard["accounts"], dashboard["netWorth"]
    balances = [money(a["balance"]) for a in accounts if a["includedInNetWorth"]]

    assert len(accounts) == 6
    assert money(worth["total"]) == sum(balances)
    assert money(worth["assets"]) == sum(b for b in balances if b > 0)
    assert money(worth["liabilities"]) == sum(b for b in balances if b < 0) < 0
    assert money(worth["total"]) == money(worth["assets"]) + money(worth["liabilities"])
    assert worth["total"]["currency"] == dashboard["viewer"]["baseCurrency"]
    assert worth["byCurrency"] == [worth["total"]]
    assert worth["unconverted"] == worth["rates"] == []


def test_the_parts_of_net_worth_add_up_to_it(dashboard: dict[str, Any]) -> None:
    worth = dashboard["netWorth"]

    assert total(worth["byGroup"]) == total(worth["byProvider"]) == money(worth["total"])
    assert sum(g["accountCount"] for g in worth["byGroup"]) == 6
    assert [p["provider"]["slug"] for p in worth["byProvider"]] == ["sandbox"]
    for group in worth["byGroup"]:
        of_group = [a for a in dashboard["accounts"] if a["group"] == group["group"]]
        assert money(group["total"]) == sum(money(a["balance"]) for a in of_group)
        assert group["accountCount"] == len(of_group)


def test_the_history_of_net_worth_ends_with_the_net_worth_of_now(
    dashboard: dict[str, Any],
) -> None:
    points, worth = dashboard["netWorthHistory"], dashboard["netWorth"]

    assert len(points) in (365, 366)
    assert points[-1]["at"] == datetime.now(UTC).date().isoformat()
    for key in ("total", "assets", "liabilities"):
        assert money(points[-1][key]) == money(worth[key])
    last = {g["group"]: money(g["total"]) for g in points[-1]["byGroup"]}
    assert last == {g["group"]: money(g["total"]) for g in worth["byGroup"]}
    for point in points:
        assert money(point["total"]) == money(point["assets"]) + money(point["liabilities"])
        assert total(point["byGroup"]) == money(point["total"])


def test_each_accounts_history_ends_with_its_balance(dashboard: dict[str, Any]) -> None:
    for account in dashboard["accounts"]:
        points = account["balanceHistory"]
        assert len(points) >= 365
        assert {p["accountId"] for p in points} == {account["id"]}
        assert points[-1]["balance"]["amount"] == account["balance"]["amount"]
        assert account["latestBalance"]["balance"]["amount"] == account["balance"]["amount"]
        for before, after in pairwise(points):
            assert before["at"] < after["at"]
            assert money(after["change"]) == money(after["balance"]) - money(before["balance"])


def test_an_investment_account_is_its_cash_and_its_holdings(dashboard: dict[str, Any]) -> None:
    investing = [a for a in dashboard["accounts"] if a["group"] == "INVESTMENT"]

    assert len(investing) == 2
    assert sum(a["holdings"]["totalCount"] for a in investing) == 25
    for account in investing:
        held = sum(money(h["marketValue"]) for h in account["holdings"]["nodes"])
        latest = account["latestBalance"]
        assert money(latest["holdingsValue"]) == held
        assert money(account["balance"]) == money(latest["cashValue"]) + held


async def test_the_printed_query_answers(household: Client) -> None:
    data = await household.ask(demo.query())

    assert len(data["accounts"]) == 6
    assert Decimal(data["netWorth"]["total"]["amount"]) > 0


@asynccontextmanager
async def counted(stack: Stack, sent: list[str]) -> AsyncIterator[str]:
    """A gateway in this process, and every statement that its read connections really send."""

    def note(record: Any) -> None:
        sent.append(record.query)

    connections = [holder._con for holder in stack.wired.pool._holders]
    for connection in connections:
        connection.add_query_logger(note)
    async with (
        _sessions(stack.wired) as authenticator,
        served(graphql_view(stack.wired, authenticator)) as url,
    ):
        yield url
    for connection in connections:
        connection.remove_query_logger(note)


async def test_the_statements_of_a_dashboard_do_not_depend_on_how_much_there_is(
    stack: Stack,
) -> None:
    """And where the data has changed, one more: by which an operation is priced that reads whole
    lists. Its version comes with the snapshot, so the next one knows."""
    cold: dict[int, list[str]] = {}
    counts: dict[int, list[str]] = {}
    sent: list[str] = []
    async with counted(stack, sent) as url:
        for accounts in (1, 10, 100):
            async with stack.somebody() as client:
                imported = await import_file(client, brokerages(accounts))
                assert len(imported["accounts"]) == accounts
                headers = {"authorization": f"Bearer {client.token}"}
                async with httpx2.AsyncClient(base_url=url, headers=headers) as http:
                    await http.post("/graphql", json={"query": "{ viewer { email } }"})
                    for when in (cold, counts):
                        sent.clear()
                        answer = (await http.post("/graphql", json={"query": FEW})).json()
                        when[accounts] = [
                            s
                            for s in sent
                            if s != "ROLLBACK" and not any(w in s for w in BY_ITSELF)
                        ]
            assert "errors" not in answer, answer
            assert len(answer["data"]["accounts"]) == accounts
            assert all(len(a["holdings"]["nodes"]) == 2 for a in answer["data"]["accounts"])

    assert all(sum("BEGIN" in s for s in found) == 1 for found in counts.values())
    few, some, many = (sorted(s for s in found if "BEGIN" not in s) for found in counts.values())
    assert few == some == many
    assert len(few) <= 8, "\n\n".join(few)
    for first, then in zip(cold.values(), counts.values(), strict=True):
        [more] = Counter(s for s in first if "BEGIN" not in s) - Counter(then)
        assert "FROM link_accounts" in more
        assert len(first) == len(then) + 1


async def test_what_is_written_between_two_fields_is_not_seen(
    stack: Stack, household: Client
) -> None:
    before = await household.ask(DASHBOARD)
    writer = await asyncpg.connect(stack.database.superuser_url)
    try:
        async with writer.transaction():
            # The snapshot is taken, the accounts are read, and then holdings have to wait for us.
            await writer.execute("LOCK TABLE holdings IN ACCESS EXCLUSIVE MODE")
            asking = asyncio.create_task(household.ask(DASHBOARD))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'holdings'::regclass"
            async with asyncio.timeout(10):
                while not await writer.fetchval(waiting):  # noqa: ASYNC110 - seen from outside
                    await asyncio.sleep(0.01)
            for table, column in (
                ("accounts", "balance"),
                ("holdings", "market_value"),
                ("transactions", "amount"),
                ("balance_snapshots", "balance"),
            ):
                user = "(SELECT user_id FROM users WHERE email = $1)"
                await writer.execute(
                    f"UPDATE {table} SET {column} = {column} + 1 WHERE user_id = {user}",
                    household.email,
                )
        during = await asking
    finally:
        await writer.close()
    after = await household.ask(DASHBOARD)

    for answer in (before, during, after):
        answer["netWorth"].pop("asOf")
    assert during == before
    assert money(after["netWorth"]["total"]) == money(before["netWorth"]["total"]) + 6
