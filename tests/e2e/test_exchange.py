"""Several currencies, as a client sees them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.postgres.rates import KnownRates
from domain.money import Currency
from domain.rates import Publication
from tests.e2e.stack import Client, Stack

CREATE = "mutation($i: CreateManualAccountInput!) { createManualAccount(input: $i) { account { id } errors { code } } }"
RECORD = "mutation($i: RecordBalanceInput!) { recordBalance(input: $i) { errors { code } } }"
SETTINGS = (
    "mutation($c: Currency!) { updateSettings(input: {baseCurrency: $c}) { errors { code } } }"
)
WORTH = """query($from: Date) {
  netWorth { total { amount currency } unconverted { amount currency } byCurrency { currency }
    rates { from to rate date source } }
  netWorthHistory(from: $from) { at total { amount currency } unconverted { amount currency } } }"""


async def test_then_is_not_now_and_what_has_no_rate_is_never_one_to_one(
    stack: Stack, alice: Client
) -> None:
    now = datetime.now(UTC)
    today, yesterday = now.date(), now.date() - timedelta(days=1)
    quoted = {today: "1.25", yesterday: "1.20"}
    publications = [
        Publication(day, {Currency("USD"): Decimal(usd), Currency("GBP"): Decimal("0.80")})
        for day, usd in quoted.items()
    ]
    await KnownRates(stack.wired.pool).add(publications, "ECB")
    ids = {}
    for currency, balance in (("EUR", "100"), ("GBP", "-8"), ("BTC", "2")):
        said = {"name": currency, "type": "OTHER", "currency": currency, "balance": balance}
        payload = await alice.do(CREATE, i=said)
        ids[currency] = payload["account"]["id"]
    before = {"accountId": ids["EUR"], "balance": "100", "at": f"{yesterday}T00:00:00Z"}
    assert (await alice.do(RECORD, i=before))["errors"] == []

    shown = await alice.ask(WORTH, **{"from": str(yesterday)})

    worth = shown["netWorth"]
    assert worth["total"] == {"amount": "112.50", "currency": "USD"}
    assert worth["unconverted"] == [{"amount": "2.00000000", "currency": "BTC"}]
    common = {"to": "USD", "date": str(today), "source": "ECB"}
    assert worth["rates"] == [
        {"from": "EUR", "rate": "1.25", **common},
        {"from": "GBP", "rate": "1.5625", **common},
    ]
    points: list[dict[str, Any]] = shown["netWorthHistory"]
    assert [p["total"]["amount"] for p in points] == ["120.00", "112.50"]
    assert [p["unconverted"] for p in points] == [[], worth["unconverted"]]

    assert (await alice.do(SETTINGS, c="GBP"))["errors"] == []
    shown = await alice.ask(WORTH, **{"from": str(yesterday)})
    assert shown["netWorth"]["total"] == {"amount": "72.00", "currency": "GBP"}
    assert [r["from"] for r in shown["netWorth"]["rates"]] == ["EUR"]
    assert [p["total"]["amount"] for p in shown["netWorthHistory"]] == ["80.00", "72.00"]
