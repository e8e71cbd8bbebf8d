"""One's own sessions, and ending them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry

import domain.identity
from domain.commands import sessions
from domain.identity import OwnSession, SessionId
from domain.queries import identity as queries
from schema import ids
from schema.context import Context, Info
from schema.errors import UserError
from schema.fields import described, field
from schema.ids import Node, describes
from schema.payloads import Payload, mutation


@strawberry.type(description="A sign-in that goes on.")
class Session(Node):
    is_type_of = describes(OwnSession)

    device: str | None = described("Such as Chrome on macOS, by what the client calls itself.")
    location: str | None = described("Of the last use: a city and its country, or the country.")
    ip_address: str | None = described("Of the last use.")
    created_at: datetime
    last_used_at: datetime = described("To the hour.")
    expires_at: datetime = described("Unless it is used until then.")
    providers_accessed: list[str] = described(
        "The slugs of those that were connected, synced or imported from in it."
    )

    @field(bool, "Whether it is the one that you ask in.")
    def current(self: Any, info: Info) -> bool:
        viewer = info.context.viewer
        return viewer is not None and bool(viewer.session_id == self.id)


async def sessions_of_viewers(
    context: Context, viewers: Sequence[domain.identity.User]
) -> Sequence[Sequence[OwnSession]]:
    """Where you are signed in, the last used first."""
    found = await queries.sessions(context.reads)
    return [found for _ in viewers]


@strawberry.type(description="The answer of `revokeSession`.")
class RevokeSessionPayload:
    revoked_id: strawberry.ID | None
    errors: list[UserError]


@strawberry.type(description="The answer of `revokeOtherSessions`.")
class RevokeOtherSessionsPayload:
    revoked_count: int
    errors: list[UserError]


@strawberry.type
class SessionMutation:
    @mutation(
        RevokeSessionPayload,
        "End one of your sessions, its subscriptions too; this one, as signing out does. Stands "
        "alone in its operation.",
        runs=sessions.revoke_session,
        id_at=("id",),
    )
    async def revoke_session(self, info: Info, id: strawberry.ID) -> Payload:
        context, key = info.context, SessionId(ids.key("Session", id) or ids.ABSENT)
        cmd = sessions.RevokeSession(actor=context.actor, session_id=key, at=context.now)
        await sessions.revoke_session(context.app, cmd)
        context.clear_cookie = key == context.actor.session_id
        return Payload(revoked_id=id)

    @mutation(
        RevokeOtherSessionsPayload,
        "End all of your sessions but this one. Stands alone in its operation.",
        runs=sessions.revoke_other_sessions,
    )
    async def revoke_other_sessions(self, info: Info) -> Payload:
        context = info.context
        cmd = sessions.RevokeOtherSessions(actor=context.actor, at=context.now)
        return Payload(revoked_count=await sessions.revoke_other_sessions(context.app, cmd))
