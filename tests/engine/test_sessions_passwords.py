"""A hash that is made anew at sign-in never undoes a change of the password meanwhile."""

from dataclasses import dataclass, replace

import asyncpg

from adapters.security.passwords import Argon2Passwords
from domain.ports import Passwords
from tests.engine.sessions import enter
from tests.engine.world import PASSWORD, Engine


@dataclass(slots=True)
class ChangedMeanwhile:
    """Asks for a new hash, and while it is made somebody changes the password."""

    passwords: Passwords
    spy: asyncpg.Connection
    changed: str | None

    async def hash(self, password: str) -> str:
        if self.changed:
            await self.spy.execute("UPDATE users SET password_hash = $1", self.changed)
        return await self.passwords.hash(password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        return await self.passwords.verify(password, hashed)

    def needs_rehash(self, hashed: str) -> bool:
        return self.passwords.needs_rehash(hashed)


async def stored(engine: Engine) -> str:
    return str((await engine.one("users"))["password_hash"])


async def test_a_hash_of_old_costs_is_replaced_at_sign_in(engine: Engine) -> None:
    before = await stored(engine)
    costlier = Argon2Passwords(memory_kib=128, time_cost=1, parallelism=1)

    await enter(engine, app=replace(engine.app, passwords=costlier))

    assert await stored(engine) != before
    assert not costlier.needs_rehash(await stored(engine))
    assert await costlier.verify(PASSWORD, await stored(engine))
    costlier.close()


async def test_a_password_that_was_changed_meanwhile_stays_changed(engine: Engine) -> None:
    costlier = Argon2Passwords(memory_kib=128, time_cost=1, parallelism=1)
    changed = await costlier.hash("another-horse-battery-staple")
    racing = ChangedMeanwhile(passwords=costlier, spy=engine.spy, changed=changed)

    await enter(engine, app=replace(engine.app, passwords=racing))

    assert await stored(engine) == changed
    costlier.close()
