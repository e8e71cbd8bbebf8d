"""What a refresh costs where ten thousand tokens are live: as much as where one is (probe 6)."""

from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.sessions import RefreshSession, actor_of_token, refresh_session
from domain.identity import Role
from domain.secret import Secret
from tests.engine.sessions import enter, nobody
from tests.engine.test_statements import counted
from tests.engine.world import PASSWORD, Engine

LIVE = 10_000
CROWD = """
INSERT INTO sessions (user_id, id, created_at, last_used_at, expires_at, refresh_hash, is_cookie)
SELECT user_id, gen_random_uuid(), now(), now(), now() + interval '30 days',
    sha256(number::text::bytea), false
FROM users, generate_series(1, $1) AS number WHERE user_id = $2"""
SPENT = """
INSERT INTO refresh_tokens (user_id, session_id, digest, rotated_at)
SELECT user_id, id, sha256(refresh_hash), now() FROM sessions"""
# Whom it is of; ATTEMPTED; then the identity, the session, its user, the rotation, the change,
# what was spent, SUCCEEDED. Each but the first in a transaction of two words more.
STATEMENTS = 1 + 2 + 7


async def crowd(engine: Engine) -> None:
    """So many sessions of others, each with a token that was exchanged."""
    actor = actor_to_be(Role.USER)
    cmd = CreateUser(
        actor=actor,
        email="crowd@example.com",
        password=Secret(PASSWORD),
        role=Role.USER,
        at=engine.clock(),
    )
    await create_user(engine.app, cmd)
    await engine.spy.execute(CROWD, LIVE, actor.user_id)
    await engine.spy.execute(SPENT)
    await engine.spy.execute("ANALYZE sessions, refresh_tokens")


async def test_a_refresh_takes_the_same_few_statements_among_many(engine: Engine) -> None:
    token = (await enter(engine)).refresh_token
    await crowd(engine)

    assert token is not None
    async with counted(engine) as counting:
        actor = await actor_of_token(engine.app, token.reveal(), nobody())
        cmd = RefreshSession(actor=actor, refresh_token=token, at=engine.clock())
        await refresh_session(counting.app, cmd)
    assert 1 + counting.taken() == STATEMENTS


async def test_every_lookup_of_a_refresh_is_by_an_index(engine: Engine) -> None:
    """Of what the doors run, inside of which EXPLAIN does not look."""
    await enter(engine)
    await crowd(engine)
    body = await engine.spy.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'session_by_hash'")
    for digest in ("sha256('77')", "sha256(sha256('77'))"):
        asked = body.replace("session_by_hash.digest", digest)
        plan = await engine.spy.fetch(f"EXPLAIN (ANALYZE, FORMAT TEXT) {asked}")
        lines = "\n".join(row[0] for row in plan)
        assert "Seq Scan on sessions" not in lines, lines
        assert "Seq Scan on refresh_tokens" not in lines, lines
        assert "ux_sessions_refresh_hash" in lines
        assert "ux_refresh_tokens_digest" in lines
        took_ms = float(lines.rpartition("Execution Time: ")[2].split()[0])
        assert took_ms < 5, lines
