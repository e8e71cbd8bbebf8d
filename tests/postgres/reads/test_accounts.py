"""The viewer, their links, accounts and securities."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.accounts import Account, AccountType
from domain.errors import Unauthenticated
from domain.identity import Role, User, UserId, new_id
from domain.links import Lease, Link, LinkId, LinkStatus
from domain.money import Currency, Money
from domain.securities import AssetType, OptionSide, OptionTerms, Security
from tests.builders import in_order
from tests.postgres.reads.rows import NOON, Owner, Recorded

USD = Currency("USD")


async def test_the_viewer_is_who_was_named(pool: Pool, owner: Owner) -> None:
    await owner.db.execute(
        "UPDATE users SET email = 'a@b.org', email_verified = true, role = 'READONLY',"
        " base_currency = 'CHF', time_zone = 'Europe/Zurich', session_limit = 3,"
        " token_version = 4, data_version = 5 WHERE user_id = $1",
        owner.id,
    )
    reads = Snapshot(pool, owner.id)

    assert await reads.viewer() == User(
        id=owner.id,
        email="a@b.org",
        email_verified=True,
        role=Role.READONLY,
        created_at=NOON,
        base_currency=Currency("CHF"),
        time_zone="Europe/Zurich",
        session_limit=3,
        token_version=4,
    )
    assert await reads.data_version() == 5
    assert reads.statements == 1
    await reads.close()


async def test_a_viewer_who_is_gone_is_nobody(pool: Pool) -> None:
    reads = Snapshot(pool, UserId(new_id()))
    with pytest.raises(Unauthenticated):
        await reads.viewer()
    await reads.close()


async def test_links_come_as_they_were_connected_with_their_lease(
    owner: Owner, reads: Recorded
) -> None:
    pending = await owner.link(status="PENDING")
    second = await owner.link(connected_at=NOON)
    first_row = {
        "provider_slug": "schwab",
        "status": "FAILED",
        "alias": "Mine",
        "login": "hash",
        "institution": "Charles Schwab",
        "connected_at": NOON - timedelta(days=1),
        "last_synced_at": NOON,
        "next_sync_at": NOON + timedelta(hours=6),
        "credentials_expire_at": NOON + timedelta(days=7),
        "sync_every_s": 3600,
        "consecutive_failures": 2,
        "cursor": "c1",
    }
    lease = Lease(holder=new_id(), until=NOON, fence=9)
    first = await owner.link(
        **first_row, lease_holder=lease.holder, lease_until=lease.until, lease_fence=lease.fence
    )

    links = await reads.links()

    assert [link.id for link in links] == [first, second, pending]
    expected = {**first_row, "status": LinkStatus.FAILED}
    assert links[0] == Link(id=first, user_id=owner.id, created_at=NOON, **expected)  # type: ignore[arg-type]  # a row of mixed types
    assert links[0].lease == lease
    assert links[1].lease is None
    assert [link.id for link in await reads.links([pending, second, LinkId(new_id())])] == [
        second,
        pending,
    ]
    assert await reads.links([]) == []
    assert reads.statements == 2


async def test_an_account_has_all_links_that_feed_it(owner: Owner, reads: Recorded) -> None:
    links = sorted([await owner.link() for _ in range(3)])
    id = await owner.account(
        fed_by=(links[2], links[0]),
        link_id=links[2],
        provider_slug="schwab",
        institution="Schwab",
        name="Individual",
        nickname="Play money",
        mask="1234",
        type="ROTH_IRA",
        currency="EUR",
        balance=Decimal("12345678901234567890.0100"),
        available_balance=Decimal("0.00"),
        credit_limit=Decimal("-1E-8"),
        is_active=False,
        included_in_net_worth=False,
        data_version=7,
    )

    (account,) = await reads.accounts()

    eur = Currency("EUR")
    assert account == Account(
        id=id,
        link_id=links[2],
        link_ids=(links[0], links[2]),
        provider_slug="schwab",
        institution="Schwab",
        name="Individual",
        type=AccountType.ROTH_IRA,
        balance=Money(Decimal("12345678901234567890.0100"), eur),
        as_of=NOON,
        nickname="Play money",
        mask="1234",
        available_balance=Money(Decimal("0.00"), eur),
        credit_limit=Money(Decimal("-0.00000001"), eur),
        is_active=False,
        included_in_net_worth=False,
        data_version=7,
    )
    assert str(account.balance.amount) == "12345678901234567890.0100"


async def test_accounts_come_by_name_then_id_whatever_the_letters(
    owner: Owner, reads: Recorded
) -> None:
    for name in ("b", "B", "a", "Ä", "_", "b", "é", "z", "\U0001d49c", "~"):
        await owner.account(name=name)

    accounts = await reads.accounts()

    assert [*accounts] == [*in_order(accounts)]
    assert len(accounts) == 10


async def test_accounts_are_read_once_however_many_ask(owner: Owner, reads: Recorded) -> None:
    id = await owner.account()

    answers = await asyncio.gather(*(reads.accounts() for _ in range(5)))

    assert [[a.id for a in accounts] for accounts in answers] == [[id]] * 5
    assert reads.statements == 1


async def test_a_caller_who_is_cancelled_leaves_the_answer_to_the_others(
    owner: Owner, reads: Recorded
) -> None:
    id = await owner.account()
    first = asyncio.create_task(reads.accounts())
    second = asyncio.create_task(reads.accounts())
    await asyncio.sleep(0)
    first.cancel()

    assert [a.id for a in await second] == [id]
    assert [a.id for a in await reads.accounts()] == [id]
    assert first.cancelled()
    assert reads.statements == 1


async def test_a_list_that_was_given_away_is_the_callers(owner: Owner, reads: Recorded) -> None:
    await owner.account()
    accounts = await reads.accounts()
    accounts.clear()
    assert len(await reads.accounts()) == 1


async def test_securities_come_with_their_terms(owner: Owner, reads: Recorded) -> None:
    named = await owner.security(name="House fund", symbol=None, key="k1", asset_type="OTHER")
    option = await owner.security(
        name="AAPL 2027 call",
        symbol="AAPL270115C00200000",
        asset_type="OPTION",
        isin="US0378331005",
        cusip="037833100",
        figi="BBG000B9XRY4",
        multiplier=Decimal("100.0"),
        option_underlying="AAPL",
        option_side="CALL",
        option_strike=Decimal("200.50"),
        option_currency="USD",
        option_expires_on=date(2027, 1, 15),
    )

    found = await reads.securities_by_id([named, option])

    assert found == [
        Security(
            id=option,
            name="AAPL 2027 call",
            symbol="AAPL270115C00200000",
            asset_type=AssetType.OPTION,
            currency=USD,
            isin="US0378331005",
            cusip="037833100",
            figi="BBG000B9XRY4",
            multiplier=Decimal(100),
            option=OptionTerms(
                underlying="AAPL",
                side=OptionSide.CALL,
                strike=Money(Decimal("200.50"), USD),
                expires_on=date(2027, 1, 15),
            ),
        ),
        Security(id=named, name="House fund", asset_type=AssetType.OTHER, currency=USD, key="k1"),
    ]
    assert await reads.securities_by_id([]) == []


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.00",
        "-0.10",
        "1.50",
        "1E+3",
        "1000000",
        "10000.0000",
        "0.00000001",
        "99999.99990",
        "1234567890123456789012345678.1234567890123456789012345678",
        "-1E-28",
        "100.000000000",
    ],
)
async def test_a_number_comes_back_digit_for_digit(
    owner: Owner, reads: Recorded, text: str
) -> None:
    await owner.account(balance=Decimal(text))
    (account,) = await reads.accounts()
    assert format(account.balance.amount, "f") == format(Decimal(text), "f")


async def test_instants_come_in_utc(owner: Owner, reads: Recorded) -> None:
    at = datetime(1969, 7, 20, 20, 17, 40, 999999, tzinfo=UTC)
    await owner.account(as_of=at)
    (account,) = await reads.accounts()
    assert account.as_of == at
    assert account.as_of.utcoffset() == timedelta(0)


async def test_ids_are_plain_uuids_wherever_they_are_compared(
    owner: Owner, reads: Recorded
) -> None:
    id = await owner.account()
    (account,) = await reads.accounts()
    assert isinstance(account.id, UUID)
    assert account.id == UUID(str(id))
    assert {account.id: 1}[id] == {UUID(str(id)): 1}[account.id] == 1
    assert not account.id < UUID(str(id))


async def test_a_stranger_finds_nothing_by_ids_that_are_not_theirs(
    an_owner: Callable[[], Awaitable[Owner]], pool: Pool
) -> None:
    alice, bob = await an_owner(), await an_owner()
    link, security = await alice.link(), await alice.security()
    await alice.account()
    reads = Snapshot(pool, bob.id)

    assert await reads.links([link]) == []
    assert await reads.links() == []
    assert await reads.accounts() == []
    assert await reads.securities_by_id([security]) == []
    await reads.close()
