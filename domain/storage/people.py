"""The repositories of people and of what they sign in with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.identity import Session, SessionId, User


class Users(Protocol):
    async def get(self, *, lock: bool = False) -> User:
        """The one whose identity this unit of work has. Raises NotFound."""

    async def add(self, user: User, password_hash: str) -> None:
        """Raises Conflict where the address is taken."""

    async def save(self, user: User) -> None: ...
    async def save_password(self, password_hash: str, *, was: str) -> None:
        """Nothing, where meanwhile it is another than it `was`."""


class Sessions(Protocol):
    async def get(self, id: SessionId, *, lock: bool = False) -> Session | None: ...
    async def live(self, at: datetime, *, lock: bool = False) -> Sequence[Session]:
        """The one used longest ago first."""

    async def add(self, session: Session) -> None: ...
    async def save(self, session: Session) -> None: ...
    async def spend(self, id: SessionId, digest: bytes, at: datetime) -> None:
        """This refresh token was exchanged. It is known for as long as its session is kept."""

    async def spent_at(self, id: SessionId, digest: bytes) -> datetime | None: ...
