"""Whatever is raised, wherever: its client is told a code, and never a word of a bug."""

import asyncio
import itertools
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from structlog.testing import capture_logs

from domain.errors import DomainError, NotFound
from gateway.logs import _allowed, _exception
from gateway.settings import HttpProfile
from schema.paging import encoded
from tests.attacks.broken import Broken, a_broken
from tests.attacks.exceptions import KINDS, Kind
from tests.attacks.stand import MEDIA, answered, errors_of
from tests.e2e.canaries import Canaries
from tests.e2e.linking import CONNECT
from tests.e2e.live import Live, live
from tests.gateway.sse.served import read
from tests.servers import Postgres

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
RESOLVER = "{ viewer { id } accounts { id } }"
EDGE = "{ links { id lastRun { id } } }"
EVENTS = """subscription Events($after: String) { events(after: $after) { cursor
  ... on SyncEvent { run { id link { lastRun { id } } } } } }"""
USING = {"provider": "sandbox", "using": {"nothing": True}}


@pytest.fixture(scope="module")
async def broken(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Broken]:
    folder: Path = tmp_path_factory.mktemp("broken")
    async with postgres.fresh_database() as database, a_broken(database, folder) as found:
        yield found


@dataclass(slots=True)
class Said:
    """What one place told its client: all of its bytes, and its errors."""

    place: str
    sent: bytes
    errors: list[dict[str, Any]]
    status: int = 200


class Stage:
    """Who asks on every transport, and keeps what was answered."""

    def __init__(self, broken: Broken, cursor: str, socket: Live) -> None:
        self.broken, self.cursor, self._socket = broken, cursor, socket
        self._operations = 0

    async def http(
        self, query: str, accept: str, profile: HttpProfile, **variables: Any
    ) -> httpx2.Response:
        target = self.broken.targets[profile]
        return await target.ann.http.post(
            f"{target.url}/graphql",
            json={"query": query, "variables": variables},
            headers={"accept": accept, "authorization": f"Bearer {target.ann.token}"},
        )

    async def asked(
        self, place: str, query: str, accept: str, profile: HttpProfile, **variables: Any
    ) -> Said:
        answer = await self.http(query, accept, profile, **variables)
        said = answer.json()
        sent = repr(answer.headers.raw).encode() + answer.content
        return Said(place, sent, errors_of(said), answer.status_code)

    async def by_socket(self, place: str, query: str, **variables: Any) -> Said:
        """The first message of an operation."""
        self._operations += 1
        of = f"o{self._operations}"
        await self._socket.subscribe(query, of, **variables)
        message = await self._of(of)
        if message["type"] == "next":
            await self._socket.say(type="complete", id=of)
        sent = json.dumps(message).encode()
        return Said(place, sent, errors_of(message.get("payload", [])))

    async def _of(self, of: str) -> dict[str, Any]:
        while (message := await self._socket.next())["id"] != of:
            pass  # the end of one before it
        return message

    async def by_events(self, place: str, query: str, **variables: Any) -> Said:
        """The first event of a stream."""
        target, sent = self.broken.target, b""
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {target.ann.token}"}
        body = {"query": query, "variables": variables}
        stream = target.ann.http.stream("POST", "/graphql", json=body, headers=headers)
        async with stream as answer:
            if answer.headers["content-type"].startswith("application/json"):
                sent = await answer.aread()
                return Said(place, sent, errors_of(json.loads(sent)), answer.status_code)
            async for text in answer.aiter_text():
                sent += text.encode()
                found = [read(each) for each in sent.decode().split("\n\n")[:-1]]
                data = [each.data for each in found if each.event == "next"]
                if data:
                    return Said(place, sent, errors_of(data[0]))
        return Said(place, sent, [])


@pytest.fixture(scope="module")
async def stage(broken: Broken) -> AsyncIterator[Stage]:
    target = broken.target
    async with live(target.program, target.ann.token) as socket:
        yield Stage(broken, encoded("events", await _first_event(broken)), socket)


async def _first_event(broken: Broken) -> str:
    """The id of the first that there is of her."""
    db = await asyncpg.connect(broken.database.superuser_url)
    try:
        return str(
            await db.fetchval(
                "SELECT e.id FROM events e JOIN users u USING (user_id)"
                " WHERE u.email = $1 AND e.id IS NOT NULL ORDER BY e.seq LIMIT 1",
                broken.target.ann.email,
            )
        )
    finally:
        await db.close()


