"""What must be found before anyone is known: each door gives the least that its caller needs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.authorizations import Begun
from domain.identity import Role, SecurityConfig, Session, SessionId, User, UserId
from domain.links import LinkId
from domain.sync import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    user: User
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """`token_version` is the user's by now, and `config` everybody's."""

    session: Session
    role: Role
    token_version: int
    config: SecurityConfig = field(default_factory=SecurityConfig)

    @property
    def until(self) -> datetime:
        """When it is over, where nobody ends it."""
        return self.session.until(token_version=self.token_version, config=self.config)

    def admits(self, *, version: int, generation: int, at: datetime) -> bool:
        """Whether it goes on, and what was issued in it at these versions does."""
        is_good = version >= self.token_version and at < self.config.until(generation)
        return is_good and at < self.until


class Doors(Protocol):
    """All raise Unavailable while the database is away."""

    async def user_by_email(self, email: str) -> KnownUser | None: ...
    async def session_by_hash(self, digest: bytes) -> LiveSession | None:
        """By its cookie, or any refresh token that it ever had; ended ones too."""

    async def session_by_id(self, user_id: UserId, id: SessionId) -> LiveSession | None: ...
    async def user_by_email_token(self, digest: bytes) -> tuple[UserId, Role] | None:
        """By one that expired or was used, too."""

    async def clear_email_tokens(self, before: datetime, limit: int) -> int:
        """Delete those that expired before then; how many."""

    async def forget_unverified(self, before: datetime, limit: int) -> int:
        """Delete the accounts made before then whose address nobody confirmed, and to which no
        token leads any more; how many."""

    async def forget_sessions(self, limit: int) -> int:
        """Delete what has been over for so long that nobody asks for it any more: at most `limit`
        sessions, and of exchanged refresh tokens; of which there were more, how many."""

    async def authorization_by_state(
        self, digest: bytes, session_id: SessionId | None, at: datetime
    ) -> Begun | None:
        """One that is still under way, for who brings its state in this session, or in none."""

    async def lapsed_authorizations(self, at: datetime, limit: int) -> Sequence[UserId]:
        """Who has attempts whose time is over, or links that wait for one."""

    async def latest_events(self, whose: Collection[UserId]) -> Mapping[UserId, int]:
        """The place of each one's last event."""

    async def forget_events(self, limit: int) -> int:
        """Delete the oldest of those that are kept no longer; how many."""

    async def due_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]: ...
    async def expiring_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]:
        """Those that can be synced and whose end is so near that their owner is told, or come."""

    async def links_by_upstream(self, upstream: str) -> Sequence[tuple[UserId, LinkId]]:
        """Those that webhooks call so, by a digest, and that are not disconnected."""

    async def clear_webhook_receipts(self, before: datetime, limit: int) -> int:
        """Delete those that came before then; how many."""

    async def clear_idempotency_keys(self, before: datetime, limit: int) -> int:
        """Delete what is known of requests that were first made before then; how many."""

    async def stalled_runs(self, before: datetime, limit: int) -> Sequence[tuple[UserId, RunId]]:
        """Queued or running, not worked on since `before`, and without a job that will."""
