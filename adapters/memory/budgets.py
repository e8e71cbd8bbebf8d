"""Request budgets in this process, which count as those of PostgreSQL: for tests of providers."""

from collections import deque
from datetime import datetime, timedelta

from domain.providers import Allowance

KEYS_MAX = 10_000


class MemoryBudgets:
    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], deque[datetime]] = {}
        self._over: dict[tuple[str, str], datetime] = {}

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        of = (key, allowance.name)
        if of not in self._spent and len(self._spent) >= KEYS_MAX:
            self._forget(at)
        spent = self._spent.setdefault(of, deque())
        # Time does not go back here: one of a clock that is behind counts as of the last one.
        moment = max(at, spent[-1]) if spent else at
        while spent and spent[0] <= moment - allowance.per:
            spent.popleft()
        if len(spent) >= allowance.calls:
            return spent[len(spent) - allowance.calls] + allowance.per - at
        spent.append(moment)
        self._over[of] = moment + allowance.per
        return None

    def _forget(self, at: datetime) -> None:
        for of in [of for of in self._spent if self._over.get(of, at) <= at]:
            del self._spent[of]
            self._over.pop(of, None)
