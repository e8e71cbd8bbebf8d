"""The viewer."""

from collections.abc import Sequence
from datetime import date, datetime

from domain.identity import User, UserId
from domain.storage.reads import Reads


async def viewer(reads: Reads) -> User:
    return await reads.viewer()


async def users_by_id(reads: Reads, ids: Sequence[UserId]) -> list[User | None]:
    """Only the viewer exists to themselves."""
    user = await reads.viewer()
    return [user if id == user.id else None for id in ids]


async def today(reads: Reads, at: datetime) -> date:
    """The day that it is where the viewer lives."""
    return at.astimezone((await reads.viewer()).zone).date()
