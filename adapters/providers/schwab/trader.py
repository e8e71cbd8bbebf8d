"""Asking Schwab's Trader API, as its description has it.

In a path an account is called by its hash, never by its number. Transactions need a beginning, an
end and types; a year and 3,000 rows are the most of one answer, which has no second page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from adapters.providers.kit import (
    Fault,
    Http,
    Malformed,
    Policy,
    as_record,
    key,
    list_of,
    record_of,
    text,
)
from adapters.providers.kit.faults import Said
from adapters.providers.schwab.activities import TYPES
from domain.errors import DomainError, ProviderUnavailable
from domain.providers import Allowance

SLUG = "schwab"
BASE = "/trader/v1"
ROWS_MAX = 3_000
WINDOW_MAX = timedelta(days=365)
TICK = timedelta(milliseconds=1)
PULL_S = 900.0  # for those who have to ask for each type by itself
PACE_S_MAX = 70.0  # for our own allowance; it is by the minute

ALLOWANCE = Allowance(name="minute", calls=120, per=timedelta(minutes=1))  # as users report it
POLICY = Policy(pull_s=PULL_S, pace_s_max=PACE_S_MAX)
PATIENCE = replace(POLICY, tries_max=2, wait_s_max=2.0)  # for what a pull can do without

FAULTS = {401: Fault.EXPIRED, 403: Fault.FORBIDDEN}  # that it is another of our errors says 400


class NotAccepted(ProviderUnavailable):
    """Schwab does not answer this question; another one it may."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"Charles Schwab did not accept what we asked (HTTP {status})", provider=SLUG
        )
        self.status = status


@dataclass(frozen=True, slots=True)
class Window:
    """From `begins` until just before `ends`."""

    begins: datetime
    ends: datetime

    @property
    def halves(self) -> tuple["Window", "Window"]:
        """At a midnight where there is one between."""
        middle = self.begins + (self.ends - self.begins) / 2
        midnight = middle.replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight <= self.begins:
            midnight += timedelta(days=1)
        return Window(self.begins, midnight), Window(midnight, self.ends)

    @property
    def is_a_day(self) -> bool:
        return self.ends - self.begins <= timedelta(days=1)


class Trader:
    """One login's questions. All raise CredentialsRejected, ProviderUnavailable."""

    def __init__(
        self,
        http: Http,
        preferences: Http,
        *,
        token: str,
        link: str,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.rows_max = rows_max
        self._http, self._preferences = http, preferences
        self._headers = {"authorization": f"Bearer {token}"}
        self._deadline = http.deadline()
        self._link = link

    @property
    def is_late(self) -> bool:
        """Whether there is no time left to ask anything."""
        return not self._deadline.left_s

    async def numbers(self) -> Mapping[str, str]:
        """The hash of each account number."""
        rows = list_of(await self._get("/accounts/accountNumbers"), SLUG)
        found = [pair for row in rows if (pair := _pair(row)) is not None]
        return dict(found)

    async def accounts(self) -> list[object]:
        return list_of(await self._get("/accounts", fields="positions"), SLUG)

    async def preferences(self) -> Mapping[str, object]:
        answer = await self._get("/userPreference", of=self._preferences)
        if isinstance(answer, list):  # as the description has it; a record is what comes
            answer = answer[0] if answer else {}
        return record_of(answer, SLUG)

    async def transactions(
        self, account: str, window: Window, types: Sequence[str] = TYPES
    ) -> list[object]:
        """At most `rows_max`: then there may be more."""
        answer = await self._get(
            f"/accounts/{quote(account, safe='')}/transactions",
            startDate=_instant(window.begins),
            endDate=_instant(window.ends - TICK),
            types=",".join(types),
        )
        return list_of(answer, SLUG)

    async def _get(self, path: str, *, of: Http | None = None, **params: str) -> object:
        return await (of or self._http).get(
            BASE + path,
            params=params or None,
            headers=self._headers,
            deadline=self._deadline,
            budget_key=self._link,
        )


def explain(status: int, body: object) -> Said | DomainError | None:
    """By the status: what Schwab says in `message` and `errors` is for programmers."""
    if status in (400, 404):
        return NotAccepted(status)
    if status == 403 and not isinstance(body, Mapping):  # a page of a gateway's
        return None
    fault = FAULTS.get(status)
    return None if fault is None else Said(fault)


def _pair(row: object) -> tuple[str, str] | None:
    """None for what cannot be read: then its account has no hash, which is told."""
    try:
        record = as_record(row, "the record")
        return text(record, "accountNumber"), key(record, "hashValue")
    except Malformed:
        return None


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
