"""How sessions end: with their events, and with news that reaches every process at once.

Whoever ends a session does it here, in the unit of work of what is its reason: then its access and
refresh tokens, its cookie and its subscriptions are over wherever that commits, and nowhere if not.
"""

from collections.abc import Sequence
from datetime import datetime

from domain.events import Event, EventName
from domain.identity import Actor, SecurityConfig, Session, SessionId, User
from domain.storage.work import Work


async def end_sessions(
    work: Work, at: datetime, *, but: SessionId | None = None
) -> Sequence[Session]:
    """All of the user's, or all but this one."""
    ending = [session for session in await work.sessions.live(at, lock=True) if session.id != but]
    await end(work, ending, at)
    return ending


async def end_others(work: Work, actor: Actor, at: datetime) -> Sequence[Session]:
    """All but the one that the actor asks in."""
    return await end_sessions(work, at, but=actor.session_id)


async def end(work: Work, sessions: Sequence[Session], at: datetime) -> None:
    await work.sessions.end([session.id for session in sessions], at)
    for session in sessions:
        work.record(session_event(EventName.SESSION_REVOKED, session, at))


def goes_on(session: Session, user: User, config: SecurityConfig, at: datetime) -> bool:
    """That it is not over, and that no rotation has overtaken it."""
    return at < session.until(token_version=user.token_version, config=config)


def session_event(name: EventName, session: Session, at: datetime) -> Event:
    return Event(name=name, user_id=session.user_id, at=at, facts={"session": str(session.id)})
