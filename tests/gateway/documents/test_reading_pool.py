"""New texts are read off the loop: once, a few at a time, and not for ever."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from graphql import GraphQLError, ValidationContext, build_schema, parse, validate

from gateway.documents import reading
from gateway.documents.reading import Document
from gateway.documents.reading_pool import SHORT, ReadingPool
from gateway.documents.store import Documents
from gateway.operations.faults import Fault
from gateway.operations.guard import Limits, Refused

LONG = "{ " + "thing { id } " * 19 + " " * SHORT + "}"
SCHEMA = build_schema("type Thing { id: ID } type Query { thing: Thing }")


class Held:
    """Reads once it may go on."""

    def __init__(self) -> None:
        self.go_on, self.calls, self.threads = threading.Event(), 0, set[int]()

    def __call__(self) -> str:
        self.calls += 1
        self.threads.add(threading.get_ident())
        assert self.go_on.wait(10)
        return "read"


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.go_on.set()


async def test_what_many_ask_for_at_once_is_read_once_and_off_the_loop(held: Held) -> None:
    pool: ReadingPool[str] = ReadingPool()
    asking = [asyncio.create_task(pool.outcome("a", held)) for _ in range(50)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in asking)
    asking.pop().cancel()  # which is nobody else's loss
    held.go_on.set()

    assert await asyncio.gather(*asking) == ["read"] * 49
    assert held.calls == 1
    assert threading.get_ident() not in held.threads
    assert await pool.outcome("a", held) == "read"  # who remembers it is somebody else
    assert held.calls == 2


async def test_so_many_wait_and_more_come_back_later(held: Held) -> None:
    pool: ReadingPool[str] = ReadingPool(waiting_max=4)
    asking = [asyncio.create_task(pool.outcome(key, held)) for key in "aab"]
    await asyncio.sleep(0)

    with pytest.raises(Fault) as refused:
        await pool.outcome("c", held)

    assert (refused.value.status, refused.value.code) == (503, "UNAVAILABLE")
    assert refused.value.headers == {"retry-after": "1"}
    held.go_on.set()
    assert await asyncio.gather(*asking) == ["read"] * 3


async def test_turns_go_round_and_there_is_room_for_who_comes_beside_a_flood() -> None:
    pool: ReadingPool[None] = ReadingPool(waiting_max=16)
    may_read, read = threading.Event(), list[str]()

    def reading(text: str) -> None:
        assert may_read.wait(10)
        read.append(text)

    def asks(whose: str, count: int) -> list[asyncio.Task[None]]:
        texts = [f"{whose}{n}" for n in range(count)]
        return [asyncio.create_task(pool.outcome(t, partial(reading, t), whose)) for t in texts]

    flood = asks("flood", 200)
    await asyncio.sleep(0)
    person, other = asks("person", 3), asks("other", 2)
    await asyncio.sleep(0)
    may_read.set()
    said = await asyncio.gather(*flood, return_exceptions=True)
    await asyncio.gather(*person, *other)

    assert [isinstance(each, Fault) for each in said].count(False) == 8
    assert read[:8] == [
        *("flood0", "person0", "other0"),
        *("flood1", "person1", "other1"),
        *("flood2", "person2"),
    ]
    assert len(read) == 8 + 3 + 2
    assert not pool._turns


async def test_nobody_waits_for_ever(held: Held) -> None:
    pool: ReadingPool[str] = ReadingPool(wait_s=0.01)

    with pytest.raises(Fault) as refused:
        await pool.outcome("a", held)

    assert (refused.value.status, refused.value.code) == (503, "TIMEOUT")


class Noted(Documents):
    """Says in which threads it read."""

    threads: list[str]

    def outcome(self, *said: Any, **more: Any) -> Document | Refused:
        self.threads.append(threading.current_thread().name.partition("_")[0])
        return super().outcome(*said, **more)


async def test_a_document_is_read_in_a_thread_once_and_then_known() -> None:
    documents = Noted(SCHEMA, limits=Limits())
    documents.threads = []

    found = await asyncio.gather(*(documents.load(LONG) for _ in range(20)))
    assert len({id(document) for document in found}) == 1
    assert await documents.load(LONG) is found[0]
    assert documents.threads == ["documents"]

    await documents.load("{ thing { id } }")  # which takes no longer than a thread's turn
    with pytest.raises(Refused):
        await documents.load(LONG.replace("id", "no"))
    assert documents.threads == ["documents", "MainThread", "documents"]


def test_validation_ends_by_its_deadline_whatever_takes_it_so_long() -> None:
    class Late(reading._Deadline):
        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self._until = 0

    with pytest.raises(Refused) as refused:
        validate(SCHEMA, parse(LONG), (Late,))

    assert refused.value.code == "TOO_COMPLEX"
    assert reading.RULES[0] is reading._Deadline
    assert isinstance(refused.value.errors[0], GraphQLError)