@pytest.mark.parametrize("number", range(len(KINDS)), ids=[kind.name for kind in KINDS])
async def test_its_words_are_the_logs_alone(stage: Stage, number: int) -> None:
    kind, canaries = KINDS[number], Canaries()
    secret = canaries.plant(kind.name, f"canary{secrets.token_hex(8)}")
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            said = [each async for each in _everywhere(stage, kind, secret, number)]
    for each in said:
        assert canaries.found({each.place: each.sent}) == [], each
        codes = {error["extensions"]["code"] for error in each.errors}
        assert codes == {_expected(kind, each.place)}, each
        assert each.status < 500 or kind.code in ("INTERNAL", "UNAVAILABLE"), each
    if kind.code == "INTERNAL":
        bugs = [e for each in said for e in each.errors if e["extensions"]["code"] == "INTERNAL"]
        assert {error["message"] for error in bugs} == {"internal error"}
        told = {error["extensions"]["incident"] for error in bugs}
        assert told == {line["incident"] for line in logs if line["event"] == "graphql.bug"}
    for line in logs:
        kept = _allowed(None, "", _exception(None, "", dict(line)))
        assert canaries.found({"log": repr(kept).encode()}) == []
        if line["event"] == "graphql.bug":
            assert type(kind.make("")).__name__ in kept["exception"]


def _expected(kind: Kind, place: str) -> str:
    """A batch that is cancelled is what becomes of an operation that was given up."""
    is_batch = place.startswith(("an edge", "an event,"))
    return "UNAVAILABLE" if is_batch and kind.name.endswith("CancelledError") else kind.code


async def _everywhere(stage: Stage, kind: Kind, secret: str, number: int) -> AsyncIterator[Said]:
    """Each place by each transport; which media type and profile are taken in turn.

    In CI, so is by which of both an operation that goes on is asked for.
    """

    def made() -> BaseException:
        return kind.make(secret)

    turns = itertools.count(number)

    def followed(place: str, **variables: str) -> list[Awaitable[Said]]:
        ways = [(stage.by_socket, "on a socket"), (stage.by_events, "in a stream")]
        taken = ways if LONG else [ways[next(turns) % 2]]
        return [by(f"{place}, {where}", EVENTS, **variables) for by, where in taken]

    armed, after = stage.broken.armed, {"after": stage.cursor}
    combinations = list(itertools.product(MEDIA, HttpProfile))
    if not LONG:
        combinations = [combinations[number % 4], combinations[3 - number % 4]]
    with armed.at("resolver", made):
        for media, profile in combinations:
            yield await stage.asked(f"a resolver, {media}", RESOLVER, media, profile)
        yield await stage.by_socket("a resolver, on a socket", RESOLVER)
    with armed.at("edge", made):
        for media, profile in combinations[:: 1 if LONG else 2]:
            yield await stage.asked(f"an edge, {media}", EDGE, media, profile)
        yield await stage.by_socket("an edge, on a socket", EDGE)
        for said in followed("an event", **after):
            yield await said
    with armed.at("source", made):
        for said in followed("a source"):
            yield await said
    with armed.at("stream", made):
        for said in followed("what makes events", **after):
            yield await said
    if kind.name != "Unavailable":  # which is waited for
        with armed.at("event", made):
            for said in followed("what an event is about", **after):
                yield await said
    with armed.at("provider", made):
        found = await stage.asked("a provider", CONNECT, *combinations[0], input=USING)
        if not isinstance(made(), DomainError):  # which is data of a payload
            yield found
        assert secret.encode() not in found.sent


async def test_of_a_hundred_at_once_nobody_is_told_of_another(broken: Broken) -> None:
    """Half of them refusals, whose words are for the one who asked; half of them bugs."""
    canaries, words = Canaries(), [f"canary{secrets.token_hex(8)}" for _ in range(100)]
    for number, word in enumerate(words):
        canaries.plant(str(number), word)
        kind = NotFound if number % 2 else RuntimeError
        broken.armed.by_search[word] = partial(kind, f"of {word}")
    query = "query($q: String) { transactions(filter: {search: $q}) { nodes { id } } }"
    people = [broken.target.ann, broken.target.bob]

    async def asked(number: int) -> bytes:
        return (await answered(people[number // 2 % 2], query, {"q": words[number]})).content

    with capture_logs():
        answers = await asyncio.gather(*map(asked, range(100)))
    broken.armed.by_search.clear()
    for number, sent in enumerate(answers):
        [error] = errors_of(json.loads(sent))
        told = canaries.found({"answer": sent})
        if number % 2:
            assert error["message"] == f"of {words[number]}"
            assert [each.split()[0] for each in told] == [str(number)]
        else:
            assert (error["message"], told) == ("internal error", [])
