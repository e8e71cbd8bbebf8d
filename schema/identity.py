"""The viewer, their settings, and their leaving."""

from datetime import datetime

import strawberry

import domain.identity
from domain.commands import deleting
from domain.commands import settings as commands
from domain.identity import Permission, Role
from domain.money import Currency
from domain.queries import identity as queries
from domain.secret import Secret
from schema.audit import AuditEntryConnection, activity_of_viewers
from schema.context import Info
from schema.edges import edge
from schema.errors import UserError
from schema.fields import described, optional, query, said
from schema.ids import Node, describes
from schema.payloads import Payload, mutation
from schema.sessions import Session, sessions_of_viewers

STANDS_ALONE = frozenset(
    {
        *("register", "verifyEmail", "signIn", "refreshSession", "signOut"),
        *("requestPasswordReset", "resetPassword", "changePassword"),
        *("enableTotp", "confirmTotp", "disableTotp"),
        *("revokeSession", "revokeOtherSessions", "deleteViewer"),
    }
)
"""The identity mutations: no other root field beside them, and no alias."""

strawberry.enum(Role, description="What a person may do. READONLY: read, and their own identity.")


@strawberry.type(description="You.")
class Viewer(Node):
    is_type_of = describes(domain.identity.User)

    email: str
    email_verified: bool
    role: Role
    created_at: datetime
    base_currency: Currency = described("What net worth is shown in by default.")
    time_zone: str = described("An IANA name: the days of a history are days of it.")
    session_limit: int | None = described(
        "How many sessions may be open at once; null for the default."
    )
    totp_enabled: bool = described("Whether signing in takes a second factor.")
    sessions: list[Session] = edge(sessions_of_viewers, of=list[Session])
    activity: AuditEntryConnection = edge(activity_of_viewers, of=AuditEntryConnection)


@strawberry.input(description="What is left out stays as it is.")
class UpdateSettingsInput:
    base_currency: Currency | None = optional()
    time_zone: str | None = optional("An IANA name, such as Europe/Berlin.")
    session_limit: int | None = optional("1 to 100; null for the default.")


@strawberry.type(description="The answer of `updateSettings`.")
class UpdateSettingsPayload:
    viewer: Viewer | None
    errors: list[UserError]


@strawberry.type(description="The answer of `deleteViewer`.")
class DeleteViewerPayload:
    deleted: bool
    errors: list[UserError]


@strawberry.type
class IdentityQuery:
    @query(Viewer, "You.", permits=Permission.READ_SETTINGS)
    async def viewer(self, info: Info) -> domain.identity.User:
        return await queries.viewer(info.context.reads)


@strawberry.type
class IdentityMutation:
    @mutation(UpdateSettingsPayload, "Change your settings.", runs=commands.update_settings)
    async def update_settings(self, info: Info, input: UpdateSettingsInput) -> Payload:
        context = info.context
        cmd = commands.UpdateSettings(
            actor=context.actor,
            base_currency=said(input.base_currency),
            time_zone=said(input.time_zone),
            session_limit=said(input.session_limit),
            at=context.now,
        )
        await commands.update_settings(context.app, cmd)
        return Payload(viewer=await queries.viewer(context.reads))

    @mutation(
        DeleteViewerPayload,
        "Delete your account and everything in it, for good. Stands alone in its operation.",
        runs=deleting.delete_viewer,
    )
    async def delete_viewer(self, info: Info, password: str) -> Payload:
        context = info.context
        cmd = deleting.DeleteViewer(actor=context.actor, password=Secret(password), at=context.now)
        await deleting.delete_viewer(context.app, cmd)
        context.clear_cookie = True
        return Payload(deleted=True)
