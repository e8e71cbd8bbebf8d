"""A refresh token that is used again ends its session, however long ago it was exchanged."""

import asyncio
import json

from domain.errors import ErrorCode
from tests.engine.sessions import enter, refresh, refused
from tests.engine.world import Engine


async def test_the_owner_of_a_stolen_token_ends_what_the_thief_made_of_it(engine: Engine) -> None:
    stolen = (await enter(engine)).refresh_token
    thiefs = stolen
    for _ in range(3):
        thiefs = await refresh(engine, thiefs)
        engine.clock.turn(minutes=14)

    assert await refused(engine, stolen) is ErrorCode.TOKEN_REUSED
    assert await refused(engine, thiefs) is ErrorCode.TOKEN_EXPIRED
    assert (await engine.one("sessions"))["ended_at"] == engine.clock()
    assert (await engine.events())[-2:] == ["token.reused", "session.revoked"]
    mail = await engine.one("jobs.pgqueuer", "entrypoint = 'mail'")
    assert json.loads(mail["payload"])["template"] == "token_reused"


async def test_the_grace_is_of_the_token_before_the_current_one_alone(engine: Engine) -> None:
    first = (await enter(engine)).refresh_token
    second = await refresh(engine, first)
    await refresh(engine, second)

    assert await refused(engine, first) is ErrorCode.TOKEN_REUSED


async def test_the_grace_ends_ten_seconds_after_the_exchange(engine: Engine) -> None:
    first = (await enter(engine)).refresh_token
    second = await refresh(engine, first)
    engine.clock.turn(seconds=10)
    assert await refresh(engine, first) == second
    engine.clock.turn(seconds=1)
    assert await refused(engine, first) is ErrorCode.TOKEN_REUSED


async def test_a_token_presented_a_hundred_times_at_once_has_one_successor(engine: Engine) -> None:
    first = (await enter(engine)).refresh_token
    successors = await asyncio.gather(*(refresh(engine, first) for _ in range(100)))
    assert len(set(successors)) == 1
    assert await engine.count("refresh_tokens") == 1


async def test_of_the_tokens_only_digests_are_kept_and_they_go_with_their_session(
    engine: Engine,
) -> None:
    first = (await enter(engine)).refresh_token
    assert first is not None
    second = await refresh(engine, first)
    await refresh(engine, second)

    kept = [bytes(row["digest"]) for row in await engine.rows("refresh_tokens")]
    assert sorted(kept) == sorted(engine.app.tokens.digest(t.reveal()) for t in (first, second))
    await engine.spy.execute("DELETE FROM sessions")
    assert await engine.count("refresh_tokens") == 0
