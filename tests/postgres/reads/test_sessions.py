"""A person's sessions, and which generation of tokens is good."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.identity import OwnSession, SecurityConfig, SessionId, new_id
from tests.postgres.reads.rows import Owner, Recorded

NOW = datetime.now(UTC)


async def a_session(owner: Owner, used: int = 0, **said: object) -> SessionId:
    """Last used so many hours ago."""
    id = SessionId(new_id())
    values: dict[str, object] = {
        "created_at": NOW - timedelta(days=2),
        "last_used_at": NOW - timedelta(hours=used),
        "expires_at": NOW + timedelta(days=1),
        "refresh_hash": id.bytes,
        "is_cookie": False,
    }
    await owner.put("sessions", id=id, **values | said)
    return id


async def test_a_session_is_as_it_was_stored_without_its_secret(
    reads: Recorded, owner: Owner
) -> None:
    id = await a_session(
        owner,
        device="Chrome on macOS",
        ip_address="192.0.2.1",
        location="London, GB",
        providers_accessed=["sandbox", "file"],
    )
    assert await reads.sessions() == [
        OwnSession(
            id=id,
            created_at=NOW - timedelta(days=2),
            last_used_at=NOW,
            expires_at=NOW + timedelta(days=1),
            device="Chrome on macOS",
            location="London, GB",
            ip_address="192.0.2.1",
            providers_accessed=("sandbox", "file"),
        )
    ]


async def test_only_ones_own_that_go_on_are_there_the_last_used_first_in_one_statement(
    pool: Pool, owner: Owner, an_owner: Callable[[], Awaitable[Owner]]
) -> None:
    for count in (3, 60):
        await owner.db.execute("DELETE FROM sessions WHERE user_id = $1", owner.id)
        wanted = [await a_session(owner, used=hours) for hours in range(count)]
        await a_session(owner, ended_at=NOW - timedelta(seconds=1))
        await a_session(owner, expires_at=NOW - timedelta(seconds=1))
        await a_session(await an_owner())
        reads = Snapshot(pool, owner.id)
        assert [session.id for session in await reads.sessions()] == wanted
        assert reads.statements == 1
        await reads.close()


@pytest.mark.parametrize(
    ("generation", "rotated_s_ago", "goes_on"),
    [(5, 0, True), (4, 299, True), (4, 301, False), (3, 0, False), (6, 0, True)],
)
async def test_what_a_rotation_overtook_is_not_there(
    pool: Pool, owner: Owner, generation: int, rotated_s_ago: int, goes_on: bool
) -> None:
    await owner.db.execute(
        "UPDATE security_config SET global_token_version = 5, grace_seconds = 300,"
        " last_rotated_at = clock_timestamp() - make_interval(secs => $1),"
        " last_rotation_reason = 'a leak'",
        rotated_s_ago,
    )
    reads = Snapshot(pool, owner.id)
    try:
        await a_session(owner, generation=generation)
        assert bool(await reads.sessions()) is goes_on
        config = await reads.security_config()
        assert (config.global_token_version, config.grace_seconds) == (5, 300)
        assert config.last_rotation_reason == "a leak"
        await owner.db.execute("UPDATE users SET token_version = 1 WHERE user_id = $1", owner.id)
    finally:
        await reads.close()
        await owner.db.execute(
            "UPDATE security_config SET global_token_version = 0, last_rotated_at = NULL,"
            " last_rotation_reason = NULL"
        )
    again = Snapshot(pool, owner.id)
    assert await again.sessions() == []  # the person's own rotation overtook it
    assert await again.security_config() == SecurityConfig()
    await again.close()
