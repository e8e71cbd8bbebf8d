"""Accounts that their owners keep themselves: a provider that is never asked for anything."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.accounts import MANUAL
from domain.errors import InvalidInput, ProviderUnavailable
from domain.links import AuthMethod, ProviderCategory, ProviderInfo
from domain.sync import Login, Page, PullRequest, QuarantinedRow

INFO = ProviderInfo(
    slug=MANUAL,
    name="Manual accounts",
    category=ProviderCategory.OTHER,
    auth_methods=(AuthMethod.NONE,),
    capabilities=(),
)


class ManualAccounts:
    """It has no links: its accounts are made one by one."""

    info = INFO

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput, always."""
        raise InvalidInput(
            "there is nothing to link: make manual accounts with createManualAccount",
            field=("input", "provider"),
        )

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Raises ProviderUnavailable, always."""
        raise ProviderUnavailable("manual accounts are not pulled", provider=MANUAL)
        yield

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}
