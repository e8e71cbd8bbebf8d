"""Mutations: their refusals are data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any

import strawberry

from domain.accounts import Account
from domain.errors import DomainError, NotFound, RateLimited
from domain.handling import Handled
from domain.identity import Person, SecurityConfig, User
from domain.imports import ImportPreview
from domain.links import Link
from domain.sync import SyncRun
from domain.transactions import Transaction
from schema.context import Info
from schema.errors import UserError, log, user_error
from schema.fields import RULE, Rule

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Any mutation's answer: what it is about, or why not. The payload types each show a part."""

    errors: Sequence[UserError] = ()
    viewer: User | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in_seconds: int | None = None
    signed_out: bool = False
    accepted: bool = False
    verified: bool = False
    reset: bool = False
    deleted: bool = False
    link: Link | None = None
    authorization_url: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    link_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    run: SyncRun | None = None
    runs: Sequence[SyncRun] = ()
    account: Account | None = None
    accounts: Sequence[Account] = ()
    transaction: Transaction | None = None
    deleted_id: strawberry.ID | None = None
    preview: ImportPreview | None = None
    changed: bool = False
    disabled: bool = False
    secret: str | None = field(default=None, repr=False)
    uri: str | None = field(default=None, repr=False)
    recovery_codes: Sequence[str] = field(default=(), repr=False)
    user: Person | None = None
    revoked_id: strawberry.ID | None = None
    revoked_count: int = 0
    security_config: SecurityConfig | None = None


def mutation(
    of: Any,
    description: str,
    *,
    runs: Handled[Any, Any],
    signed_out: bool = False,
    id_at: Path | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """A mutation whose refusals are data; bugs still fail, masked, at the top level.

    It begins without a snapshot, so that what it reads after its commit is read in a new one.
    `runs` is the command, which asks the policy. `signed_out`: it needs nobody to be signed in;
    then its command permits anyone. `id_at` is the path of the id that a NotFound
    without a path of its own is about.
    """

    rule = Rule(permits=runs.permits, signed_out=signed_out, command=runs.action)

    def decorate(resolver: Callable[..., Any]) -> Any:
        @wraps(resolver)
        async def run(self: Any, info: Info, **arguments: Any) -> Payload:
            context = info.context
            if not signed_out:
                _ = context.actor
            await context.renew()
            try:
                payload: Payload = await resolver(self, info, **arguments)
            except DomainError as refusal:
                if isinstance(refusal, NotFound) and refusal.field is None:
                    refusal.field = id_at
                if isinstance(refusal, RateLimited):  # which the audit log may not know of
                    log.warning("mutation.limited", operation=info.field_name)
                    context.limited = refusal
                payload = Payload(errors=[user_error(refusal, context.provider)])
            return payload

        return strawberry.mutation(
            resolver=run, graphql_type=of, description=description, metadata={RULE: rule}
        )

    return decorate
