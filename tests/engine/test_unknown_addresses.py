"""Whoever does not know the password cannot tell whether there is an account."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy import event

from adapters.postgres.store import PostgresStore
from domain.commands.signing_in import FAILED, record_failed
from domain.errors import NotFound, NotPermitted
from domain.identity import NOBODY, UserId, new_id
from domain.secret import Secret
from gateway.worker.chores import CHORES
from tests.engine.sessions import EMAIL, PHONE, enter
from tests.engine.world import Engine


@contextmanager
def heard(engine: Engine) -> Iterator[list[str]]:
    """The statements of all units of work, in their order."""
    said: list[str] = []

    def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
        said.append(statement)

    writes = cast("PostgresStore", engine.app.store)._engine.sync_engine
    event.listen(writes, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(writes, "before_cursor_execute", hear)


async def failed(engine: Engine, email: str, device: Secret | None = None) -> list[str]:
    with heard(engine) as said, pytest.raises(NotPermitted):
        await enter(engine, email=email, password="a wrong password", known_device=device)
    return said


async def jobs(engine: Engine) -> list[asyncpg.Record]:
    return [*await engine.rows("jobs.pgqueuer", "entrypoint = $1", FAILED, order="id")]


async def test_a_known_and_an_unknown_address_take_the_same_statements(engine: Engine) -> None:
    known = await failed(engine, EMAIL)
    unknown = await failed(engine, "nobody@example.com")

    assert len(known) >= 5
    assert known == unknown
    sizes = {len(row["payload"]) for row in await jobs(engine)}
    assert (len(await jobs(engine)), len(sizes)) == (2, 1)


async def test_the_lookup_is_of_one_address_and_not_of_a_pattern(engine: Engine) -> None:
    for email in ("%@example.com", "a_n@example.com", "%", "_nn@example.com", "ann@example.co_"):
        with pytest.raises(NotPermitted):
            await enter(engine, email=email)
    assert (await enter(engine, email=" ANN@Example.com ")).access_token


async def test_the_worker_tells_the_owner_of_a_failed_attempt_and_nobody_of_another(
    engine: Engine,
) -> None:
    for email in (EMAIL, "nobody@example.com"):
        await failed(engine, email)
    assert await engine.events() == []
    user = engine.actor.user_id

    assert CHORES[FAILED] is record_failed
    said = {"at": engine.clock().isoformat(), "code": "SIGN_IN_FAILED", "ip": PHONE}
    await asyncio.gather(*(record_failed(engine.app, who, said) for who in (user, NOBODY)))

    told = await engine.one("events")
    assert (told["user_id"], told["name"], told["at"]) == (user, "signin.failed", engine.clock())
    assert '"ip_address": "192.0.2.7"' in told["facts"]
    with pytest.raises(NotFound):  # gone by then
        await record_failed(engine.app, UserId(new_id()), said)
