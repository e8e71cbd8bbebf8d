"""What the adapters tell of what they do, to whoever listens; nobody does unless it is asked for.

The seam keeps OpenTelemetry out of the adapters: while `watch` is None, a statement costs one look
at it, and nothing of OpenTelemetry is imported.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt to ask a provider. `path` has ids of theirs in it: it is not passed on as it is.

    `attempt` counts from 1.
    """

    provider: str
    method: str
    host: str
    port: int | None
    path: str
    attempt: int


Answered = Callable[[int], None]  # told the status
Told = Callable[[str, int, float], None]  # a statement without values, its rows, and seconds


class Watch(Protocol):
    """Each is entered around what it is about. None is told a value of the data, or a secret."""

    def statement(self, summary: str, *, rows: int = 1) -> AbstractContextManager[object]:
        """`summary` is of our own words: a verb and the tables, such as SELECT accounts links."""

    def unit_of_work(self) -> AbstractContextManager[object]: ...
    def waiting(self, pool: str) -> AbstractContextManager[object]:
        """For a connection of that pool, "read" or "write"."""

    def call(self, call: Call) -> AbstractContextManager[Answered]: ...
    def not_asked(self, provider: str) -> None:
        """The breaker or the budget would not have it."""

    def carried(self) -> Mapping[str, str] | None:
        """What a job takes with it, so that it is seen which request caused it."""


class Switch(Protocol):
    @property
    def is_open(self) -> bool: ...


watch: Watch | None = None  # set by gateway.telemetry, for the whole process
telling: ContextVar[Told | None] = ContextVar("telling", default=None)  # who asked to be told
breakers: WeakKeyDictionary[Switch, str] = WeakKeyDictionary()  # by provider; seen when counted


def statement(summary: str) -> AbstractContextManager[object]:
    return nullcontext() if watch is None else watch.statement(summary)


def unit_of_work() -> AbstractContextManager[object]:
    return nullcontext() if watch is None else watch.unit_of_work()


def waiting(pool: str) -> AbstractContextManager[object]:
    return nullcontext() if watch is None else watch.waiting(pool)


def asking(call: Call) -> AbstractContextManager[Answered]:
    return nullcontext(_unheard) if watch is None else watch.call(call)


def _unheard(_: int) -> None:
    pass
