"""Providers that ask for consent, as a test tells them to; and a process that completes one, and
can be killed while it does: `python -m tests.engine.consenting`.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import structlog

from domain.authorizations import Answer
from domain.commands.authorizing import CompleteAuthorization, complete_authorization
from domain.errors import InvalidInput
from domain.identity import Actor, Role, SessionId, UserId
from domain.links import AuthMethod, Capability, ProviderCategory, ProviderInfo
from domain.providers import Consent
from domain.sync import Login, Page, PullRequest, QuarantinedRow, SyncScope
from gateway.wiring.root import wire
from tests.engine.world import known, settings_of
from tests.servers import Database


async def nothing() -> None:
    pass


@dataclass
class Consenting:
    """`owner` is who consented, None for whom the code names; `refuses` is raised instead. `before` is awaited in between."""

    slug: InitVar[str] = "consenting"
    issuer: str | None = None
    owner: str | None = "ann"
    refuses: Exception | None = None
    before: Callable[[], Awaitable[None]] = nothing
    exchanged: list[tuple[str, Consent]] = field(default_factory=list)
    info: ProviderInfo = field(init=False)

    def __post_init__(self, slug: str) -> None:
        self.info = ProviderInfo(
            slug=slug,
            name=slug.title(),
            category=ProviderCategory.BROKERAGE,
            auth_methods=(AuthMethod.OAUTH2,),
            capabilities=(Capability.ACCOUNTS,),
        )

    def authorization_url(self, consent: Consent) -> str:
        said = {"state": consent.state, "redirect_uri": consent.redirect_uri}
        return f"https://{self.info.slug}.example/authorize?{urlencode(said)}"

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        self.exchanged.append((code, consent))
        await self.before()
        if self.refuses is not None:
            raise self.refuses
        owner = self.owner or code
        credentials = {"refresh": f"of {owner} by {code}"}
        return Login(identity=owner, credentials=credentials, expire_at=at + timedelta(days=7))

    async def renew(self, credentials: Mapping[str, str], at: datetime) -> Login:
        return Login(identity="", credentials=credentials, expire_at=at + timedelta(days=7))

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        raise InvalidInput("by OAuth alone")

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        yield Page(
            step=SyncScope.ACCOUNTS, progress=Decimal(1), cursor="end", accounts_complete=True
        )

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}


async def completing(said: Mapping[str, str]) -> None:
    """Until the code is exchanged; then says so, and waits to be killed."""
    url = said["url"]
    database = Database(name="", app_url=url, owner_url=url, superuser_url=url)
    at = datetime.fromisoformat(said["at"])

    async def hang() -> None:
        sys.stdout.write("exchanged\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    async with wire(settings_of(database, Path(said["data_dir"]))) as wired:
        app = replace(wired.app, now=lambda: at, providers=known(Consenting(before=hang)))
        actor = Actor(
            user_id=UserId(UUID(said["user"])),
            role=Role.USER,
            session_id=SessionId(UUID(said["session"])),
        )
        answer = Answer.of(said["state"], code="c0de", iss=None, error=None)
        cmd = CompleteAuthorization(actor=actor, answer=answer, provider_slug=None, at=at)
        await complete_authorization(app, cmd)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    asyncio.run(completing(json.loads(sys.stdin.readline())))
