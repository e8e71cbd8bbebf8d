"""What becomes of a password that is hashed anew, or changed, while somebody signs in with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from adapters.security.passwords import Argon2Passwords
from domain.errors import ErrorCode, NotPermitted, Unavailable
from domain.ports import Passwords
from tests.engine.sessions import enter
from tests.engine.world import PASSWORD, Engine

ANOTHER = "another-horse-battery-staple"


@dataclass(slots=True)
class Meanwhile:
    """Once a password was found right, and before anything comes of it, something happens."""

    passwords: Passwords
    happens: Callable[[], Awaitable[object]] | None

    async def hash(self, password: str) -> str:
        return await self.passwords.hash(password)

    async def verify(self, password: str, hashed: str | None, *, is_known: bool = False) -> bool:
        right = await self.passwords.verify(password, hashed)
        if self.happens is not None:
            happens, self.happens = self.happens, None
            await happens()
        return right

    def check(self, *, is_known: bool = False) -> None:
        self.passwords.check(is_known=is_known)

    def needs_rehash(self, hashed: str) -> bool:
        return self.passwords.needs_rehash(hashed)


async def stored(engine: Engine) -> str:
    return str((await engine.one("users"))["password_hash"])


def store(engine: Engine, hashed: str) -> Callable[[], Awaitable[object]]:
    return lambda: engine.spy.execute("UPDATE users SET password_hash = $1", hashed)


async def test_a_hash_of_old_costs_is_replaced_at_sign_in(engine: Engine) -> None:
    before = await stored(engine)
    costlier = Argon2Passwords(memory_kib=128, time_cost=1, parallelism=1)

    known = (await enter(engine)).device
    await enter(engine, app=replace(engine.app, passwords=costlier))

    assert await stored(engine) != before
    assert not costlier.needs_rehash(await stored(engine))
    assert await costlier.verify(PASSWORD, await stored(engine))
    user = (await enter(engine, known_device=known)).user
    assert known is not None
    assert engine.app.devices.known(
        known.reveal(), user, engine.clock()
    )  # the password is the same
    costlier.close()


async def test_who_signs_in_while_the_password_changes_does_not(engine: Engine) -> None:
    changed = await engine.app.passwords.hash(ANOTHER)
    racing = Meanwhile(engine.app.passwords, store(engine, changed))

    with pytest.raises(NotPermitted) as refused:
        await enter(engine, app=replace(engine.app, passwords=racing))

    assert refused.value.code is ErrorCode.SIGN_IN_FAILED
    assert await stored(engine) == changed
    assert await engine.count("sessions") == 0
    assert (await enter(engine, password=ANOTHER)).access_token


async def test_who_signs_in_while_the_password_is_hashed_anew_does(engine: Engine) -> None:
    again = await engine.app.passwords.hash(PASSWORD)
    racing = Meanwhile(engine.app.passwords, store(engine, again))

    assert (await enter(engine, app=replace(engine.app, passwords=racing))).access_token

    assert await stored(engine) == again
    assert await engine.count("sessions") == 1


async def test_who_signs_in_while_the_account_is_deleted_is_refused_as_anyone(
    engine: Engine,
) -> None:
    racing = Meanwhile(engine.app.passwords, lambda: engine.spy.execute("DELETE FROM users"))

    with pytest.raises(NotPermitted) as refused:
        await enter(engine, app=replace(engine.app, passwords=racing))

    assert refused.value.code is ErrorCode.SIGN_IN_FAILED


class Full(Argon2Passwords):
    """There is no place for one more hash."""

    async def hash(self, _: str) -> str:
        raise Unavailable("too many people are signing in")


async def test_who_finds_no_place_to_hash_anew_signs_in_all_the_same(engine: Engine) -> None:
    before = await stored(engine)
    full = Full(memory_kib=128, time_cost=1, parallelism=1)

    assert (await enter(engine, app=replace(engine.app, passwords=full))).access_token

    assert await stored(engine) == before
    full.close()
