"""Schwab's adapter over its simulator, and what the tests of both ask again and again."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.providers import Client
from adapters.providers.kit import Outside, Record, as_record, decode, raw_text
from adapters.providers.schwab import Schwab
from domain.sync import Page, PullRequest, ReceivedHolding, ReceivedTransaction
from tests.providers.conformance import ALL, AT
from tests.providers.fakes import Clock
from tests.providers.simulators.schwab import CLIENT_ID, CLIENT_SECRET, SchwabSimulator
from tests.providers.simulators.schwab_books import Books, household


def a_schwab(sim: SchwabSimulator, reached: Outside | None = None) -> Schwab:
    client = Client(base_url=sim.url, id=CLIENT_ID, secret=CLIENT_SECRET)
    return Schwab(reached or sim.inside(Clock()), client, rows_max=sim.rows_max)


def a_sim(*books: Books, **said: Any) -> SchwabSimulator:
    given: dict[str, Any] = {"books": list(books) or household(AT), "now": lambda: AT, **said}
    return SchwabSimulator(**given)


def some_books(**said: Any) -> Books:
    given: dict[str, Any] = {"number": "71234567", "hash": "C3" * 32}
    return Books(**given | said)


def a_request(sim: SchwabSimulator, **said: Any) -> PullRequest:
    given: dict[str, Any] = {"credentials": sim.grant(), "scopes": ALL, "at": AT, **said}
    return PullRequest(**given)


def rows_of(pages: Sequence[Page]) -> list[ReceivedTransaction]:
    return [row for page in pages for row in page.transactions]


def holdings_of(pages: Sequence[Page]) -> list[ReceivedHolding]:
    return [held for page in pages for held in page.holdings]


def failures(pages: Sequence[Page]) -> dict[str, str]:
    return {key: reason for page in pages for key, reason in page.failed.items()}


def as_it_comes(record: Mapping[str, Any]) -> Record:
    """Through JSON, where a number is a Decimal."""
    return as_record(decode(raw_text(record).encode()), "the record")
