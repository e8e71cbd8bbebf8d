"""What the reference system could not do with providers, done over the network.

The numbers are those of its acceptance probes: 14 to 26, 31 and 34. Of 16, 19, 20, 22 to 26 and 31
the sandbox and files are in test_linking, test_importing and test_dashboard; here are the
providers that people have, at simulators that check what they are asked.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from adapters.postgres.rates import KnownRates
from domain.money import Currency
from domain.rates import Publication
from tests.e2e.stack import Client
from tests.e2e.upstreams import (
    ACCOUNTS,
    BEGIN,
    HELD,
    LINK,
    REFRESH,
    Upstreams,
    imported,
    raw,
    rows,
    synced,
    upstreams,
)
from tests.ofx.samples import CHASE_CARD, bank, transaction
from tests.providers.simulators import schwab_rules
from tests.providers.simulators.alpaca import traded
from tests.providers.simulators.alpaca_books import Books
from tests.providers.simulators.plaid_books import a_transaction, an_account
from tests.providers.simulators.schwab import Rotation
from tests.providers.simulators.simplefin import household as of_simplefin
from tests.servers import Postgres

NOW = datetime.now(UTC).replace(microsecond=0)
WAIT_S_MAX = 30.0


@pytest.fixture(scope="module")
async def world(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Upstreams]:
    folder: Path = tmp_path_factory.mktemp("upstreams")
    async with postgres.fresh_database() as database, upstreams(database, folder) as running:
        running.simplefin.held = of_simplefin(NOW)
        yield running
        assert {type(sim).__name__: sim.complaints for sim in running.all if sim.complaints} == {}


@pytest.fixture
async def ann(world: Upstreams) -> AsyncIterator[Client]:
    async with world.browser() as client:
        yield client


@pytest.fixture(scope="module")
async def due(world: Upstreams) -> AsyncIterator[tuple[Client, str, str]]:
    """A link whose time has come, and one whose consent has ended: for the worker to see."""
    async with world.browser() as client:
        books = Books("DUE0000001", NOW - timedelta(days=30))
        to_sync, over = await world.with_key(client, books), await world.consented(client, "schwab")
        await synced(client, linkId=to_sync)
        await synced(client, linkId=over)
        past = NOW - timedelta(minutes=1)
        await world.spy.execute(
            "UPDATE links SET next_sync_at = $1 WHERE id = $2", past, raw(to_sync)
        )
        await world.spy.execute(
            "UPDATE links SET credentials_expire_at = $1 WHERE id = $2", past, raw(over)
        )
        yield client, to_sync, over


async def test_14_every_way_to_connect_ends_in_a_link_that_has_synced(
    world: Upstreams, ann: Client, due: object
) -> None:
    item = world.plaid.item("probe14")
    item.accounts = [an_account("acc-1", "Checking", "depository", "checking", 110.0)]
    item.enter(a_transaction("t-1", "acc-1", 12.34, str(NOW.date())))
    begun = await ann.do(BEGIN, input={"provider": "plaid", "using": {"oauth": {}}})
    assert begun["linkToken"].startswith("link-sandbox-")
    ways = {
        "schwab by its page": await world.consented(ann, "schwab"),
        "alpaca by its page": await world.consented(ann, "alpaca"),
        "alpaca by a key": await world.with_key(ann, Books("PROBE14", NOW)),
        "simplefin by a setup token": await world.with_setup_token(ann, "probe14"),
        "plaid by what its own dialogue gave": await world.connected(
            ann, "plaid", {"publicToken": world.plaid.public_token(item)}
        ),
    }
    await imported(world, ann, CHASE_CARD.encode("cp1252"), provider="chase")
    for way, link in ways.items():
        run = await synced(ann, linkId=link)
        assert run["accounts"]["quarantined"] == run["transactions"]["quarantined"] == 0, way
        assert (await ann.ask(LINK, id=link))["link"]["status"] == "ACTIVE", way
        assert (await ann.ask(ACCOUNTS, link=link))["accounts"], way
    listed = await ann.ask(
        "{ providers { slug enabled authMethods credentialFields { name secret } documentationUrl } }"
    )
    offered = {p["slug"]: p for p in listed["providers"]}
    assert all(p["enabled"] for p in offered.values())
    assert offered["alpaca"]["authMethods"] == ["API_KEY", "OAUTH2"]
    assert offered["schwab"]["authMethods"] == ["OAUTH2"]
    assert offered["plaid"]["authMethods"] == ["LINK_TOKEN"]
    assert [f["name"] for f in offered["simplefin"]["credentialFields"]] == ["setup_token"]


async def test_15_a_token_that_has_expired_is_renewed_however_it_rotates(
    world: Upstreams, ann: Client
) -> None:
    link = await world.consented(ann, "schwab")
    await synced(ann, linkId=link)
    for rotation in Rotation:
        world.schwab.rotation = rotation
        world.schwab.tokens.clear()
        await synced(ann, linkId=link, force=True)
        refreshed = await ann.do(REFRESH, id=link)
        assert refreshed["errors"] == []

    world.schwab.tokens.clear()
    world.schwab.refresh_tokens.clear()
    await synced(ann, "FAILED", linkId=link, force=True)

    said = (await ann.ask(LINK, id=link))["link"]
    assert (said["status"], said["actionRequired"]) == ("NEEDS_REAUTHORIZATION", "REAUTHORIZE")
    told = await world.spy.fetchval(
        "SELECT count(*) FROM events WHERE name = 'link.needs_reauthorization'"
        " AND facts ->> 'link' = $1",
        str(raw(link)),
    )
    assert told == 1


async def test_16_17_a_link_is_named_and_read_a_thousand_times_whatever_is_sealed(
    world: Upstreams, ann: Client
) -> None:
    link = await world.consented(ann, "schwab", alias="Savings")
    update = "mutation($i: UpdateLinkInput!) { updateLink(input: $i) { link { alias } errors { code } } }"
    await synced(ann, linkId=link)
    assert (await ann.do(update, i={"linkId": link, "alias": "Broker"}))["link"][
        "alias"
    ] == "Broker"
    many = "".join(f"n{n}: link(id: $id) {{ id alias status }} " for n in range(20))
    for n in range(50):
        if n % 5 == 0:
            assert (await ann.do(REFRESH, id=link))["errors"] == []
        found = await ann.ask(f"query($id: ID!) {{ {many} }}", id=link)
        assert len(found) == 20
        same = {"id": link, "alias": "Broker", "status": "ACTIVE"}
        assert all(one == same for one in found.values())


async def test_18_19_lists_are_alike_twice_and_fresh_right_after_a_sync(
    world: Upstreams, ann: Client
) -> None:
    books = Books("PROBE18", NOW - timedelta(days=30))
    books.enter("CSD", (NOW - timedelta(days=9)).date(), "100")
    link = await world.with_key(ann, books)
    await synced(ann, linkId=link)
    both = [(await ann.post(ACCOUNTS, {"link": link})).content for _ in range(2)]
    assert both[0] == both[1]

    books.enter("CSD", NOW.date(), "11.5", entered_at=NOW - timedelta(minutes=1))
    await synced(ann, linkId=link, force=True)

    [account] = (await ann.ask(ACCOUNTS, link=link))["accounts"]
    assert Decimal(account["balance"]["amount"]) == Decimal("111.5")
    assert len(await rows(ann, link)) == 2


async def test_20_250_activities_are_stored_as_250_and_400_days_are_asked_for_in_parts(
    world: Upstreams, ann: Client
) -> None:
    books = Books("PROBE20", NOW - timedelta(days=60))
    traded(books, NOW - timedelta(days=50), 250)
    link = await world.with_key(ann, books)
    run = await synced(ann, linkId=link)
    assert run["transactions"]["created"] == 250
    assert len(await rows(ann, link)) == 250
    again = await synced(ann, linkId=link, force=True)
    assert again["transactions"]["created"] == again["transactions"]["updated"] == 0

    link = await world.consented(ann, "schwab")
    await synced(ann, linkId=link)
    before = len(world.schwab.requests)
    since = str((NOW - timedelta(days=400)).date())
    await synced(ann, linkId=link, **{"from": since})
    spans = Counter[str]()
    for request in world.schwab.requests[before:]:
        if request.path.endswith("/transactions"):
            begins, ends = (
                schwab_rules.instant(request.param(name) or "") for name in ("startDate", "endDate")
            )
            assert ends - begins <= schwab_rules.WINDOW_MAX
            spans[request.path] += 1
    assert len(spans) == 2
    assert min(spans.values()) >= 2
    dates = {row["date"] for row in await rows(ann, link)}
    assert min(dates) == str((NOW - timedelta(days=399)).date())


async def test_21_rows_have_their_type(world: Upstreams, ann: Client) -> None:
    link = await world.consented(ann, "schwab")
    await synced(ann, linkId=link, **{"from": str((NOW - timedelta(days=400)).date())})
    found = await rows(ann, link)

    def kinds(words: str) -> set[tuple[str, str]]:
        return {(r["type"], r["subtype"]) for r in found if words in r["description"]}

    assert kinds("Qualified Dividend") == {("INCOME", "DIVIDEND")}
    assert kinds("MARGIN INTEREST") == {("FEE", "MARGIN_INTEREST")}
    assert kinds("MoneyLink Deposit") == {("TRANSFER", "ACH_IN")}
    assert kinds("Wired Funds") == {("TRANSFER", "WIRE_OUT")}
    assert kinds("SCHWAB1 INT") == {("INCOME", "INTEREST")}
    sold = [r for r in found if r["subtype"] == "SELL" and r["commission"]]
    assert {r["commission"]["amount"] for r in sold} >= {"-0.02"}
    statement = bank(
        transaction(TRNTYPE="CREDIT", TRNAMT="10.00", FITID="c")
        + transaction(TRNTYPE="DEBIT", TRNAMT="-4.00", FITID="d")
        + transaction(TRNTYPE="FEE", TRNAMT="-1.00", FITID="f")
    )
    await imported(world, ann, statement, provider="chase")
    links = (await ann.ask("{ links { id provider { slug } } }"))["links"]
    [file] = [one for one in links if one["provider"]["slug"] == "chase"]
    typed = {r["amount"]["amount"]: r["subtype"] for r in await rows(ann, file["id"])}
    assert typed == {"10.00": "DEPOSIT", "-4.00": "WITHDRAWAL", "-1.00": "ACCOUNT_FEE"}


async def test_22_short_positions_and_options_are_kept(world: Upstreams, ann: Client) -> None:
    link = await world.consented(ann, "schwab")
    await synced(ann, linkId=link)
    accounts = (await ann.ask(HELD, link=link))["accounts"]
    held = {h["security"]["symbol"]: h for a in accounts for h in a["holdings"]["nodes"]}
    short = held["GME"]
    assert (short["quantity"], short["marketValue"]["amount"]) == ("-20", "-470.00")
    assert Decimal(short["costBasis"]["amount"]) == -490
    options = [h for h in held.values() if h["security"]["assetType"] == "OPTION"]
    terms = {(h["security"]["option"] or {}).get("underlying"): h for h in options}
    assert (terms["TSLA"]["quantity"], terms["TSLA"]["security"]["multiplier"]) == ("-2", "100")
    assert terms["META"]["security"]["option"]["side"] == "PUT"
    assert {h["security"]["multiplier"] for h in options} == {"100", "50"}


async def test_23_what_was_pending_settles_and_stays_the_same_row(
    world: Upstreams, ann: Client
) -> None:
    [margin, _] = world.schwab.books
    [waiting] = [e for e in margin.entries if e["status"] == "PENDING"]
    brokerage = await world.consented(ann, "schwab")
    bank_ = await world.with_setup_token(ann, "probe23")
    before = {}
    for link in (brokerage, bank_):
        await synced(ann, linkId=link)
        [row] = [r for r in await rows(ann, link) if r["status"] == "PENDING"]
        before[link] = row
    counts = {link: len(await rows(ann, link)) for link in before}

    margin.settle(waiting)
    checking = world.simplefin.held[0]
    world.simplefin.settle(checking, "T-hold", NOW.date(), new_id="T-posted")
    for link, row in before.items():
        await synced(ann, linkId=link, force=True)
        now = {r["id"]: r for r in await rows(ann, link)}
        assert len(now) == counts[link]
        assert now[row["id"]]["status"] == "SETTLED"


async def test_24_an_account_that_fails_is_reported_and_all_that_fail_are_an_error(
    world: Upstreams, ann: Client
) -> None:
    link = await world.consented(ann, "schwab")
    await synced(ann, linkId=link)
    refusal = JSONResponse({"message": "Resource not found", "errors": []}, 404)
    broken, _ = world.schwab.books
    path = f"*/accounts/{broken.hash}/transactions"
    world.schwab.fault(refusal, path=path, times=50)
    run = await synced(ann, "PARTIAL", linkId=link, force=True)
    assert run["error"] is not None
    assert (await ann.ask(LINK, id=link))["link"]["status"] == "ACTIVE"
    world.schwab.mend()

    world.schwab.fault(refusal, path="*/transactions", times=50)
    run = await synced(ann, "FAILED", linkId=link, force=True)
    assert run["error"]["code"] == "PROVIDER_UNAVAILABLE"
    world.schwab.mend()
    await synced(ann, linkId=link, force=True)


async def test_25_balances_are_recorded_by_syncs_and_files_with_what_changed(
    world: Upstreams, ann: Client
) -> None:
    books = Books("PROBE25", NOW - timedelta(days=30))
    books.enter("CSD", (NOW - timedelta(days=20)).date(), "1000")
    broker = await world.with_key(ann, books)
    await synced(ann, linkId=broker)
    books.fill("buy", "ACME", "1", "100", NOW - timedelta(minutes=2))
    books.enter("CSD", NOW.date(), "250", entered_at=NOW - timedelta(minutes=1))
    await synced(ann, linkId=broker, force=True)
    await synced(ann, linkId=await world.with_setup_token(ann, "probe25"))
    await imported(world, ann, CHASE_CARD.encode("cp1252"), provider="chase")

    history = """{ accounts { institution type latestBalance { source balance { amount }
      holdingsValue { amount } cashValue { amount } change { amount } changePercent }
      balanceHistory(from: "2026-01-01", interval: RAW) { source } } }"""
    accounts = (await ann.ask(history))["accounts"]
    sources = {
        (a["institution"], a["type"]): {p["source"] for p in a["balanceHistory"]} for a in accounts
    }
    assert sources["Alpaca", "BROKERAGE"] == {"BACKFILL", "HOLDINGS_SYNC"}
    assert sources["Mill Bank", "CHECKING"] == {"ACCOUNT_SYNC"}
    assert sources["Chase", "CREDIT_CARD"] == {"FILE_IMPORT"}
    [last] = [a["latestBalance"] for a in accounts if a["institution"] == "Alpaca"]
    parts = ("balance", "holdingsValue", "cashValue", "change")
    assert [Decimal(last[part]["amount"]) for part in parts] == [1250, 100, 1150, 250]
    assert last["changePercent"] == "25.00"


async def test_26_net_worth_is_what_is_owned_less_what_is_owed_in_each_currency(
    world: Upstreams, ann: Client
) -> None:
    today = datetime.now(UTC).date()
    quoted = Publication(today, {Currency("USD"): Decimal("1.25"), Currency("GBP"): Decimal("0.8")})
    await KnownRates(world.stack.wired.pool).add([quoted], "ECB")
    link = await world.with_setup_token(ann, "probe26")
    await synced(ann, linkId=link)
    said = await ann.ask(
        "{ accounts { balance { amount currency } } netWorth { total { amount } assets { amount }"
        " liabilities { amount } byCurrency { amount currency } unconverted { amount }"
        " rates { from to rate date source } } }"
    )
    own = Counter[str]()
    for account in said["accounts"]:
        own[account["balance"]["currency"]] += Decimal(account["balance"]["amount"])  # type: ignore[assignment]
    worth = said["netWorth"]
    assert {m["currency"]: Decimal(m["amount"]) for m in worth["byCurrency"]} == dict(own)
    assert own.keys() == {"USD", "EUR"}
    figures = {name: Decimal(worth[name]["amount"]) for name in ("total", "assets", "liabilities")}
    assert figures["total"] == figures["assets"] + figures["liabilities"]
    assert figures["liabilities"] == Decimal("-240532.69")
    exact = own["USD"] + own["EUR"] * Decimal("1.25")
    assert figures["total"] == exact.quantize(Decimal("0.01"))
    assert worth["unconverted"] == []
    assert [(r["from"], r["to"], r["rate"], r["date"]) for r in worth["rates"]] == [
        ("EUR", "USD", "1.25", str(today))
    ]


async def test_34_a_thousand_transactions_are_synced(world: Upstreams, ann: Client) -> None:
    books = Books("PROBE34", NOW - timedelta(days=60))
    traded(books, NOW - timedelta(days=50), 1_000)
    link = await world.with_key(ann, books)
    run = await synced(ann, linkId=link)
    assert run["transactions"]["created"] == 1_000
    again = await synced(ann, linkId=link, force=True)
    assert (again["transactions"]["created"], again["transactions"]["updated"]) == (0, 0)
    if os.environ.get("DASHTAM_TEST_LONG") == "1":  # a figure of a machine that does nothing else
        began, ended = (datetime.fromisoformat(run[name]) for name in ("startedAt", "finishedAt"))
        assert ended - began < timedelta(seconds=1), ended - began


async def test_31_what_is_due_happens_by_itself(
    world: Upstreams, due: tuple[Client, str, str]
) -> None:
    client, to_sync, over = due
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            said = await client.ask(
                "query($a: ID!, $b: ID!) { due: link(id: $a) { lastRun { trigger status } }"
                " over: link(id: $b) { status actionRequired } }",
                a=to_sync,
                b=over,
            )
            if said["due"]["lastRun"] == {"trigger": "SCHEDULE", "status": "SUCCEEDED"} and said[
                "over"
            ] == {"status": "NEEDS_REAUTHORIZATION", "actionRequired": "REAUTHORIZE"}:
                break
            await asyncio.sleep(0.2)
