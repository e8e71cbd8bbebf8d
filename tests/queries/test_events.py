"""What is about something comes with it, of today; what is about something gone is left out."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from domain import told as t
from domain.commands.outcomes import run_event
from domain.errors import BadQuery, Unavailable
from domain.events import Event, EventCategory, EventId, EventName
from domain.identity import UserId, new_id
from domain.queries.events import events, place_of
from domain.storage.reads import Reads
from domain.sync import SyncStatus
from tests.schema.builders import NOW, a_link, a_run, an_account
from tests.schema.world import World


@dataclass
class Simulated:
    """`domain.ports.Feed`: tells what it is given, and ends."""

    happening: list[t.Told] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    followed: int = 0

    @contextmanager
    def follow(self, user_id: UserId, place: int) -> Iterator[AsyncIterator[t.Told]]:
        self.places.append(place)
        self.followed += 1
        try:
            yield self._each()
        finally:
            self.followed -= 1

    async def _each(self) -> AsyncIterator[t.Told]:
        for event in self.happening:
            yield event


class Log:
    def __init__(self) -> None:
        self.world, self.feed = World(), Simulated()
        self.link = a_link(self.world.ann)
        self.run = a_run(self.link, status=SyncStatus.SUCCEEDED)
        self.account = an_account(self.link)
        self.world.hers.links.append(self.link)
        self.world.hers.runs.append(self.run)
        self.world.hers.accounts.append(self.account)

    def happen(self, name: EventName, **facts: str) -> t.Told:
        event = Event(name=name, user_id=self.world.ann.id, at=NOW, facts=facts)
        seq = len(self.feed.happening) + 1
        self.feed.happening.append(t.told(seq, EventId(new_id()), event))
        return self.feed.happening[-1]

    def snapshot(self) -> Reads:
        return cast("Reads", self.world.snapshot(self.world.context(self.world.ann).actor))

    async def told(self, *shown: type[t.Told], **said: Any) -> list[t.Told]:
        given = {"categories": None, "shown": shown, **said}
        stream = events(self.feed, self.world.ann.id, 7, self.snapshot, **given)
        found = []
        async with aclosing(stream) as happening:
            async for event in happening:
                if type(event) in shown:
                    assert self.world.left_open == 1  # in which it is executed
                found.append(event)
        assert self.world.left_open == self.feed.followed == 0
        assert self.feed.places == [7]
        return found


@pytest.fixture
def log() -> Log:
    return Log()


async def test_what_it_is_about_is_read_only_where_it_is_shown(log: Log) -> None:
    log.happen(EventName.SYNC_COMPLETED, run=str(log.run.id), link=str(log.link.id))
    log.happen(EventName.LINK_CONNECTED, link=str(log.link.id))
    log.happen(EventName.BALANCE_CHANGED, account=str(log.account.id), current="1.50 USD")

    run, link, balance = await log.told(t.RunTold, t.BalanceTold)

    assert isinstance(run, t.RunTold)
    assert run.run == log.run
    assert isinstance(link, t.LinkTold)
    assert link.link is None
    assert isinstance(balance, t.BalanceTold)
    assert balance.account == log.account
    assert len(log.world.opened) == 2


async def test_what_is_about_something_gone_is_left_out_and_nothing_else(log: Log) -> None:
    gone = str(new_id())
    log.happen(EventName.BALANCE_CHANGED, account=gone, current="1 USD")
    log.happen(EventName.SYNC_FAILED, run=gone, link=gone)
    log.happen(EventName.LINK_DISCONNECTED, link=gone)
    last = log.happen(EventName.SESSION_REVOKED, session=gone)

    assert await log.told(*t.Told.__subclasses__()) == [last]
    log.feed.places.clear()
    assert await log.told() == log.feed.happening


async def test_only_the_categories_that_were_asked_for(log: Log) -> None:
    log.happen(EventName.LINK_CONNECTED, link=str(log.link.id))
    mine = log.happen(EventName.PASSWORD_CHANGED)
    log.happen(EventName.IMPORT_STARTED, run=str(log.run.id))

    assert await log.told(categories={EventCategory.SECURITY}) == [mine]
    log.feed.places.clear()
    assert await log.told(categories=set()) == []


async def test_a_database_that_goes_away_is_waited_for(log: Log) -> None:
    log.happen(EventName.SYNC_COMPLETED, run=str(log.run.id))
    log.world.down = Unavailable("the database is away")
    snapshot = log.snapshot

    def reads() -> Reads:
        found = snapshot()
        log.world.down = None
        return found

    log.snapshot = reads  # type: ignore[method-assign]
    [event] = await log.told(t.RunTold)
    assert isinstance(event, t.RunTold)
    assert event.run == log.run


async def test_a_cursor_leads_to_its_place_and_none_to_the_last_one(log: Log) -> None:
    one = log.happen(EventName.PASSWORD_CHANGED)
    two = log.happen(EventName.PASSWORD_CHANGED)
    log.world.hers.events += log.feed.happening
    reads = log.snapshot()

    assert await place_of(reads, one.id) == one.seq
    assert await place_of(reads, None) == two.seq
    with pytest.raises(BadQuery, match="90 days"):
        await place_of(reads, EventId(new_id()))


def test_every_event_that_is_recorded_can_be_told(log: Log) -> None:
    facts = {
        "run": str(new_id()),
        "link": str(new_id()),
        "account": str(new_id()),
        "current": "-12345678901234567890.123456789 BTC",
        **dict.fromkeys(t.COUNTS, "3"),
    }
    for name in EventName:
        event = t.told(1, EventId(new_id()), _event(name, **facts))
        assert (event.name, event.category) == (name.value, name.category)
        assert event.message.endswith(".")
        assert event.message.count(".") == 1
        assert not any(fact in event.message for fact in facts.values() if len(fact) > 1)


@pytest.mark.parametrize(
    ("name", "facts", "says"),
    [
        (EventName.SYNC_COMPLETED, {"status": "SUCCEEDED"}, "A sync is complete."),
        (
            EventName.SYNC_COMPLETED,
            {"status": "PARTIAL"},
            "A sync is complete, but for what could not be read.",
        ),
        (
            EventName.LINK_EXPIRING,
            {"hours": "12"},
            "What you authorized a link to read ends in 12 hours: authorize it again.",
        ),
        (
            EventName.LINK_EXPIRING,
            {"hours": "0"},
            "What you authorized a link to read ends within an hour: authorize it again.",
        ),
        (
            EventName.LINK_DISCONNECTED,
            {"standing": "Bank"},
            "A link was disconnected, but could not be withdrawn at its provider: do it there.",
        ),
        (EventName.SECOND_FACTOR_CHANGED, {"change": "enabled"}, "Your second factor was enabled."),
        (EventName.SECOND_FACTOR_CHANGED, {"change": "<b>"}, "Your second factor was changed."),
    ],
)
def test_the_sentence_says_what_became(name: EventName, facts: dict[str, str], says: str) -> None:
    assert t.message_of(_event(name, **facts)) == says


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (EventName.BALANCE_CHANGED, {}),
        (EventName.BALANCE_CHANGED, {"account": "x", "current": "1 USD"}),
        (EventName.NETWORTH_CHANGED, {"current": "much USD"}),
        (EventName.NETWORTH_CHANGED, {"current": "1"}),
        (EventName.HOLDINGS_CHANGED, {"account": str(new_id()), "created": "1"}),
    ],
)
def test_other_facts_are_refused(name: EventName, facts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"facts of|badly formed|not enough|invalid"):
        t.told(1, EventId(new_id()), _event(name, **facts))


def test_a_run_is_told_as_it_is_recorded(log: Log) -> None:
    event = t.told(1, EventId(new_id()), run_event(log.run, NOW))
    assert isinstance(event, t.RunTold)
    assert event.run_id == log.run.id


def _event(name: EventName, **facts: str) -> Event:
    return Event(name=name, user_id=UserId(new_id()), at=NOW, facts=facts)
