"""All of an account's transactions within some time, in answers of at most a year and 3,000 rows.

oldest first ──> an answer that is full is asked for again in halves, down to a day, and of a day
type by type ──> what is over 3,000 even so cannot be had, and is told
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.providers.schwab.activities import TYPES
from adapters.providers.schwab.trader import WINDOW_MAX, NotAccepted, Trader, Window
from domain.errors import CredentialsRejected, ErrorCode, ProviderUnavailable


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer's rows; `cut` where there were more of some type on that day, `refused` where it is
    further back than Schwab remembers."""

    rows: list[object]
    cut: bool = False
    refused: bool = False


class Windows:
    """From `begins` until `ends`. `each_type` as in Place: some logins are answered nothing where
    several types are asked for in one call.
    """

    def __init__(
        self, trader: Trader, begins: datetime, ends: datetime, *, each_type: bool | None
    ) -> None:
        self.begins, self.ends = begins, ends
        self.each_type = each_type
        self._trader = trader
        self._kept: dict[tuple[str, Window], list[object]] = {}

    async def learn(self, accounts: Sequence[str]) -> None:
        """Find out `each_type`, by the newest time: it is, if only single types bring anything."""
        if self.each_type is not None or self.begins >= self.ends:
            return
        newest = self.at(min(self.begins, self.ends), ())
        while newest.ends < self.ends:
            newest = self.at(newest.ends, ())
        for account in accounts:
            rows = await self._tried(account, newest, TYPES)
            if rows is not None and len(rows) < self._trader.rows_max:
                self._kept[account, newest] = rows  # until its turn, rather than asked for twice
            if rows:
                self.each_type = False
                return
        for account in accounts:
            for type in TYPES:
                if await self._tried(account, newest, (type,)):
                    self.each_type = True
                    self._kept.clear()
                    return
        self.each_type = False

    def at(self, begins: datetime, cuts: Sequence[datetime]) -> Window:
        """The window that begins here, of which `cuts` are the ends of it and those after it."""
        return Window(begins, cuts[0] if cuts else min(begins + WINDOW_MAX, self.ends))

    async def read(self, account: str, window: Window, *, is_first: bool) -> Rows | None:
        """None where it has to be cut. `is_first`: nothing was answered for this account yet, and
        what is refused then is further back than Schwab remembers.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        if (kept := self._kept.pop((account, window), None)) is not None:
            return Rows(kept)
        try:
            if not self.each_type:
                rows = await self._trader.transactions(account, window)
                if len(rows) < self._trader.rows_max:
                    return Rows(rows)
                if not window.is_a_day:
                    return None
            return await self._by_type(account, window)
        except NotAccepted as refusal:
            if is_first and refusal.status == 400 and window.ends < self.ends:
                return Rows([], refused=True)
            raise

    async def _by_type(self, account: str, window: Window) -> Rows | None:
        found: list[object] = []
        cut = False
        for type in TYPES:
            rows = await self._trader.transactions(account, window, (type,))
            if len(rows) >= self._trader.rows_max:
                if not window.is_a_day:
                    return None
                cut = True
            found += rows
        return Rows(found, cut)

    async def _tried(
        self, account: str, window: Window, types: Sequence[str]
    ) -> list[object] | None:
        """None of an account that cannot be read, which is told when it is its turn."""
        try:
            return await self._trader.transactions(account, window, types)
        except ProviderUnavailable as refusal:
            if not refusal.asked:
                raise
        except CredentialsRejected as refusal:
            if refusal.code is ErrorCode.AUTHORIZATION_EXPIRED:
                raise
        return None
