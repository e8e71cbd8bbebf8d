"""How providers reach the world: what all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.providers.kit.answers import Explain
from adapters.providers.kit.http import Http, Policy
from adapters.providers.kit.timing import Timing
from domain.providers import Allowance, Budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """`private` are hosts with their ports, as "127.0.0.1:8080", that may be reached by plain http
    and at addresses of their own net: an operator's own, in development.
    """

    budgets: Budgets
    timing: Timing = Timing()  # noqa: RUF009 - frozen
    private: frozenset[str] = frozenset()

    def http(
        self,
        provider: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        allowances: Sequence[Allowance] = (),
        explain: Explain | None = None,
    ) -> Http:
        """One host of a provider. Each call is counted against all of `allowances`, under its
        `budget_key`."""
        return Http(
            provider,
            base_url,
            headers=headers,
            policy=policy,
            timing=self.timing,
            explain=explain,
        )
