"""What a limit refuses leaves no trace but a number, and who is limited with whom."""

from dataclasses import replace

import pytest

from domain.commands.sessions import RefreshSession, refresh_session
from domain.errors import InvalidInput, NotPermitted, RateLimited
from domain.identity import NOBODY, Actor, Role
from domain.ports import Limit, LimitSettings
from tests.engine.sessions import enter, refresh
from tests.engine.world import ROOMY, Engine


def allow(engine: Engine, **said: int) -> None:
    """So many of each, in a day."""
    roomy = dict.fromkeys(LimitSettings.__dataclass_fields__, ROOMY)
    limits = {k: Limit(name=k, burst=n, per_seconds=86_400) for k, n in said.items()}
    engine.app = replace(engine.app, limit_settings=LimitSettings(**roomy | limits))


async def guess(engine: Engine, ip: str | None) -> type[Exception]:
    with pytest.raises((NotPermitted, RateLimited)) as refusal:
        await enter(engine, password="a wrong password", ip=ip)
    return refusal.type


async def test_a_guess_that_a_limit_refuses_is_not_written_down(engine: Engine) -> None:
    allow(engine, sign_in_account=2)
    for _ in range(2):
        assert await guess(engine, "192.0.2.1") is NotPermitted
    before = await engine.written("audit_log", "events", "sessions", "users")

    for _ in range(5):
        assert await guess(engine, "192.0.2.1") is RateLimited

    assert await engine.written("audit_log", "events", "sessions", "users") == before
    assert len(await engine.audit("session.start")) == 4


async def test_a_refresh_that_a_limit_refuses_is_not_written_down(engine: Engine) -> None:
    token = (await enter(engine)).refresh_token
    allow(engine, refresh=1)
    token = await refresh(engine, token)
    before = await engine.written("audit_log", "refresh_tokens", "sessions")

    with pytest.raises(RateLimited):
        await refresh(engine, token)

    assert await engine.written("audit_log", "refresh_tokens", "sessions") == before


async def test_refreshing_is_limited_by_user_and_by_address_where_none_is_known(
    engine: Engine,
) -> None:
    token = (await enter(engine)).refresh_token
    allow(engine, refresh=1)
    token = await refresh(engine, token, ip="192.0.2.1")
    with pytest.raises(RateLimited):  # the same user, from elsewhere
        await refresh(engine, token, ip="192.0.2.2")

    async def unknown(ip: str | None) -> None:
        actor = Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)
        cmd = RefreshSession(actor=actor, refresh_token="guessed", at=engine.clock())
        await refresh_session(engine.app, cmd)

    for ip in ("192.0.2.1", "192.0.2.2", None):
        with pytest.raises(InvalidInput):
            await unknown(ip)
        with pytest.raises(RateLimited):
            await unknown(ip)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        (None, None, True),
        (None, "192.0.2.1", False),
    ],
)
async def test_a_household_of_ipv6_counts_as_one_address(
    engine: Engine, first: str | None, second: str | None, together: bool
) -> None:
    allow(engine, sign_in_address=1)
    assert await guess(engine, first) is NotPermitted
    assert await guess(engine, second) is (RateLimited if together else NotPermitted)
    rows = await engine.rows("audit_log", "action = 'session.start'", order="seq")
    assert rows[0]["ip_address"] == first
