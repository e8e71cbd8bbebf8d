"""`@command`: the one choke point of everything that changes something."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from domain.audit import Attempt, AuditOutcome, Command, about
from domain.cancellation import to_its_end
from domain.errors import DomainError, NotPermitted, RateLimited, Unavailable
from domain.identity import Actor, Permission, UserId
from domain.limits import Limit
from domain.ports import App

C = TypeVar("C", bound=Command)
R = TypeVar("R")
Handler = Callable[[App, C], Awaitable[R]]
C_contra = TypeVar("C_contra", bound=Command, contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Handled(Protocol[C_contra, R_co]):
    """What `@command` makes of a handler; `action` is its name in the audit log."""

    action: str
    permits: Permission | None

    def __call__(self, app: App, cmd: C_contra, /) -> Awaitable[R_co]: ...


# By which of its ids a command says what it is about, the narrowest first.
RESOURCES = (
    *("link_id", "run_id", "account_id", "transaction_id", "session_id", "user_id"),
    "provider_slug",
)


def command(
    action: str, *, permits: Permission | None, limited: Handler[Any, None] | None = None
) -> Callable[[Handler[C, R]], Handled[C, R]]:
    """ATTEMPTED commits first, SUCCEEDED with the change, FAILED on its own afterwards.

    Whatever ends it, there is one outcome; none where the process was killed or the database is
    away, and an ATTEMPTED alone says that nobody saw the end. `permits` is None for what anyone
    may try, signed in or not. What `limited` refuses leaves an entry once a key and period: nobody
    fills the audit log of another, or the disk.
    """

    def decorate(handler: Handler[C, R]) -> Handled[C, R]:
        @wraps(handler)
        async def run(app: App, cmd: C) -> R:
            with app.observe(action, cmd) as seen:
                result = await attempted(app, cmd)
                seen(result)
            return result

        async def attempted(app: App, cmd: C) -> R:
            attempt = Attempt(
                action,
                cmd.actor,
                cmd.at,
                resource=_resource(app, cmd),
                about=_about(app, cmd, permits),
                clock=app.now,
            )
            if limited is not None:
                try:
                    await limited(app, cmd)
                except RateLimited as refusal:
                    await _note_first(app, attempt, refusal)
                    raise
            try:
                await to_its_end(_note(app, attempt, AuditOutcome.ATTEMPTED))
                permit(app, cmd.actor, permits)
                result = await handler(app.during(attempt), cmd)
                if not attempt.settled:  # the handler found nothing to change
                    await to_its_end(_note(app, attempt, AuditOutcome.SUCCEEDED))
            except BaseException as error:  # a cancelled command has failed too
                if attempt.begun and not attempt.settled:
                    await to_its_end(_note(app, attempt, AuditOutcome.FAILED, _reason(error)))
                raise
            return result

        handled = cast("Handled[C, R]", run)
        handled.action, handled.permits = action, permits
        return handled

    return decorate


def permit(app: App, actor: Actor, permits: Permission | None) -> None:
    """Raises NotPermitted. None permits anyone."""
    if permits is not None and not app.policy.allows(actor.role, permits):
        raise NotPermitted("your role does not allow this")


def _about(app: App, cmd: Command, permits: Permission | None) -> UserId:
    """Whoever may not do it is on record with themselves: nobody writes into another's log."""
    may = permits is None or app.policy.allows(cmd.actor.role, permits)
    return about(cmd) if may else cmd.actor.user_id


async def _note_first(app: App, attempt: Attempt, refusal: RateLimited) -> None:
    """The first refusal of what is limited, in each of its periods: the limiter itself counts."""
    if refusal.key is None:
        return
    once = Limit(name="unrecorded", burst=1, per_seconds=refusal.per_seconds)
    try:
        verdict = await app.limits.take(f"refused:{refusal.key}", once)
    except Unavailable:  # nobody can tell whether it is the first
        return
    if verdict.allowed:
        await _note(app, attempt, AuditOutcome.ATTEMPTED)
        await _note(app, attempt, AuditOutcome.FAILED, refusal.code.value)


async def _note(
    app: App, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
) -> None:
    await app.store.audit(attempt, outcome, detail)
    attempt.begun, attempt.settled = True, outcome is not AuditOutcome.ATTEMPTED


def _resource(app: App, cmd: Command) -> str | None:
    """What the command is about, by the first id that it names.

    A provider that there is not is any text: it is not written down, since it may be a secret that
    went into the wrong field.
    """
    for name in RESOURCES:
        if (value := getattr(cmd, name, None)) is not None:
            if name == "provider_slug" and value not in app.providers:
                return "provider:unknown"
            return f"{name.removesuffix('_id').removesuffix('_slug')}:{value}"
    return None


def _reason(error: BaseException) -> str:
    """A refusal's code, or what an exception that is no bug says as its `audit_detail`."""
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    if isinstance(error, DomainError):
        return error.code.value
    return getattr(error, "audit_detail", "INTERNAL")
