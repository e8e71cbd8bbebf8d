"""Request budgets in this process: for tests, and for tools that ask no provider."""

from collections import deque
from datetime import datetime, timedelta

from domain.providers import Allowance


class MemoryBudgets:
    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], deque[datetime]] = {}

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        spent = self._spent.setdefault((key, allowance.name), deque())
        while spent and spent[0] <= at - allowance.per:
            spent.popleft()
        if len(spent) >= allowance.calls:
            return spent[0] + allowance.per - at
        spent.append(at)
        return None
