"""What Plaid's institutions know of people, written anew after the shapes of its documentation."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Told = dict[str, Any]


class Changed(Exception):
    """The list has changed since its first page was given."""


@dataclass(eq=False)
class Item:
    """One login. `log` is what happened to its transactions, one after the other."""

    id: str
    token: str
    institution_id: str = "ins_109508"
    institution_name: str | None = "First Platypus Bank"
    accounts: list[Told] = field(default_factory=list)
    products: list[str] = field(default_factory=lambda: ["transactions"])
    webhook: str | None = None
    error: Told | None = None
    consent_expiration_time: str | None = None
    update_status: str = "HISTORICAL_UPDATE_COMPLETE"
    updated_at: str = "2026-03-17T09:00:00Z"
    lacks: dict[str, str] = field(default_factory=dict)  # path: error code
    log: list[tuple[str, Told | None]] = field(default_factory=list)  # id, and the row by now
    holdings: list[Told] = field(default_factory=list)
    securities: list[Told] = field(default_factory=list)
    invested: list[Told] = field(default_factory=list)
    mortgages: list[Told] = field(default_factory=list)

    def enter(self, *rows: Told) -> None:
        """Rows that are new, or as they are now."""
        self.log += [(row["transaction_id"], row) for row in rows]

    def remove(self, *ids: str) -> None:
        self.log += [(id, None) for id in ids]

    def updates(self, cursor: str, count: int) -> Told:
        """Net of what came and went since. Raises Changed, and ValueError for no cursor of ours."""
        since, offset, seen = self._read(cursor)
        if offset and seen != len(self.log):
            raise Changed
        before, now = self._state(since), self._state(len(self.log))
        moved = [id for id, _ in reversed(self.log[since:])]
        ids = list(dict.fromkeys(moved))[::-1]
        net = [(id, id in before, now.get(id)) for id in ids if id in before or id in now]
        page = net[offset : offset + count]
        has_more = offset + count < len(net)
        end = [since, offset + len(page), len(self.log)] if has_more else [len(self.log), 0, 0]
        accounts = {row["account_id"]: row for row in now.values()}
        return {
            "accounts": [a for a in self.accounts if a["account_id"] in accounts],
            "added": [row for _, known, row in page if row is not None and not known],
            "modified": [row for _, known, row in page if row is not None and known],
            "removed": [
                {"account_id": before[id]["account_id"], "transaction_id": id}
                for id, _, row in page
                if row is None
            ],
            "next_cursor": self._written(end),
            "has_more": has_more,
            "transactions_update_status": self.update_status,
        }

    def _state(self, end: int) -> Mapping[str, Told]:
        rows: dict[str, Told] = {}
        for id, row in self.log[:end]:
            rows.pop(id, None)
            if row is not None:
                rows[id] = row
        return rows

    def _written(self, numbers: Sequence[int]) -> str:
        return urlsafe_b64encode(json.dumps([self.id, *numbers]).encode()).decode()

    def _read(self, cursor: str) -> tuple[int, int, int]:
        if not cursor:
            return 0, 0, 0
        id, since, offset, seen = json.loads(urlsafe_b64decode(cursor))
        if id != self.id:
            raise ValueError
        return since, offset, seen


def an_account(
    id: str, name: str, kind: str, subtype: str | None, current: float | None, **said: Any
) -> Told:
    balances = {
        "available": said.pop("available", None),
        "current": current,
        "iso_currency_code": said.pop("currency", "USD"),
        "limit": said.pop("limit", None),
        "unofficial_currency_code": said.pop("coin", None),
    }
    mask = said.pop("mask", id[-4:])
    return {
        "account_id": id,
        "balances": balances,
        "mask": mask,
        "name": name,
        "official_name": None,
        "subtype": subtype,
        "type": kind,
        **said,
    }


def a_transaction(id: str, account: str, amount: float, date: str, **said: Any) -> Told:
    category = said.pop("category", ("GENERAL_MERCHANDISE", "GENERAL_MERCHANDISE_SUPERSTORES"))
    return {
        "account_id": account,
        "account_owner": None,
        "amount": amount,
        "iso_currency_code": "USD",
        "unofficial_currency_code": None,
        "check_number": None,
        "counterparties": [],
        "date": date,
        "datetime": None,
        "authorized_date": date,
        "name": "PURCHASE WM SUPERCENTER",
        "merchant_name": None,
        "payment_channel": "in store",
        "pending": False,
        "pending_transaction_id": None,
        "personal_finance_category": {
            "primary": category[0],
            "detailed": category[1],
            "confidence_level": "HIGH",
        },
        "transaction_id": id,
        "transaction_code": None,
        "transaction_type": "place",
        **said,
    }


def a_security(id: str, name: str, kind: str, ticker: str | None, **said: Any) -> Told:
    return {
        "security_id": id,
        "name": name,
        "type": kind,
        "subtype": None,
        "ticker_symbol": ticker,
        "isin": None,
        "cusip": None,
        "sedol": None,
        "is_cash_equivalent": False,
        "close_price": None,
        "close_price_as_of": None,
        "iso_currency_code": "USD",
        "unofficial_currency_code": None,
        "option_contract": None,
        "fixed_income": None,
        **said,
    }


def a_holding(
    account: str, security: str, quantity: float, price: float, value: float, **said: Any
) -> Told:
    return {
        "account_id": account,
        "security_id": security,
        "quantity": quantity,
        "institution_price": price,
        "institution_price_as_of": "2026-03-16",
        "institution_price_datetime": None,
        "institution_value": value,
        "cost_basis": None,
        "iso_currency_code": "USD",
        "unofficial_currency_code": None,
        **said,
    }


def an_investment(
    id: str, account: str, kind: str, subtype: str, amount: float, date: str, **said: Any
) -> Told:
    return {
        "investment_transaction_id": id,
        "account_id": account,
        "security_id": None,
        "type": kind,
        "subtype": subtype,
        "amount": amount,
        "quantity": 0,
        "price": 0,
        "fees": 0,
        "date": date,
        "name": f"{kind} {subtype}",
        "cancel_transaction_id": None,
        "iso_currency_code": "USD",
        "unofficial_currency_code": None,
        **said,
    }


def household(item: Item) -> Item:
    """A person with one of each: 30 rows in three pages of ten, and a brokerage account."""
    item.products = ["transactions", "investments", "liabilities"]
    item.accounts = [
        an_account("acc-check-0000", "Checking", "depository", "checking", 110.25, available=100),
        an_account("acc-card-3333", "Card", "credit", "credit card", 410, limit=2000),
        an_account("acc-brok-5555", "Brokerage", "investment", "brokerage", 21610.01),
        an_account("acc-home-8888", "Mortgage", "loan", "mortgage", 56302.06),
    ]
    item.mortgages = [{"account_id": "acc-home-8888", "account_number": "3120194154"}]
    food = ("FOOD_AND_DRINK", "FOOD_AND_DRINK_FAST_FOOD")
    for n in range(1, 29):
        account = "acc-check-0000" if n % 2 else "acc-card-3333"
        day = f"2026-02-{n:02}"
        item.enter(a_transaction(f"t{n}", account, n + 0.1, day, merchant_name="Walmart"))
    item.enter(
        a_transaction("t29", "acc-check-0000", -1500, "2026-03-01", category=("INCOME", "INCOME_WAGES")),
        a_transaction("p30", "acc-card-3333", 28.34, "2026-03-15", pending=True, category=food),
    )  # fmt: skip
    item.securities = [
        a_security("sec-usd", "U S Dollar", "cash", "USD", is_cash_equivalent=True),
        a_security("sec-share", "Achillion", "equity", "ACHN", isin="US00448Q2012"),
        a_security("sec-fund", "Money Fund", "mutual fund", "SPAXX", is_cash_equivalent=True),
        a_security("sec-call", "NFLX Call", "derivative", "NFLX270115C00355000", subtype="option",
                   option_contract={"contract_type": "call", "expiration_date": "2027-01-15",
                                    "strike_price": 355, "underlying_security_ticker": "NFLX"}),
        a_security("sec-bill", "Treasury Bill", "fixed income", None, cusip="912797HE0",
                   fixed_income={"face_value": 100, "maturity_date": "2026-10-31"}),
        a_security("sec-coin", "Bitcoin", "cryptocurrency", "BTC", is_cash_equivalent=True),
    ]  # fmt: skip
    brokerage = "acc-brok-5555"
    item.holdings = [
        a_holding(brokerage, "sec-usd", 0.01, 1, 0.01),
        a_holding(brokerage, "sec-share", 100, 21.1, 2110, cost_basis=1500),
        a_holding(brokerage, "sec-fund", 500, 1, 500),
        a_holding(brokerage, "sec-call", 10000, 0.011, 110),
        a_holding(brokerage, "sec-bill", 10, 94.808, 948.08),
        a_holding(brokerage, "sec-coin", 0.3, 59806.4, 17941.92),
    ]
    item.invested = [
        an_investment("i1", brokerage, "buy", "buy", 2118, "2026-02-10", security_id="sec-share",
                      quantity=100, price=21.1, fees=8),
        an_investment("i2", brokerage, "cash", "dividend", -8.72, "2026-02-20",
                      security_id="sec-share"),
        an_investment("i3", brokerage, "fee", "account fee", 7.99, "2026-03-02"),
        an_investment("i4", brokerage, "sell", "sell", -215, "2026-03-05", security_id="sec-share",
                      quantity=-10, price=21.5),
    ]  # fmt: skip
    return item
