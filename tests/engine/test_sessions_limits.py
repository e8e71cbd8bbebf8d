"""What a limit refuses leaves one trace a period, and who is limited with whom."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from adapters.memory.limits import MemoryLimits
from domain.commands.sessions import RefreshSession, refresh_session
from domain.commands.signing_in import SignIn, actor_of, known_by_email, sign_in
from domain.errors import InvalidInput, NotPermitted, RateLimited
from domain.identity import NOBODY, Actor, Role
from domain.limits import Limit, LimitSettings
from domain.ports import Passwords
from domain.secret import Secret
from tests.engine.sessions import EMAIL, enter, nobody, refresh
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


@dataclass(slots=True)
class Counted:
    """How often a password was really compared."""

    passwords: Passwords
    verified: int = 0

    async def hash(self, password: str) -> str:
        return await self.passwords.hash(password)

    async def verify(self, password: str, hashed: str | None, *, is_known: bool = False) -> bool:
        self.verified += 1
        return await self.passwords.verify(password, hashed, is_known=is_known)

    def check(self, *, is_known: bool = False) -> None:
        self.passwords.check(is_known=is_known)

    def needs_rehash(self, hashed: str) -> bool:
        return self.passwords.needs_rehash(hashed)


async def test_of_a_thousand_guesses_at_once_ten_are_compared_and_the_owner_comes_in(
    engine: Engine,
) -> None:
    device = (await enter(engine)).device
    counted = Counted(engine.app.passwords)
    engine.app = replace(
        engine.app, passwords=counted, limit_settings=LimitSettings(), limits=MemoryLimits()
    )
    known = await known_by_email(engine.app, EMAIL)

    async def guess_from(ip: str) -> type[object]:
        cmd = SignIn(
            actor=actor_of(known, nobody(ip)),
            known=known,
            email=EMAIL,
            password=Secret("a wrong password"),
            cookie=False,
            device=None,
            at=engine.clock(),
        )
        [came_of] = await asyncio.gather(sign_in(engine.app, cmd), return_exceptions=True)
        return type(came_of)

    came_of = Counter(
        await asyncio.gather(*(guess_from(f"192.0.2.{n % 50}") for n in range(1_000)))
    )

    assert came_of == {NotPermitted: 10, RateLimited: 990}
    assert counted.verified == 10
    with pytest.raises(RateLimited):
        await enter(engine)
    assert (await enter(engine, known_device=device)).access_token


async def test_of_the_guesses_that_a_limit_refuses_the_first_of_a_period_is_written_down(
    engine: Engine,
) -> None:
    allow(engine, sign_in_account=2)
    for _ in range(2):
        assert await guess(engine, "192.0.2.1") is NotPermitted
    before = await engine.written("events", "sessions", "users")
    assert await guess(engine, "192.0.2.1") is RateLimited
    entries = await engine.audit("session.start")
    assert entries[4:] == [("ATTEMPTED", None), ("FAILED", "RATE_LIMITED")]

    for _ in range(5):
        assert await guess(engine, "192.0.2.1") is RateLimited

    assert await engine.written("events", "sessions", "users") == before
    assert await engine.audit("session.start") == entries


async def test_a_refresh_that_a_limit_refuses_changes_nothing(engine: Engine) -> None:
    token = (await enter(engine)).refresh_token
    allow(engine, refresh=1)
    token = await refresh(engine, token)
    before = await engine.written("refresh_tokens", "sessions")

    with pytest.raises(RateLimited):
        await refresh(engine, token)

    assert await engine.written("refresh_tokens", "sessions") == before
    assert (await engine.audit("session.refresh"))[2:] == [
        ("ATTEMPTED", None),
        ("FAILED", "RATE_LIMITED"),
    ]


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
        cmd = RefreshSession(actor=actor, refresh_token=Secret("guessed"), at=engine.clock())
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
