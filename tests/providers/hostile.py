"""No answer of an upstream, however wrong, is more than a refusal, and no row of it is just lost.

A provider's test subclasses `Hostile` and says where its good answers come from.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import httpx2
from structlog.testing import capture_logs

from adapters.providers.kit import NotJson, decode
from domain.errors import DomainError
from domain.providers import Provider
from domain.sync import Page, PullRequest, SyncScope
from tests.providers.conformance import pulled, unstorable_numbers, unstorable_texts
from tests.providers.mutations import Hostility, chosen, mutations

ANSWERS_MIN = 300
PULL_S_MAX = 5.0
SHOWN_MAX = 10

Asked: TypeAlias = tuple[str, str, bytes]  # method, URL and content of a request


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """`good` answers well, in process: `httpx2.ASGITransport(app=simulator)`.

    `make` makes the provider anew, over the transport that it is given:
    `lambda transport: Acme(outside(Clock(), sim.host, transport=transport), ...)`.
    `rows` are where the rows are that become rows of ours, one each: for the end of a path the
    places of lists in its answer, such as {"/accounts": [("accounts",), ("accounts", "*",
    "transactions")], "/rows": [()]}; () is an answer that is a list itself, ("",) one that is a
    row. What is good has to have a row of each kind, and nothing that is left out on purpose.
    """

    good: httpx2.AsyncBaseTransport
    make: Callable[[httpx2.AsyncBaseTransport], Provider]
    request: PullRequest
    rows: Mapping[str, Sequence[tuple[str, ...]]]
    connects: Mapping[str, str] | None = None
    answers_max: int = 310

    async def told(self, transport: httpx2.AsyncBaseTransport) -> list[Page]:
        """A pull; with `connects`, by somebody who has just connected with these credentials."""
        provider, request = self.make(transport), self.request
        if self.connects is not None:
            login = await provider.connect(self.connects, request.at)
            assert login.identity
            request = replace(request, credentials=login.credentials)
        return await pulled(provider, request)


class Hostile:
    """Subclass it, with a fixture `upstream`."""

    async def test_no_answer_is_more_than_a_refusal_and_no_row_is_lost(
        self, upstream: Upstream
    ) -> None:
        tape = Tape(upstream)
        good = await upstream.told(tape)
        assert told(good) == tape.rows > 0, "rows names other rows than those that are read"
        assert not any(page.unreadable for page in good)

        found = [(asked, h) for asked, content in tape.good.items() for h in mutations(content)]
        few = chosen(found, lambda each: each[1], upstream.answers_max)
        assert len(few) >= ANSWERS_MIN
        complaints: list[str] = []
        with capture_logs():  # thousands of lines
            for asked, hostility in few:
                wrong = await wrong_with(upstream, tape, asked, hostility)
                complaints += [f"{asked[1]} {hostility.name}: {w}" for w in wrong]
        assert not complaints, "\n".join([f"{len(complaints)}:", *complaints[:SHOWN_MAX]])


async def wrong_with(
    upstream: Upstream, tape: "Tape", asked: Asked, hostility: Hostility
) -> list[str]:
    """What is wrong with how the provider takes this one."""
    tape.play(asked, hostility.content())
    try:
        async with asyncio.timeout(PULL_S_MAX):
            pages = await upstream.told(tape)
    except DomainError:
        return []
    except TimeoutError:
        return ["does not end"]
    except Exception as bug:  # noqa: BLE001 - it is what this looks for
        return [f"{type(bug).__name__}: {str(bug)[:200]}"]
    return [*_lost(pages, tape, hostility), *_unfit(pages)]


def _lost(pages: Sequence[Page], tape: "Tape", hostility: Hostility) -> list[str]:
    """A row is read, or kept as it came; those of an account that could not be read are with it."""
    unreadable = [row for page in pages for row in page.unreadable]
    failed = any(page.failed for page in pages)
    if tape.broken and not unreadable and not failed:
        return ["what is no list was taken for an empty one"]
    lost = tape.rows - told(pages) - (1 if hostility.repeats else 0)
    if lost <= 0 or failed or any(row.scope is SyncScope.ACCOUNTS for row in unreadable):
        return []
    return [f"{lost} rows are neither read nor kept"]


def _unfit(pages: Sequence[Page]) -> list[str]:
    wrong: list[str] = []
    for page in pages:
        wrong += [f"{text!r} cannot be stored" for text in unstorable_texts(page)]
        wrong += [f"{number!r} cannot be stored" for number in unstorable_numbers(page)]
        whose = {row.account_key for row in page.unreadable if row.scope is SyncScope.HOLDINGS}
        if whose & set(page.holdings_complete):
            wrong.append("holdings are said to be complete, and one could not be read")
        if page.accounts_complete and any(
            row.scope is SyncScope.ACCOUNTS for row in page.unreadable
        ):
            wrong.append("accounts are said to be complete, and one could not be read")
        if not all(row.raw and row.reason for row in page.unreadable):
            wrong.append("a row is kept without its reason")
    return wrong


def told(pages: Sequence[Page]) -> int:
    """Rows that were read, or kept; balances of the past are not counted."""
    return sum(
        len(page.accounts) + len(page.holdings) + len(page.transactions) + len(page.unreadable)
        for page in pages
    )


@dataclass
class Tape(httpx2.AsyncBaseTransport):
    """Gives what `good` gave, with one answer changed, and counts the rows in what it gives."""

    upstream: Upstream
    good: dict[Asked, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heads: dict[Asked, httpx2.Response] = {}
        self._changed: tuple[Asked, bytes] | None = None
        self._rows: dict[Asked, int] = {}
        self.broken = 0

    @property
    def rows(self) -> int:
        return sum(self._rows.values())

    def play(self, asked: Asked, content: bytes) -> None:
        """From the beginning, with this answer to that."""
        self._changed = (asked, content)
        self._rows.clear()
        self.broken = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = (request.method, str(request.url), await request.aread())
        if asked not in self._heads:
            answer = await self.upstream.good.handle_async_request(request)
            content = await answer.aread()
            self._heads[asked] = answer
            if self._changed is None and answer.is_success:
                self.good[asked] = content
        head = self._heads[asked]
        content = head.content
        if self._changed is not None and self._changed[0] == asked:
            content = self._changed[1]
        if head.is_success:
            self._rows[asked] = self._count(request.url.path, content)
        return httpx2.Response(
            head.status_code,
            headers={"content-type": head.headers.get("content-type", "")},
            content=content,
        )

    def _count(self, path: str, content: bytes) -> int:
        try:
            answer = decode(content)
        except NotJson:
            return 0
        places = [
            place
            for end, places in self.upstream.rows.items()
            if path.endswith(end)
            for place in places
        ]
        return sum(self._at(answer, place) for place in places)

    def _at(self, value: object, place: Sequence[str]) -> int:
        if not place:
            self.broken += not isinstance(value, list) and value is not None
            return len(value) if isinstance(value, list) else 0
        step, rest = place[0], place[1:]
        if not step:
            return 1 if isinstance(value, dict) else 0
        if step == "*":
            inner = value if isinstance(value, list) else []
            return sum(self._at(each, rest) for each in inner)
        if not isinstance(value, dict) or step not in value:
            return 0
        return self._at(value[step], rest)
