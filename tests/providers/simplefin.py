"""A SimpleFIN server, and us as its client."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from adapters.providers.configuration import Configuration
from adapters.providers.simplefin import SimpleFin
from domain.providers import Allowance, Budgets
from domain.sync import Page, PullRequest
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from tests.providers.conformance import ALL, AT
from tests.providers.fakes import Clock
from tests.providers.simulators.simplefin import SimpleFinServer, household


class Roomy:
    """Budgets for tests of something else."""

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        return None


def a_provider(
    sim: SimpleFinServer,
    *,
    clock: Clock | None = None,
    days: int = 60,
    roomy: bool = False,
    budgets: Budgets | None = None,
) -> SimpleFin:
    outside = sim.inside(clock or Clock())
    if roomy or budgets:
        outside = replace(outside, budgets=budgets or Roomy())
    configuration = Configuration(simplefin_hosts=(sim.host,), simplefin_window_days=days)
    return SimpleFin(outside, configuration)


def a_server(**said: object) -> SimpleFinServer:
    given = {"held": household(AT), "now": lambda: AT, **said}
    return SimpleFinServer(**given)  # type: ignore[arg-type]


def a_request(sim: SimpleFinServer, **said: object) -> PullRequest:
    given = {"credentials": sim.credentials(), "scopes": ALL, "at": AT, **said}
    return PullRequest(**given)  # type: ignore[arg-type]


def rows(pages: Sequence[Page]) -> dict[str, tuple[date, Decimal, S, TransactionStatus]]:
    return {
        t.key: (t.date, t.amount.amount, t.subtype, t.status)
        for page in pages
        for t in page.transactions
    }


def failures(pages: Sequence[Page]) -> dict[str, str]:
    return {key: reason for page in pages for key, reason in page.failed.items()}
