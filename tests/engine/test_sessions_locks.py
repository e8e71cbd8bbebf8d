"""Nobody waits for the user's row who does not change it."""

import asyncio

from tests.engine.sessions import enter, leave, refresh
from tests.engine.world import Engine


async def test_a_session_goes_on_and_ends_while_a_sync_has_the_users_row(engine: Engine) -> None:
    signed_in = await enter(engine)

    async with engine.app.store.begin(engine.actor, None) as work:
        await work.users.get(lock=True)
        async with asyncio.timeout(5):
            successor = await refresh(engine, signed_in.refresh_token)
            await leave(engine, successor)

    assert (await engine.one("sessions"))["ended_at"] == engine.clock()
    assert (await engine.events())[-1] == "session.revoked"


async def test_a_session_that_is_evicted_while_it_signs_out_ends_once(engine: Engine) -> None:
    await engine.spy.execute("UPDATE users SET session_limit = 1")
    signed_in = await enter(engine)
    for _ in range(10):
        engine.clock.turn(minutes=1)
        leaving = signed_in.refresh_token
        signed_in, _ = await asyncio.gather(enter(engine), leave(engine, leaving))

    assert await engine.count("sessions", "ended_at IS NULL") == 1
    assert (await engine.events()).count("session.revoked") == 10
