"""Domain values for tests: each says only what the test is about."""

import hmac
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from domain.accounts import Account, AccountId, AccountType
from domain.identity import UserId, new_id
from domain.links import Link, LinkId, LinkStatus
from domain.money import Currency, Money
from domain.securities import AssetType, SecurityTerms
from domain.sync import (
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    RunId,
    SyncRun,
    SyncStatus,
    SyncTrigger,
)
from domain.transactions import TransactionStatus, TransactionSubtype

NOW = datetime(2026, 11, 21, 20, 59, tzinfo=UTC)
TODAY = NOW.date()
USD, EUR, JPY = Currency("USD"), Currency("EUR"), Currency("JPY")


def a_mac(text: bytes) -> bytes:
    """What the rows of the audit log carry."""
    return hmac.digest(b"a key of tests", text, "sha256")


def money(amount: str, of: str = "USD") -> Money:
    return Money(Decimal(amount), Currency(of))


def a_link(**said: Any) -> Link:
    values: dict[str, Any] = {
        "id": LinkId(new_id()),
        "user_id": UserId(new_id()),
        "provider_slug": "sandbox",
        "status": LinkStatus.ACTIVE,
        "created_at": NOW,
        "connected_at": NOW,
    }
    return Link(**values | said)


def an_account(**said: Any) -> Account:
    link_id = LinkId(new_id())
    values: dict[str, Any] = {
        "id": AccountId(new_id()),
        "link_id": link_id,
        "link_ids": (link_id,),
        "provider_slug": "sandbox",
        "institution": "Sandbox Bank",
        "name": "Checking",
        "type": AccountType.CHECKING,
        "balance": money("100.00"),
        "as_of": NOW,
    }
    return Account(**values | said)


def in_order(accounts: Iterable[Account]) -> list[Account]:
    """As accounts are listed."""
    return sorted(accounts, key=lambda a: (a.name, a.id))


def a_run(**said: Any) -> SyncRun:
    values: dict[str, Any] = {
        "id": RunId(new_id()),
        "user_id": UserId(new_id()),
        "link_id": LinkId(new_id()),
        "trigger": SyncTrigger.USER,
        "status": SyncStatus.QUEUED,
        "queued_at": NOW,
    }
    return SyncRun(**values | said)


def received_account(**said: Any) -> ReceivedAccount:
    values: dict[str, Any] = {
        "key": "a1",
        "institution": "Sandbox Bank",
        "name": "Checking",
        "type": AccountType.CHECKING,
        "balance": money("100.00"),
        "as_of": NOW,
        "number": "000123456789",
    }
    values |= said
    balance = values["balance"]
    values.setdefault("currency", balance.currency if balance else USD)
    return ReceivedAccount(**values)


def stated(account: ReceivedAccount) -> Money:
    assert account.balance is not None
    return account.balance


def terms(symbol: str | None = "AAPL", **said: Any) -> SecurityTerms:
    values: dict[str, Any] = {
        "name": f"{symbol} Inc.",
        "asset_type": AssetType.EQUITY,
        "currency": USD,
        "symbol": symbol,
    }
    return SecurityTerms(**values | said)


def received_holding(**said: Any) -> ReceivedHolding:
    values: dict[str, Any] = {
        "account_key": "a1",
        "security": terms(),
        "quantity": Decimal(10),
        "market_value": money("1500.00"),
        "as_of": NOW,
    }
    return ReceivedHolding(**values | said)


def received_transaction(**said: Any) -> ReceivedTransaction:
    values: dict[str, Any] = {
        "account_key": "a1",
        "key": "t1",
        "subtype": TransactionSubtype.PURCHASE,
        "status": TransactionStatus.SETTLED,
        "amount": money("-4.50"),
        "description": "COFFEE",
        "date": date(2026, 11, 20),
    }
    return ReceivedTransaction(**values | said)
