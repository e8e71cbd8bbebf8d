"""The repositories of people and of what they sign in with."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.identity import SecurityConfig, Session, SessionId, TotpSecret, User
from domain.mail import EmailToken, Purpose


class Users(Protocol):
    async def get(self, *, lock: bool = False) -> User:
        """The one whose identity this unit of work has. Raises NotFound."""

    async def add(self, user: User, password_hash: str) -> None:
        """Raises Conflict where the address is taken."""

    async def save(self, user: User) -> None: ...
    async def password_hash(self) -> str: ...
    async def save_password(self, password_hash: str, *, was: str) -> None:
        """The same password in another form; nothing, where it is another by now than it `was`."""

    async def replace_password(self, password_hash: str) -> None:
        """Another password, with which no device is known any more."""

    async def is_last_administrator(self) -> bool:
        """Whether no other has a verified address; none can be made or lost until this commits."""

    async def delete(self) -> None:
        """With every row that is theirs and every job that waits; their audit entries stay."""


class Sessions(Protocol):
    async def get(self, id: SessionId, *, lock: bool = False) -> Session | None: ...
    async def live(self, at: datetime, *, lock: bool = False) -> Sequence[Session]:
        """Neither ended nor expired, the one used longest ago first; a rotation may have overtaken
        them."""

    async def add(self, session: Session) -> None: ...
    async def save(self, session: Session) -> None: ...
    async def renew(self, session: Session) -> None:
        """With another secret; every process is told as this commits."""

    async def end(self, ids: Sequence[SessionId], at: datetime) -> None:
        """Every process is told as this commits."""

    async def note_provider(self, id: SessionId, slug: str) -> None:
        """That the session had to do with this provider; once is enough."""

    async def spend(self, id: SessionId, digest: bytes, at: datetime) -> None:
        """This refresh token was exchanged. It is known for as long as it could have been used."""

    async def spent_at(self, id: SessionId, digest: bytes) -> datetime | None: ...


class Rotation(Protocol):
    async def get(self) -> SecurityConfig: ...
    async def rotate(self, *, reason: str, grace_s: int, at: datetime) -> SecurityConfig:
        """Begin the next generation; every process is told as this commits."""


class SecondFactors(Protocol):
    """Of which the user's row says whether they are asked for; it is locked before they are."""

    async def secret(self) -> TotpSecret | None: ...
    async def save_secret(self, seal: Callable[[int], bytes]) -> None:
        """`seal` is given its version, which no secret of the user had before, nor has again."""

    async def use_step(self, step: int) -> None: ...
    async def replace_codes(self, digests: Sequence[bytes]) -> None: ...
    async def spend_code(self, digest: bytes) -> bool:
        """Whether there was such a recovery code; there is none any more."""

    async def forget(self) -> None: ...


class EmailTokens(Protocol):
    async def by_digest(self, digest: bytes) -> EmailToken | None: ...
    async def has(self, id: UUID) -> bool: ...
    async def add(self, token: EmailToken) -> None: ...
    async def use(self, id: UUID, at: datetime) -> None:
        """It was used at `at`; its password hash goes."""

    async def forget(self, purpose: Purpose, *, but: UUID | None = None) -> None:
        """All of this purpose, which are then as if they had never been."""
