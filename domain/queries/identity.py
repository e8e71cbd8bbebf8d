"""The viewer, and their sessions."""

from collections.abc import Sequence
from datetime import date, datetime

from domain.identity import OwnSession, SecurityConfig, SessionId, User, UserId
from domain.storage.reads import OwnedReads, Reads


async def viewer(reads: OwnedReads) -> User:
    return await reads.viewer()


async def users_by_id(reads: OwnedReads, ids: Sequence[UserId]) -> list[User | None]:
    """Only the viewer exists to themselves."""
    user = await reads.viewer()
    return [user if id == user.id else None for id in ids]


async def sessions(reads: Reads) -> Sequence[OwnSession]:
    """Those that go on, the last used first."""
    return await reads.sessions()


async def sessions_by_id(reads: Reads, ids: Sequence[SessionId]) -> list[OwnSession | None]:
    found = {session.id: session for session in await reads.sessions()}
    return [found.get(id) for id in ids]


async def security_config(reads: Reads) -> SecurityConfig:
    return await reads.security_config()


async def today(reads: OwnedReads, at: datetime) -> date:
    """The day that it is where the viewer lives."""
    return (await reads.viewer()).today(at)
