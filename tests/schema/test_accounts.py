"""Accounts, links and what hangs on them, in one operation."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.accounts import AccountType
from domain.errors import ErrorCode
from domain.links import LinkStatus, SyncError
from domain.sync import QuarantinedRow, SyncScope, SyncStatus
from tests.schema.builders import (
    NOW,
    a_holding,
    a_link,
    a_run,
    a_security,
    a_snapshot,
    a_transaction,
    an_account,
    money,
)
from tests.schema.world import World, gid

DASHBOARD = """{
  viewer { email }
  accounts {
    name balance { amount currency } provider { slug }
    holdings { nodes { quantity security { symbol } account { id } } }
    transactions(first: 10) { nodes { amount { amount } date security { name } } }
    balanceHistory(interval: WEEK) { at balance { amount } }
    latestBalance { balance { amount } change { amount } }
    link { provider { name } lastRun { status progress } }
  }
  balanceHistory(interval: MONTH) { accountId balance { amount } }
  netWorth { total { amount } byGroup { group total { amount } } }
  netWorthHistory(interval: MONTH) { at total { amount } }
}"""
SMALLER = """{
  viewer { email }
  accounts {
    name
    holdings { nodes { quantity security { symbol } } }
    transactions(first: 10) { nodes { amount { amount } } }
  }
  balanceHistory(interval: MONTH) { balance { amount } }
  netWorth { total { amount } }
  netWorthHistory { at total { amount } }
}"""


def fill(world: World, count: int) -> None:
    for number in range(count):
        link = a_link(world.ann)
        account = an_account(link, name=f"Account {number:03}")
        world.hers.links.append(link)
        world.hers.accounts.append(account)
        world.hers.runs.append(a_run(link, progress=Decimal(1)))
        for _ in range(3):
            world.hers.holdings.append(a_holding(account))
            world.hers.transactions += [a_transaction(account) for _ in range(5)]
        for day in range(0, 60, 7):
            world.hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=day), "99.00"))


@pytest.mark.parametrize("document", [DASHBOARD, SMALLER])
async def test_the_number_of_statements_does_not_grow_with_the_accounts(document: str) -> None:
    sent: list[list[str]] = []
    for count in (1, 10, 100):
        world = World()
        fill(world, count)
        data = await world.get(document)
        assert len(data["accounts"]) == count
        assert len(data["accounts"][-1]["transactions"]["nodes"]) == 10
        assert len(data["accounts"][-1]["holdings"]["nodes"]) == 3
        sent.append(sorted(world.sent))

    assert sent[0] == sent[1] == sent[2]
    assert len(world.opened) == 1
    assert len(sent[0]) <= (8 if document is SMALLER else 12)


async def test_accounts_come_by_name_and_inactive_ones_only_when_asked_for(world: World) -> None:
    world.hers.accounts += [
        an_account(name="B"),
        an_account(name="A"),
        an_account(name="C", is_active=False),
    ]
    world.his.accounts.append(an_account(name="not hers"))

    data = await world.get(
        "{ accounts { name } all: accounts(filter: {includeInactive: true}) { name isActive } }"
    )

    assert [a["name"] for a in data["accounts"]] == ["A", "B"]
    assert [a["name"] for a in data["all"]] == ["A", "B", "C"]


async def test_a_filter_restricts_by_everything_it_says(world: World) -> None:
    link = a_link(world.ann)
    card = an_account(link, name="Card", type=AccountType.CREDIT_CARD, balance=money("-5.00"))
    world.hers.accounts += [card, an_account(name="Other", provider_slug="file")]
    world.hers.links.append(link)

    async def names(filter: str) -> list[str]:
        data = await world.get(f"{{ accounts(filter: {filter}) {{ name }} }}")
        return [a["name"] for a in data["accounts"]]

    assert await names(f'{{ids: ["{gid("Account", card.id)}", "nonsense"]}}') == ["Card"]
    assert await names("{ids: []}") == []
    assert await names(f'{{linkId: "{gid("Link", link.id)}"}}') == ["Card"]
    assert await names('{linkId: "nonsense"}') == []
    assert await names("{types: [CREDIT_CARD]}") == ["Card"]
    assert await names("{groups: [CREDIT, LOAN]}") == ["Card"]
    assert await names('{provider: "file"}') == ["Other"]
    assert await names("{ids: null, types: null, provider: null}") == ["Card", "Other"]


async def test_an_account_knows_its_link_and_a_link_its_active_accounts(world: World) -> None:
    link, other = a_link(world.ann), a_link(world.ann, connected_at=NOW + timedelta(days=1))
    world.hers.links += [other, link]
    world.hers.runs += [
        a_run(link),
        a_run(link, status=SyncStatus.PARTIAL, progress=Decimal("0.25")),
    ]
    fed_by_both = replace(an_account(link, name="Both"), link_ids=(link.id, other.id))
    gone = an_account(link, name="Gone", is_active=False)
    world.hers.accounts += [fed_by_both, gone, an_account(name="Manual")]

    data = await world.get(
        """{ accounts { name link { id } }
             links { id accounts { name } lastRun { status progress link { id } } } }"""
    )

    first, second = data["links"]
    assert (first["id"], second["id"]) == (gid("Link", link.id), gid("Link", other.id))
    assert first["accounts"] == second["accounts"] == [{"name": "Both"}]
    assert first["lastRun"] == {
        "status": "PARTIAL",
        "progress": 0.25,
        "link": {"id": first["id"]},
    }
    assert second["lastRun"] is None
    assert data["accounts"] == [
        {"name": "Both", "link": {"id": first["id"]}},
        {"name": "Manual", "link": None},
    ]


async def test_links_leave_out_what_was_disconnected_unless_asked_for(world: World) -> None:
    world.hers.links += [
        a_link(world.ann),
        a_link(world.ann, status=LinkStatus.DISCONNECTED),
    ]

    data = await world.get(
        "{ links { status } gone: links(status: [DISCONNECTED]) { status } "
        "none: links(status: []) { id } }"
    )

    assert data["links"] == [{"status": "ACTIVE"}]
    assert data["gone"] == [{"status": "DISCONNECTED"}]
    assert data["none"] == []


async def test_a_provider_that_is_no_longer_offered_still_has_a_name(world: World) -> None:
    link = a_link(world.ann, provider_slug="gone-bank")
    world.hers.links.append(link)
    world.hers.accounts.append(an_account(link))

    data = await world.get(
        "{ accounts { provider { slug name enabled authMethods } link { provider { slug } } } "
        "netWorth { byProvider { provider { slug enabled } accountCount } } }"
    )

    [account] = data["accounts"]
    assert account["provider"] == {
        "slug": "gone-bank",
        "name": "gone-bank",
        "enabled": False,
        "authMethods": [],
    }
    assert account["link"]["provider"]["slug"] == "gone-bank"
    [total] = data["netWorth"]["byProvider"]
    assert total == {"provider": {"slug": "gone-bank", "enabled": False}, "accountCount": 1}


async def test_a_run_says_why_it_failed_and_what_it_could_not_read(world: World) -> None:
    link = a_link(world.ann)
    unavailable = SyncError(
        code=ErrorCode.PROVIDER_UNAVAILABLE, message="no answer", retry_after_s=60
    )
    rejected = SyncError(code=ErrorCode.AUTHORIZATION_EXPIRED, message="consent ended")
    runs = [
        a_run(link, status=SyncStatus.FAILED, error=unavailable),
        a_run(link, status=SyncStatus.FAILED, error=rejected),
        a_run(link),
    ]
    world.hers.links.append(link)
    world.hers.runs += runs
    for number in range(3):
        row = QuarantinedRow(
            id=runs[2].id, run_id=runs[2].id, kind=SyncScope.TRANSACTIONS, reason="NaN", raw="{}"
        )
        world.hers.quarantine.append(replace(row, line=number))

    data = await world.get(
        """{ syncRuns { nodes {
          error { __typename code message field
            ... on ProviderUnavailable { retryAfterSeconds provider { slug } }
            ... on CredentialsRejected { provider { slug } } }
          quarantine(first: 2) { kind reason line raw } } } }"""
    )

    fine, consent, away = data["syncRuns"]["nodes"]
    assert fine["error"] is None
    assert fine["quarantine"] == [
        {"kind": "TRANSACTIONS", "reason": "NaN", "line": n, "raw": "{}"} for n in (0, 1)
    ]
    assert away["quarantine"] == []
    assert away["error"] == {
        "__typename": "ProviderUnavailable",
        "code": "PROVIDER_UNAVAILABLE",
        "message": "no answer",
        "field": None,
        "retryAfterSeconds": 60,
        "provider": {"slug": "sandbox"},
    }
    assert consent["error"]["__typename"] == "CredentialsRejected"
    assert consent["error"]["provider"] == {"slug": "sandbox"}


async def test_what_is_null_and_what_is_exact_comes_back_as_it_is_stored(world: World) -> None:
    account = an_account(balance=money("12345678901234.5678"), credit_limit=money("1E+3"))
    bond = a_security(symbol=None, name="Bond", multiplier=Decimal("0.00000001"))
    short = a_holding(
        account,
        security=bond,
        quantity=Decimal(-10),
        market_value=money("-1000"),
        cost_basis=money("-800"),
    )
    world.hers.accounts.append(account)
    world.hers.holdings.append(short)

    data = await world.get(
        """{ accounts { nickname mask availableBalance { amount } balance { amount }
          creditLimit { amount } asOf holdings { nodes { quantity averagePrice { amount }
          unrealizedGain { amount } unrealizedGainPercent
          security { symbol multiplier option { strike { amount } } } } } } }"""
    )

    [shown] = data["accounts"]
    assert shown["nickname"] is shown["mask"] is shown["availableBalance"] is None
    assert shown["balance"]["amount"] == "12345678901234.5678"
    assert shown["creditLimit"]["amount"] == "1000"
    assert shown["asOf"] == "2026-11-21T20:59:00Z"
    assert shown["holdings"]["nodes"] == [
        {
            "quantity": "-10",
            "averagePrice": None,
            "unrealizedGain": {"amount": "-200"},
            "unrealizedGainPercent": "-25.00",
            "security": {"symbol": None, "multiplier": "0.00000001", "option": None},
        }
    ]
