"""The change feed: every boundary of a page, in how many statements, and by which index."""

from typing import Any

import asyncpg
import pytest

from adapters.postgres.pool import Pool
from domain.changes import Entity, Kind, Position, all_of
from domain.errors import BadQuery
from domain.identity import new_id
from domain.links import LinkId
from domain.queries.changes import changes
from tests.postgres.reads.rows import Owner, Recorded
from tests.postgres.reads.test_plans import Many, scans

VERSIONS = 3
EACH = 2  # of each kind at each version
PUT_MANY = """
INSERT INTO transactions (user_id, id, account_id, subtype, type, status, amount, currency,
    description, date, created_at, updated_at, data_version)
SELECT $1, gen_random_uuid(), $2, 'PURCHASE', 'PAYMENT', 'SETTLED', 1, 'USD', 'x', '2026-01-01',
    now(), now(), i / 20 FROM generate_series(20, 4019) AS i"""


@pytest.fixture
async def owner(owner: Owner) -> Owner:
    """With some of each kind at each version, and some of each that are gone."""
    account, security = None, None
    for version in range(1, VERSIONS + 1):
        for _ in range(EACH):
            said: dict[str, Any] = {"data_version": version}
            await owner.link(**said)
            account = await owner.account(**said)
            security = await owner.security(**said)
            await owner.holding(account, security, **said)
            await owner.transaction(account, **said)
            for kind in Kind:
                await owner.put("tombstones", kind=kind.name.lower(), id=new_id(), **said)
    await owner.db.execute(
        "UPDATE users SET data_version = $2 WHERE user_id = $1", owner.id, VERSIONS
    )
    return owner


async def replayed(
    reads: Recorded, after: Position | None, limit: int
) -> tuple[list[Entity], list[Any], Position]:
    """All pages from there."""
    stands: list[Entity] = []
    gone: list[Any] = []
    while True:
        page = await changes(reads, after, limit=limit)
        stands += page.upserted
        gone += page.gone
        after = page.reached
        if not page.has_more:
            return stands, gone, after
        assert len(page.upserted) + len(page.gone) == limit


@pytest.mark.parametrize("limit", [*range(1, 14), 500])
async def test_pages_of_any_size_end_at_any_place_and_leave_nothing_out(
    reads: Recorded, owner: Owner, limit: int
) -> None:
    stands, gone, reached = await replayed(reads, Position(), limit)
    assert len({e.id for e in stands}) == len(stands) == VERSIONS * EACH * len(Kind)
    assert len({g.id for g in gone}) == len(gone) == VERSIONS * EACH * len(Kind)
    assert reached == all_of(VERSIONS)
    assert await replayed(reads, reached, limit) == ([], [], reached)


async def test_a_first_copy_is_told_of_what_is_gone_from_then_on(
    reads: Recorded, owner: Owner, pool: Pool
) -> None:
    page = await changes(reads, None, limit=7)
    assert page.has_more
    assert page.gone == []
    await reads.close()
    next_version = VERSIONS + 1
    await owner.db.execute("DELETE FROM transactions WHERE user_id = $1", owner.id)
    died = new_id()
    await owner.put("tombstones", kind="transaction", id=died, data_version=next_version)
    await owner.db.execute(
        "UPDATE users SET data_version = $2 WHERE user_id = $1", owner.id, next_version
    )
    later = Recorded(pool, owner.id)
    stands, gone, reached = await replayed(later, page.reached, 7)
    assert [g.id for g in gone] == [died]
    assert len(stands) == VERSIONS * EACH * (len(Kind) - 1) - len(page.upserted) + sum(
        type(e).__name__ == "Transaction" for e in page.upserted
    )
    assert reached == all_of(next_version)
    await later.close()


async def test_what_is_ahead_of_everything_is_no_cursor_of_this_database(
    reads: Recorded, owner: Owner
) -> None:
    with pytest.raises(BadQuery):
        await changes(reads, all_of(VERSIONS + 1), limit=1)
    with pytest.raises(BadQuery):
        await changes(reads, Position(since=VERSIONS + 1), limit=1)


async def test_a_page_takes_a_statement_for_its_keys_and_one_for_each_kind_in_it(
    reads: Recorded, owner: Owner
) -> None:
    await reads.data_version()
    before = reads.statements
    await changes(reads, None, limit=500)
    assert reads.statements == before + 1 + len(Kind)
    await changes(reads, all_of(VERSIONS), limit=500)
    assert reads.statements == before + 2 + len(Kind)


async def test_a_page_reads_of_each_table_no_more_than_a_page(
    owner: Owner, pool: Pool, superuser: asyncpg.Connection
) -> None:
    account = await owner.account()
    await superuser.execute(PUT_MANY, owner.id, account)
    await superuser.execute("ANALYZE transactions")
    many = Many(pool, owner, LinkId(new_id()), [account])
    begin = Position(version=100, place=5, id=new_id())
    for mode in ("custom", "generic"):
        [scan] = await scans(many, lambda r: r.changed(begin, limit=50), "transactions", mode)
        assert scan.index == "ix_transactions_version"
        assert scan.rows + scan.filtered <= 50 + 2 * 20  # the versions at its ends are whole
