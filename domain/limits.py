"""How often something may be done: limits, their figures, and whoever counts."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`burst` units at once, refilled evenly within `per_seconds`.

    `debt` is how many may be owed beyond that, of what is known only once it is done.
    `shared_only`: nobody may pass while the limiter that all processes share is away; otherwise
    each process then goes on with a share of its own.
    """

    name: str
    burst: int
    per_seconds: int
    debt: int = 0
    shared_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`next_s` is when there is a unit more than `remaining`, 0 where there cannot be; `reset_s`
    when all are there again. `is_apart`: this process alone has counted it, since the limiter that
    all share is away.
    """

    allowed: bool
    remaining: int
    retry_after_s: Decimal
    next_s: Decimal
    reset_s: Decimal
    is_apart: bool = False


class Limiter(Protocol):
    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Take `cost` units, or none of them; a cost of 0 only looks.

        Raises Unavailable where nobody can tell.
        """

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        """It came to so many units more than were taken, or where negative to fewer: they are
        taken even where they are not there, up to the limit's debt, and given back up to its
        burst. `taken` is what was said as they were taken: they go back to where they are from.

        Raises Unavailable where nobody can tell.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How often each may be tried; `gateway.settings.LimitFigures` has the settings.

    Refreshing goes on without the shared limiter: nobody guesses a token of 256 bits, and within 15
    minutes everybody would be signed out.
    """

    points: Limit = Limit(name="points", burst=100_000, per_seconds=60, debt=100_000)
    sign_in_account: Limit = Limit(
        name="sign-in-account", burst=10, per_seconds=900, shared_only=True
    )
    sign_in_device: Limit = Limit(
        name="sign-in-device", burst=10, per_seconds=900, shared_only=True
    )
    sign_in_address: Limit = Limit(
        name="sign-in-address", burst=100, per_seconds=900, shared_only=True
    )
    register: Limit = Limit(name="register", burst=10, per_seconds=3_600, shared_only=True)
    verify: Limit = Limit(name="verify", burst=10, per_seconds=3_600, shared_only=True)
    reset: Limit = Limit(name="reset", burst=10, per_seconds=3_600, shared_only=True)
    reset_account: Limit = Limit(name="reset-account", burst=3, per_seconds=3_600, shared_only=True)
    refresh: Limit = Limit(name="refresh", burst=60, per_seconds=60)
    connect: Limit = Limit(name="connect", burst=10, per_seconds=60, shared_only=True)
    sync: Limit = Limit(name="sync", burst=30, per_seconds=60)
    webhook: Limit = Limit(name="webhook", burst=1_200, per_seconds=60)
    callback: Limit = Limit(name="callback", burst=120, per_seconds=60)
