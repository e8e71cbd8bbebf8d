"""Entities with nothing said but what a test cares about."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from domain.accounts import Account, AccountId, AccountType
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.holdings import Holding, HoldingId
from domain.identity import Role, User, UserId, new_id
from domain.links import (
    AuthMethod,
    Capability,
    CredentialField,
    ImportFormat,
    Link,
    LinkId,
    LinkStatus,
    ProviderCategory,
    ProviderInfo,
)
from domain.money import Currency, Money
from domain.securities import AssetType, Security, SecurityId
from domain.sync import RunId, SyncRun, SyncStatus, SyncTrigger
from domain.transactions import (
    Transaction,
    TransactionId,
    TransactionStatus,
    TransactionSubtype,
)

T = TypeVar("T")

NOW = datetime(2026, 11, 21, 20, 59, tzinfo=UTC)
TODAY = NOW.date()
_runs = count(1)  # the newest has the greatest id, also within a millisecond


def _made(kind: type[T], said: dict[str, Any], **usual: Any) -> T:
    return kind(**(usual | said))


def money(amount: str, currency: str = "USD") -> Money:
    return Money(Decimal(amount), Currency(currency))


def a_user(**said: Any) -> User:
    return _made(
        User,
        said,
        id=UserId(new_id()),
        email="ann@example.com",
        email_verified=True,
        role=Role.USER,
        created_at=NOW - timedelta(days=400),
        base_currency=Currency("USD"),
        time_zone="UTC",
    )


def a_link(user: User, **said: Any) -> Link:
    return _made(
        Link,
        said,
        id=LinkId(new_id()),
        user_id=user.id,
        provider_slug="sandbox",
        status=LinkStatus.ACTIVE,
        created_at=NOW,
        connected_at=NOW,
    )


def an_account(link: Link | None = None, **said: Any) -> Account:
    return _made(
        Account,
        said,
        id=AccountId(new_id()),
        link_id=link.id if link else None,
        link_ids=(link.id,) if link else (),
        provider_slug=link.provider_slug if link else "sandbox",
        institution="Sandbox",
        name="Checking",
        type=AccountType.CHECKING,
        balance=money("100.00"),
        as_of=NOW,
    )


def a_security(**said: Any) -> Security:
    return _made(
        Security,
        said,
        id=SecurityId(new_id()),
        name="Some Corp",
        asset_type=AssetType.EQUITY,
        currency=Currency("USD"),
        symbol="SOME",
    )


def a_holding(account: Account, **said: Any) -> Holding:
    return _made(
        Holding,
        said,
        id=HoldingId(new_id()),
        account_id=account.id,
        security=a_security(),
        quantity=Decimal(10),
        market_value=money("1000.00"),
        as_of=NOW,
    )


def a_transaction(account: Account, **said: Any) -> Transaction:
    return _made(
        Transaction,
        said,
        id=TransactionId(new_id()),
        account_id=account.id,
        subtype=TransactionSubtype.PURCHASE,
        status=TransactionStatus.SETTLED,
        amount=money("-12.34"),
        description="Coffee",
        date=date(2026, 11, 20),
        created_at=NOW,
        updated_at=NOW,
    )


def a_snapshot(account: Account, at: datetime, amount: str, **said: Any) -> BalanceSnapshot:
    return _made(
        BalanceSnapshot,
        said,
        id=SnapshotId(new_id()),
        account_id=account.id,
        at=at,
        balance=Money(Decimal(amount), account.currency),
        source=SnapshotSource.ACCOUNT_SYNC,
    )


def a_run(link: Link, **said: Any) -> SyncRun:
    return _made(
        SyncRun,
        said,
        id=RunId(UUID(int=next(_runs))),
        user_id=link.user_id,
        link_id=link.id,
        trigger=SyncTrigger.USER,
        status=SyncStatus.SUCCEEDED,
        queued_at=NOW,
    )


SANDBOX = ProviderInfo(
    slug="sandbox",
    name="Sandbox",
    category=ProviderCategory.OTHER,
    auth_methods=(AuthMethod.NONE,),
    capabilities=(Capability.ACCOUNTS,),
    credential_fields=(
        CredentialField(name="scenario", label="Scenario", secret=False, required=False),
    ),
)
MANUAL_ACCOUNTS = ProviderInfo(
    slug="manual",
    name="Manual",
    category=ProviderCategory.OTHER,
    auth_methods=(AuthMethod.NONE,),
    capabilities=(),
)
FILE = ProviderInfo(
    slug="file",
    name="Any statement",
    category=ProviderCategory.BANK,
    auth_methods=(AuthMethod.FILE_IMPORT,),
    capabilities=(Capability.FILE_IMPORT,),
    import_formats=(
        ImportFormat(extension="qfx", name="Quicken", provider_slug="file", max_bytes=10_485_760),
    ),
)
