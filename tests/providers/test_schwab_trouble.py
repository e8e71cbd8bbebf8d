"""What becomes of a pull of Schwab where something is refused, missing or cannot be read."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from starlette.responses import PlainTextResponse, Response

from adapters.providers.kit import raw_text
from domain.errors import (
    CredentialsRejected,
    ErrorCode,
    LinkAction,
    ProviderUnavailable,
)
from domain.sync import Page, QuarantinedRow, RunId, SyncScope
from domain.transactions import TransactionSubtype as S
from tests.builders import money
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.schwab import (
    a_request,
    a_schwab,
    a_sim,
    failures,
    rows_of,
    some_books,
)
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.schwab import SchwabSimulator
from tests.providers.simulators.schwab_books import equity, paid

BASE = "/trader/v1"
HISTORY = f"{BASE}/accounts/*/transactions"


async def told(sim: SchwabSimulator, **said: object) -> list[Page]:
    pages = await pulled(a_schwab(sim), a_request(sim, **said))
    assert not sim.complaints
    return pages


async def test_a_token_that_is_refused_says_that_it_has_ended() -> None:
    sim = a_sim()
    request = a_request(sim)
    sim.tokens.clear()
    with pytest.raises(CredentialsRejected) as refused:
        await pulled(a_schwab(sim), request)
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert refused.value.action is LinkAction.REAUTHORIZE


async def test_a_refusal_of_rights_is_another_and_a_page_of_a_gateways_is_none() -> None:
    sim = a_sim()
    path = f"{BASE}/accounts"
    refusal = Response('{"message": "Forbidden"}', 403, media_type="application/json")
    sim.fault(refusal, path=path)
    with pytest.raises(CredentialsRejected) as refused:
        await told(sim)
    assert refused.value.code is ErrorCode.CREDENTIALS_REJECTED
    sim.fault(Trouble.FORBIDDEN_PAGE, path=path)
    assert rows_of(await told(sim))


@pytest.mark.parametrize("status", [200, 504])
async def test_a_plain_text_of_a_gateway_is_trouble_that_passes(status: int) -> None:
    sim = a_sim()
    sim.fault(PlainTextResponse("upstream request timeout", status), times=2)
    assert rows_of(await told(sim))
    sim.fault(PlainTextResponse("upstream request timeout", status), times=9)
    with pytest.raises(ProviderUnavailable):
        await told(sim)


async def test_being_asked_to_wait_is_waited_for() -> None:
    sim, clock = a_sim(), Clock()
    sim.fault(Trouble.LIMITED_UNTIL, path=HISTORY)
    assert rows_of(await pulled(a_schwab(sim, sim.inside(clock)), a_request(sim)))
    assert 7.0 in clock.slept


async def test_one_account_that_cannot_be_read_is_told_and_the_others_are_read() -> None:
    sim = a_sim()
    first, second = sim.books
    sim.fault(Trouble.BROKEN, path=f"*{second.hash}*", times=99)
    pages = await told(sim)
    assert failures(pages).keys() == {second.hash}
    assert {row.account_key for row in rows_of(pages)} == {first.hash}
    assert pages[-1].progress == 1
    assert second.hash not in pages[-1].pending

    sim.fault(Trouble.BROKEN, path=f"*{first.hash}*", times=99)
    with pytest.raises(ProviderUnavailable):
        await told(sim)


async def test_an_account_that_is_named_and_not_told_of_is_not_gone() -> None:
    sim = a_sim()
    first, second = sim.books
    told_of = raw_text([first.told()]).encode()
    sim.mutate(lambda _: told_of, path=f"{BASE}/accounts")
    pages = await told(sim)
    assert failures(pages).keys() == {second.hash}
    assert not any(page.accounts_complete for page in pages)
    assert {row.account_key for row in rows_of(pages)} == {first.hash}


async def test_an_account_without_a_hash_is_kept_without_its_number() -> None:
    sim = a_sim()
    first, second = sim.books
    named = raw_text([{"accountNumber": first.number, "hashValue": first.hash}]).encode()
    sim.mutate(lambda _: named, path=f"{BASE}/accounts/accountNumbers")
    pages = await told(sim)
    [lost] = [row for page in pages for row in page.unreadable]
    assert "hash" in lost.reason
    assert second.number not in f"{lost} {failures(pages)}"
    assert second.number[-4:] in lost.raw
    assert not any(page.accounts_complete for page in pages)


async def test_a_position_that_cannot_be_read_leaves_the_others_and_nothing_is_complete() -> None:
    sim = a_sim()
    margin, ira = sim.books
    margin.positions[0]["longQuantity"] = "a lot"
    pages = await told(sim)
    [page] = [page for page in pages if page.step is SyncScope.HOLDINGS]
    assert len(page.holdings) == len(margin.positions) + len(ira.positions) - 1
    assert list(page.holdings_complete) == [ira.hash]
    assert [row.account_key for row in page.unreadable] == [margin.hash]


async def test_a_row_that_cannot_be_read_is_kept_and_read_again_when_it_can() -> None:
    sim = a_sim(some_books())
    entry = sim.books[0].trade(AT - timedelta(days=3), equity("XYZ"), "10", "100.00")
    entry["netAmount"] = "much"
    pages = await told(sim)
    [lost] = [row for page in pages for row in page.unreadable]
    assert (lost.scope, lost.account_key) == (SyncScope.TRANSACTIONS, sim.books[0].hash)
    assert sim.books[0].number not in lost.raw

    def kept(raw: str, kind: SyncScope = SyncScope.TRANSACTIONS) -> QuarantinedRow:
        return QuarantinedRow(
            id=uuid4(), run_id=RunId(uuid4()), kind=kind, reason="", raw=raw,
            account_key=lost.account_key,
        )  # fmt: skip

    mended = kept(lost.raw.replace('"much"', "-1000.00"))
    again = a_schwab(sim).replay(
        [kept(lost.raw), mended, kept("{"), kept("{}", SyncScope.HOLDINGS)]
    )
    assert again.keys() == {mended.id}
    [row] = again[mended.id].transactions
    assert (row.subtype, row.amount, row.account_key) == (
        S.BUY,
        money("-1000.00"),
        sim.books[0].hash,
    )


async def test_credentials_that_are_none_of_schwabs_are_rejected_unasked() -> None:
    sim = a_sim()
    with pytest.raises(CredentialsRejected):
        await pulled(a_schwab(sim), replace(a_request(sim), credentials={"token": "x"}))
    assert sim.requests == []


async def test_a_cursor_that_is_none_of_ours_begins_anew() -> None:
    sim, since = a_sim(), AT.date() - timedelta(days=30)
    whole = await told(sim, since=since)
    for cursor in ("", "x", "[]", "[1, 2]", '["2026-03-17", 0, "", null, [], 0, null, {}]'):
        assert await told(sim, since=since, cursor=cursor) == whole
    for position in ("x", "[]", '{"names": 5, "pending": 5}'):
        assert rows_of(await told(sim, since=since, position=position)) == rows_of(whole)


async def test_a_number_is_kept_nowhere_whatever_it_is_written_as() -> None:
    sim = a_sim()
    first, second = sim.books
    as_number = raw_text([{**first.told(), "securitiesAccount": {
        **first.told()["securitiesAccount"], "accountNumber": Decimal(first.number)}},
        {"securitiesAccount": [second.told()["securitiesAccount"]]}])  # fmt: skip
    sim.mutate(lambda _: as_number.encode(), path=f"{BASE}/accounts")
    pages = await told(sim)
    lost = [row for page in pages for row in page.unreadable]
    assert [row.scope for row in lost] == [SyncScope.ACCOUNTS] * 2
    assert first.number not in f"{pages}"
    assert second.number not in f"{pages}"
    assert failures(pages).keys() == {first.hash, second.hash}


async def test_a_pull_of_positions_alone_tells_whose_it_could_not_read() -> None:
    sim = a_sim()
    first, second = sim.books
    told_of = raw_text([first.told(), {"securitiesAccount": 5}]).encode()
    sim.mutate(lambda _: told_of, path=f"{BASE}/accounts")
    [page] = await told(sim, scopes=frozenset({SyncScope.HOLDINGS}))
    assert page.failed.keys() == {second.hash}
    assert list(page.holdings_complete) == [first.hash]
    assert len(page.unreadable) == 1


async def test_a_pull_that_is_killed_among_years_that_are_refused_goes_on() -> None:
    some = some_books(number="11111111", hash="A1" * 32)
    for n in range(130):
        some.enter("JOURNAL", AT - timedelta(hours=60 * n + 1), "0.01", paid("0.01"))
    other = some_books()
    other.enter("JOURNAL", AT - timedelta(days=1), "1", paid("1"))
    sim = a_sim(some, other, rows_max=60)
    sim.remembers_since = AT - timedelta(days=366)
    pages = await told(sim)
    assert len(rows_of(pages)) == 131
    assert not failures(pages)
    for number, page in enumerate(pages):
        rest = await pulled(a_schwab(sim), a_request(sim, cursor=page.cursor))
        assert rest == pages[number + 1 :]


async def test_what_was_pending_and_cannot_be_read_now_may_be_pending_still() -> None:
    sim = a_sim(some_books())
    [books] = sim.books
    entry = books.enter("JOURNAL", AT - timedelta(days=2), "2", paid("2"), status="PENDING")
    first = (await told(sim))[-1]
    entry["netAmount"] = "much"
    since = AT.date() - timedelta(days=14)
    second = (await told(sim, since=since, position=first.position))[-1]
    assert [*second.pending[books.hash]] == [str(entry["activityId"])]
    assert len(second.unreadable) == 1
    books.entries.clear()
    third = (await told(sim, since=since, position=second.position))[-1]
    assert [*third.pending[books.hash]] == []


async def test_a_pull_that_runs_out_of_time_goes_on_there_and_no_account_has_failed() -> None:
    """Two accounts of ten years each, where an answer takes 100 s, and a pull has 900."""
    sim, clock = (
        a_sim(*(some_books(number=f"7123456{n}", hash=f"C{n}" * 32) for n in (3, 4))),
        Clock(),
    )
    for books in sim.books:
        for year in range(10):
            books.enter("JOURNAL", AT - timedelta(days=365 * year + 5), "1", paid("1"))

    def late(body: bytes) -> bytes:
        clock.seconds += 100
        return body

    sim.mutate(late, path=HISTORY, times=100)
    found: list[Page] = []
    for _ in range(3):
        cursor = found[-1].cursor if found else None
        with suppress(ProviderUnavailable):
            async for page in a_schwab(sim, sim.inside(clock)).pull(a_request(sim, cursor=cursor)):
                found.append(page)  # noqa: PERF401 - those before a refusal too
    assert found[-1].progress == 1
    assert not failures(found)
    assert len(rows_of(found)) == 20
    windows = [(request.path, request.param("startDate")) for request in sim.asked(HISTORY)]
    assert len({*windows}) == 20
    assert len(windows) == 21  # the newest of the first, by which it learns how to ask
