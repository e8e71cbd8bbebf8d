"""An honest provider in memory: it says what it was told, page by page, and resumes by number."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from domain.links import (
    AuthMethod,
    Capability,
    CredentialField,
    ProviderCategory,
    ProviderInfo,
)
from domain.sync import (
    Login,
    Page,
    PullRequest,
    QuarantinedRow,
    ReceivedAccount,
    ReceivedTransaction,
    SyncScope,
)
from tests.builders import money, received_account, received_transaction

INFO = ProviderInfo(
    slug="scripted",
    name="Scripted",
    category=ProviderCategory.BANK,
    auth_methods=(AuthMethod.API_KEY,),
    capabilities=(Capability.ACCOUNTS, Capability.TRANSACTIONS),
    credential_fields=(CredentialField(name="login", label="Login", secret=False, required=True),),
)

Script: TypeAlias = list[Page | Exception]


@dataclass(slots=True)
class Scripted:
    """`script` is what the next pull says; an exception in it is raised where it stands."""

    info: ProviderInfo = INFO
    script: Script = field(default_factory=list)
    asked: list[PullRequest] = field(default_factory=list)
    before: Callable[[int], Any] | None = None  # awaited before the page of this number
    asked_to_connect: Callable[[], Any] | None = None  # awaited by then
    reads: Callable[[QuarantinedRow], Page | None] = lambda row: None
    expire_at: datetime | None = None

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        if self.asked_to_connect is not None:
            await self.asked_to_connect()
        return Login(
            identity=credentials["login"],
            credentials=credentials,
            institution="Scripted Bank",
            expire_at=self.expire_at,
        )

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        self.asked.append(request)
        for number in range(int(request.cursor or 0), len(self.script)):
            if self.before is not None:
                await self.before(number)
            await asyncio.sleep(0)
            said = self.script[number]
            if isinstance(said, Exception):
                raise said
            yield replace(said, cursor=str(number + 1))

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {row.id: page for row in rows if (page := self.reads(row)) is not None}


def accounts(*received: ReceivedAccount, complete: bool = True, **said: Any) -> Page:
    return Page(
        step=SyncScope.ACCOUNTS,
        progress=Decimal("0.1"),
        accounts=received,
        accounts_complete=complete,
        **said,
    )


def transactions(*received: ReceivedTransaction, progress: str = "1", **said: Any) -> Page:
    return Page(
        step=SyncScope.TRANSACTIONS, progress=Decimal(progress), transactions=received, **said
    )


def checking(**said: Any) -> ReceivedAccount:
    return received_account(**said)


def spent(key: str, amount: str = "-4.50", **said: Any) -> ReceivedTransaction:
    return received_transaction(key=key, amount=money(amount), **said)
