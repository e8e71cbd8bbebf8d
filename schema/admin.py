"""What administrators see and do: people, never what is theirs; the queue; the audit log."""

from datetime import datetime
from typing import Any

import strawberry

import domain.audit
import domain.identity
import domain.jobs
import schema.identity  # noqa: F401 - there Role is made an enum
from domain.commands import people as commands
from domain.identity import Permission, Person, Role, UserId
from domain.queries import admin as queries
from domain.queries import identity
from domain.queries.pages import Page
from schema import ids, paging
from schema.audit import AuditEntryConnection, AuditIntegrity, entries, integrity
from schema.context import Context, Info
from schema.errors import UserError
from schema.fields import NOT_GIVEN, After, First, described, field, given, query
from schema.ids import Node, describes
from schema.paging import Edge, PageInfo
from schema.payloads import Payload, mutation
from schema.rotation import SecurityConfig


@strawberry.type(
    description="What an administrator sees of a person: never their money, tokens or sessions."
)
class User(Node):
    is_type_of = describes(Person)

    email: str
    email_verified: bool
    role: Role
    created_at: datetime
    last_sign_in_at: datetime | None


@strawberry.type(description="A person and their place in a list.")
class UserEdge:
    cursor: str
    node: User


@strawberry.type(description="A page of people, by address.")
class UserConnection:
    nodes: list[User]

    @field(list[UserEdge])
    def edges(self: Any) -> list[Edge[Person]]:
        return paging.edges(self, _cursor)

    @field(PageInfo)
    def page_info(self: Any) -> PageInfo:
        return paging.page_info(self, _cursor)


def _cursor(person: Person) -> str:
    return paging.encoded("users", person.email)


@strawberry.type(description="How background work gets on.")
class JobsStatus:
    healthy: bool = described("Nothing that is due has waited for a minute with nobody at work.")
    queued: int = described("Those that wait to be tried again are among them.")
    running: int
    failed_last_day: int = described("What ended for good, by a fault of ours.")
    oldest_queued_seconds: int | None = described("Since when the oldest could have begun.")


@strawberry.type(description="The installation, for those who run it.")
class Admin:
    @field(UserConnection, "Everyone, by address; `search` is a part of it, in any case.")
    async def users(
        self,
        info: Info,
        search: str | None = NOT_GIVEN,
        first: First = 50,
        after: After = NOT_GIVEN,
    ) -> Page[Person]:
        context, limit = info.context, paging.limit(first)
        begin = paging.decoded(after, "users", 1)[0] if isinstance(after, str) else None
        found = await queries.people(context.reads, given(search), limit=limit, after=begin)
        return context.paid(found)

    @field(SecurityConfig)
    async def security_config(self, info: Info) -> domain.identity.SecurityConfig:
        return await identity.security_config(info.context.reads)

    @field(
        AuditEntryConnection,
        "The newest first; of one person or one action, where they are given.",
    )
    async def audit(
        self,
        info: Info,
        user_id: strawberry.ID | None = NOT_GIVEN,
        action: str | None = NOT_GIVEN,
        first: First = 100,
        after: After = NOT_GIVEN,
    ) -> Page[domain.audit.AuditEntry]:
        return await entries(info.context, given(user_id), given(action), first, after)

    @field(AuditIntegrity)
    async def audit_integrity(self, info: Info) -> AuditIntegrity:
        return await integrity(info.context)

    @field(JobsStatus)
    async def jobs(self, info: Info) -> domain.jobs.JobsStatus:
        return await queries.jobs(info.context.reads)


@strawberry.input(description="Whose role it is to be.")
class SetRoleInput:
    user_id: strawberry.ID
    role: Role


@strawberry.type(description="The answer of `setRole`.")
class SetRolePayload:
    user: User | None
    errors: list[UserError]


@strawberry.type
class AdminQuery:
    @query(
        Admin | None,
        "The installation: null, with a NOT_PERMITTED error, for all but administrators.",
        permits=Permission.READ_ADMIN,
    )
    async def admin(self, info: Info) -> Admin:
        return Admin()


@strawberry.type
class AdminMutation:
    @mutation(
        SetRolePayload,
        "Give somebody a role, which counts at once. The last administrator stays one.",
        runs=commands.set_role,
        id_at=("input", "userId"),
    )
    async def set_role(self, info: Info, input: SetRoleInput) -> Payload:
        context, id = info.context, named(input.user_id)
        cmd = commands.SetRole(actor=context.actor, user_id=id, role=input.role, at=context.now)
        await commands.set_role(context.app, cmd)
        return Payload(user=await person(context, id))


def named(id: str) -> UserId:
    return UserId(ids.key("User", id) or ids.ABSENT)


async def person(context: Context, id: UserId) -> Person | None:
    return (await queries.people_by_id(context.reads, [id]))[0]
