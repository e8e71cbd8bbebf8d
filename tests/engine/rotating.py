"""A provider whose tokens end and rotate; its books are on disk and outlive whoever asks it.

An access token is good for half an hour, a refresh token once; with `grace`, or for a login that is
called so, the one before still gets the same answer, as FAPI wants it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.errors import CredentialsRejected, ErrorCode
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.sync import Login, Page, PullRequest, QuarantinedRow
from tests.engine.scripted import Script

LIFETIME = timedelta(minutes=30)
SLUG = "rotating"
INFO = ProviderInfo(
    slug=SLUG,
    name="Rotating",
    category=ProviderCategory.BROKERAGE,
    auth_methods=(AuthMethod.API_KEY,),
    capabilities=(Capability.ACCOUNTS, Capability.TRANSACTIONS),
    credential_fields=(CredentialField(name="login", label="Login", secret=False, required=True),),
)


async def _nobody_waits(_: str) -> None:
    pass


@dataclass(slots=True)
class Rotating:
    """`reached` is awaited at "renew.asked", "renew.rotated", "pull.asked" and "pull.page"."""

    folder: Path
    now: Callable[[], datetime]
    info: ProviderInfo = INFO
    grace: bool = False
    script: Script = field(default_factory=list)
    says: list[Exception] = field(default_factory=list)  # instead of the next renewals
    reached: Callable[[str], Awaitable[None]] = _nobody_waits
    expire_at: datetime | None = None
    asked: list[PullRequest] = field(default_factory=list)

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        login = credentials["login"]
        self._save(login, {"count": 0, "until": (at + LIFETIME).isoformat(), "presented": []})
        return self._login(login)

    async def renew(self, credentials: Mapping[str, str], at: datetime) -> Login:
        login, presented = credentials["login"], credentials["refresh"]
        await self.reached("renew.asked")
        if self.says:
            raise self.says.pop(0)
        books = self.books(login)
        books["presented"].append(presented)
        fits = presented == f"{login}-refresh-{books['count']}"
        grace = self.grace or login.startswith("grace")
        repeats = grace and presented == f"{login}-refresh-{books['count'] - 1}"
        if fits:
            books |= {"count": books["count"] + 1, "until": (at + LIFETIME).isoformat()}
        self._save(login, books)
        if not fits and not repeats:
            raise CredentialsRejected("no", provider=SLUG, code=ErrorCode.AUTHORIZATION_EXPIRED)
        answer = self._login(login)
        await self.reached("renew.rotated")
        return answer

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        self.asked.append(request)
        login = request.credentials["login"]
        await self.reached("pull.asked")
        for number in range(int(request.cursor or 0), len(self.script)):
            books = self.books(login)
            good = request.credentials["access"] == f"{login}-access-{books['count']}"
            if not good or self.now() >= datetime.fromisoformat(books["until"]):
                raise CredentialsRejected("401", provider=SLUG)
            said = self.script[number]
            if isinstance(said, Exception):
                raise said
            await self.reached("pull.page")
            yield replace(said, cursor=str(number + 1))

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}

    def books(self, login: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads((self.folder / f"{login}.json").read_text())
        return said

    def end_access(self, login: str) -> None:
        """Somebody at the institution ends all access tokens."""
        self._save(login, self.books(login) | {"until": self.now().isoformat()})

    def _save(self, login: str, books: Mapping[str, Any]) -> None:
        (self.folder / f"{login}.json").write_text(json.dumps(books))

    def _login(self, login: str) -> Login:
        books = self.books(login)
        kinds = ("access", "refresh")
        tokens = {kind: f"{login}-{kind}-{books['count']}" for kind in kinds}
        return Login(
            identity=login,
            credentials={"login": login, **tokens},
            institution="Rotating Bank",
            renew_at=datetime.fromisoformat(books["until"]),
            expire_at=self.expire_at,
        )
