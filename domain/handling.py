"""`@command`: the one choke point of everything that changes something."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from domain.errors import DomainError, NotPermitted
from domain.identity import Permission
from domain.ports import App, Attempt, Command

C = TypeVar("C", bound=Command)
R = TypeVar("R")
Handler = Callable[[App, C], Awaitable[R]]


def command(
    action: str, *, permits: Permission | None, limited: Handler[Any, None] | None = None
) -> Callable[[Handler[C, R]], Handler[C, R]]:
    """ATTEMPTED commits first, SUCCEEDED with the change, FAILED on its own afterwards.

    `permits` is None for what anyone may try, signed in or not. What `limited` refuses leaves no
    entry: nobody fills the audit log of another, or the disk.
    """

    def decorate(handler: Handler[C, R]) -> Handler[C, R]:
        @wraps(handler)
        async def run(app: App, cmd: C) -> R:
            with app.observe(action, cmd) as seen:
                result = await attempted(app, cmd)
                seen(result)
            return result

        async def attempted(app: App, cmd: C) -> R:
            if limited is not None:
                await limited(app, cmd)
            attempt = Attempt(action, cmd.actor, cmd.at, resource=_resource(cmd))
            await app.store.audit(attempt, "ATTEMPTED")
            try:
                _permit(app, cmd, permits)
                result = await handler(app.during(attempt), cmd)
            except BaseException as error:  # a cancelled command has failed too
                if not attempt.settled:
                    await asyncio.shield(
                        app.store.audit(attempt, "FAILED", _reason(error, attempt))
                    )
                raise
            if not attempt.settled:  # the handler found nothing to change
                await app.store.audit(attempt, "SUCCEEDED")
            return result

        return run

    return decorate


def _permit(app: App, cmd: Command, permits: Permission | None) -> None:
    if permits is not None and not app.policy.allows(cmd.actor.role, permits):
        raise NotPermitted("your role does not allow this")


def _resource(cmd: Command) -> str | None:
    """What the command is about, by the first id that it names."""
    for name in ("link_id", "run_id", "account_id", "transaction_id", "provider_slug"):
        if (value := getattr(cmd, name, None)) is not None:
            return f"{name.removesuffix('_id').removesuffix('_slug')}:{value}"
    return None


def _reason(error: BaseException, attempt: Attempt) -> str:
    """A refusal's code, or what an exception that is no bug says as its `audit_detail`."""
    if attempt.unsure:  # then a SUCCEEDED beside this FAILED is what holds
        return "UNKNOWN"
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    if isinstance(error, DomainError):
        return error.code.value
    return getattr(error, "audit_detail", "INTERNAL")
