"""/transactions/sync: what has been added, modified and removed since a cursor, all of it or none.

The pages of one list belong together: Plaid lets it begin anew where something changes while it is
read, and what a page of the list before said may then never have been. So it is read to its end
before any of it is stored; each page in our terms at once, which take a quarter of the memory. A
killed pull goes on after its last stored page, with the cursor of that page. One that is stopped
before the end of the list reads it anew: nothing of it is known to be true by then.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from adapters.providers.kit import Deadline, Fault, Record, rows_of
from adapters.providers.plaid.api import SYNC, Api
from adapters.providers.plaid.faults import SLUG, Mutated
from domain.errors import ProviderUnavailable
from domain.sync import Page

COUNT = 500
LIST_PAGES_MAX = 400  # 200,000 updates: more than anybody has in two years
RESTARTS_MAX = 5
CURSOR_CHARS_MAX = 2_000
WAITS_S = (2.0, 5.0, 10.0, 15.0)  # for what a new Item does not have ready yet
NOT_READY, ALL_READY = "NOT_READY", "HISTORICAL_UPDATE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Update:
    """One page, and the cursor after it; `is_whole` once all of the past is ready at Plaid."""

    page: Page
    cursor: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """`restarted`: it is the list after the first cursor, read anew. `is_everything`: it begins
    with the oldest transaction that Plaid has, and so names all that there are."""

    updates: list[Update]
    restarted: bool
    is_everything: bool


class Updates:
    """`read` is how a page is read. `tells`: Plaid tells us by webhook once there is more."""

    def __init__(
        self,
        api: Api,
        *,
        token: str,
        item: str,
        deadline: Deadline,
        tells: bool,
        read: Callable[[Record], Page],
    ) -> None:
        self._api, self._token, self._item = api, token, item
        self._deadline, self._tells, self._read = deadline, tells, read

    async def since(self, cursor: str, *, first: str) -> Listed:
        """Every page after `cursor`, or where the list has changed meanwhile, after `first`.

        Raises CredentialsRejected, ProviderUnavailable: also where it is not ready, and nobody
        would tell us when it is.
        """
        restarted = False
        for _ in range(RESTARTS_MAX):
            try:
                found = [update async for update in self._pages(cursor)]
            except Mutated:
                cursor, restarted = first, True
                continue
            return Listed(found, restarted, not cursor and found[-1].is_whole)
        raise ProviderUnavailable(
            "Plaid changes a list faster than it can be read", provider=SLUG, retry_after_s=300
        )

    async def _pages(self, cursor: str) -> AsyncIterator[Update]:
        waits = list(WAITS_S)
        for _ in range(LIST_PAGES_MAX):
            page = await self._page(cursor)
            while not cursor and page.get("transactions_update_status") == NOT_READY:
                if self._tells:
                    break
                if not waits:
                    raise Fault.NOT_READY.refusal(SLUG, retry_after_s=300)
                await self._api.sleep(waits.pop(0))
                page = await self._page(cursor)
            following = page.get("next_cursor")
            has_more = page.get("has_more")
            if not isinstance(following, str) or not isinstance(has_more, bool):
                raise ProviderUnavailable("Plaid answered without a cursor", provider=SLUG)
            is_one = following.isascii() and following.isprintable()
            if (
                not is_one
                or len(following) > CURSOR_CHARS_MAX
                or (has_more and following == cursor)
            ):
                raise ProviderUnavailable("Plaid answered with no cursor", provider=SLUG)
            for name in ("added", "modified", "removed"):
                rows_of(page, name, SLUG)
            is_whole = page.get("transactions_update_status") == ALL_READY
            yield Update(self._read(page), following, is_whole)
            if not has_more:
                return
            cursor = following
        raise ProviderUnavailable("Plaid does not come to the end of a list", provider=SLUG)

    async def _page(self, cursor: str) -> Record:
        said: dict[str, object] = {"access_token": self._token, "count": COUNT}
        if cursor:
            said["cursor"] = cursor
        return await self._api.read(SYNC, item=self._item, deadline=self._deadline, **said)
