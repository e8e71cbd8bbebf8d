"""How providers reach the world: what all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet, WeakValueDictionary

import httpx2

from adapters.providers.kit.answers import Explain
from adapters.providers.kit.egress import Egress
from adapters.providers.kit.host import Host
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
    transport: httpx2.AsyncBaseTransport | None = None
    """Instead of sockets: a server in this process."""
    _hosts: WeakValueDictionary[tuple[str, str], Host] = field(
        default_factory=WeakValueDictionary, init=False, repr=False, compare=False
    )
    _made: WeakSet[Http] = field(default_factory=WeakSet, init=False, repr=False, compare=False)

    async def aclose(self) -> None:
        """Close the connections to all hosts."""
        for http in list(self._made):
            await http.aclose()

    def http(
        self,
        provider: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        allowances: Sequence[Allowance] = (),
        explain: Explain | None = None,
        reset_header: str | None = None,
        alone: bool = False,
    ) -> Http:
        """One host of a provider; several to the same are well, or not, together.

        Each attempt of a call is counted against all of `allowances`, under its `budget_key`.
        `reset_header` as in answers.Reading. `alone`: a user says what is asked, which must not
        make the host look ill to others, nor take their places.

        Raises Blocked for a URL that may not be reached.
        """
        of = (provider, base_url.partition("//")[2].partition("/")[0])
        host = None if alone else self._hosts.get(of)
        if host is None and not alone:
            host = self._hosts[of] = Host(provider, policy.in_flight_max, self.timing)
        http = Http(
            provider,
            base_url,
            transport=self.transport,
            egress=Egress(private=self.private),
            headers=headers,
            policy=policy,
            host=host,
            timing=self.timing,
            budgets=self.budgets,
            allowances=allowances,
            explain=explain,
            reset_header=reset_header,
        )
        self._made.add(http)
        return http
