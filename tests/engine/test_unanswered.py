"""Consent that is not answered in time, whose answer is cut off, and that nobody can be asked for."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.authorizations import Returns
from domain.commands.authorizing import (
    forget_lapsed,
)
from domain.errors import (
    ErrorCode,
    InvalidInput,
    NotFound,
    RateLimited,
)
from domain.limits import Limit
from domain.links import LinkStatus
from tests.engine.asking import Person, a_person, said
from tests.servers import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def person(database: Database, tmp_path: Path) -> AsyncIterator[Person]:
    async with a_person(database, tmp_path) as asked:
        yield asked


async def test_what_is_not_answered_in_time_is_forgotten(person: Person) -> None:
    engine = person.engine
    link = await person.answer(await person.begin())
    late, mending = await person.begin(), await person.begin(link_id=link.id)
    engine.clock.turn(minutes=9, seconds=59)
    app, version = engine.app, await engine.version()
    assert await app.doors.lapsed_authorizations(engine.clock(), 10) == []

    engine.clock.turn(seconds=1)

    for asked in (late, mending):
        assert (await person.refused(asked)).code is ErrorCode.TOKEN_EXPIRED
    assert len(person.provider.exchanged) == 1
    unanswered = await person.begin()
    assert await engine.version() > version
    engine.clock.turn(minutes=10)
    assert await app.doors.lapsed_authorizations(engine.clock(), 10) == [person.actor.user_id]
    await forget_lapsed(app, person.actor.user_id, engine.clock())
    assert await person.states() == 0
    assert sorted(await person.links()) == ["ACTIVE", "PENDING"]  # a completion may be under way
    engine.clock.turn(minutes=1)
    assert await app.doors.lapsed_authorizations(engine.clock(), 10) == [person.actor.user_id]
    version = await engine.version()
    await forget_lapsed(app, person.actor.user_id, engine.clock())

    assert await person.links() == ["ACTIVE"]
    assert await engine.version() > version
    assert await engine.count("tombstones", "kind = 'link' AND id = $1", unanswered.link_id) == 1
    assert await app.doors.lapsed_authorizations(engine.clock(), 10) == []


async def test_whoever_asks_may_go_away_once_the_code_is_sent(person: Person) -> None:
    asked, sent, goes_on = await person.begin(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        sent.set()
        await goes_on.wait()

    person.provider.before = wait
    answering = asyncio.create_task(person.answer(asked))
    await sent.wait()
    answering.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert await person.links() == ["ACTIVE"]
    assert [o for o, _ in await person.engine.audit("link.complete")] == ["ATTEMPTED", "SUCCEEDED"]


async def test_a_process_that_is_killed_after_the_exchange_leaves_a_link_that_is_forgotten(
    person: Person,
) -> None:
    """K17: what was granted is lost, and its owner begins again."""
    engine, asked = person.engine, await person.begin()
    told = {
        "url": engine.database.app_url,
        "data_dir": str(engine.data_dir),
        "at": engine.clock().isoformat(),
        "user": str(person.actor.user_id),
        "session": str(person.actor.session_id),
        "state": said(asked),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.consenting"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    assert await process.stdout.readline() == b"exchanged\n"
    process.kill()
    await process.wait()

    assert await person.links() == ["PENDING"]
    assert await person.states() == await engine.count("credentials") == 0
    assert (await person.refused(asked)).code is ErrorCode.TOKEN_INVALID
    assert person.provider.exchanged == []
    assert (await person.answer(await person.begin())).status is LinkStatus.ACTIVE
    engine.clock.turn(minutes=11)
    await forget_lapsed(engine.app, person.actor.user_id, engine.clock())
    assert await person.links() == ["ACTIVE"]


async def test_a_dialogue_is_begun_by_a_token_and_mends_with_what_the_link_has(
    person: Person,
) -> None:
    engine = person.engine
    engine.actor = person.actor
    asked = await person.begin("dialogue")
    assert asked.link_token is not None
    assert (asked.link_token.reveal(), asked.link_id, asked.url) == ("link-1", None, None)
    assert asked.expires_at == engine.clock() + timedelta(hours=4)
    assert await person.links() == []
    link = await engine.connect(provider="dialogue", publicToken="public-ann")

    again = await person.begin("dialogue", link_id=link.id)

    assert again.link_id == link.id
    user = str(person.actor.user_id)
    assert person.dialogue.offered == [(user, None), (user, {"access": "of ann"})]
    assert await person.states() == 0
    assert "link-2" not in repr(again)


async def test_consent_is_not_asked_for_where_it_cannot_be_given(person: Person) -> None:
    returns = Returns(public_url="https://money.example.com")
    strict = replace(person.engine.app, returns=returns)
    with pytest.raises(InvalidInput) as refused:
        await person.begin(app=strict, return_to="https://evil.example/")
    assert refused.value.field == ("input", "using", "oauth", "returnTo")
    with pytest.raises(InvalidInput, match="does not connect by OAuth"):
        await person.begin("sandbox")
    person.engine.actor = person.actor
    with pytest.raises(InvalidInput, match="by OAuth alone"):
        await person.engine.connect(provider="consenting")
    with pytest.raises(InvalidInput):
        await person.begin(alias="")
    with pytest.raises(NotFound):
        await person.begin("nowhere")
    assert await person.links() == []
    limits = replace(
        person.engine.app.limit_settings, connect=Limit(name="connect", burst=1, per_seconds=60)
    )
    limited = replace(person.engine.app, limit_settings=limits)
    await person.begin(app=limited)
    with pytest.raises(RateLimited):
        await person.begin(app=limited)
