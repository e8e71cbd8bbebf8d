"""Who has an idempotency key, among the requests of one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest

from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.idempotency import IdempotencyKey
from domain.identity import Actor, Role, new_id
from domain.secret import Secret
from gateway.operations.idempotency import HeldKeys
from tests.engine.world import PASSWORD, Engine, running_engine
from tests.servers import Database

SAID = b"what was asked for"


@pytest.fixture
async def engine(database: Database, tmp_path: Path) -> AsyncIterator[Engine]:
    async with running_engine(database, tmp_path) as running:
        yield running


async def bob(engine: Engine) -> Actor:
    person = await create_user(
        engine.app,
        CreateUser(
            actor=actor_to_be(Role.USER),
            email="bob@example.com",
            password=Secret(PASSWORD),
            role=Role.USER,
            at=engine.clock(),
        ),
    )
    return Actor(user_id=person.id, role=Role.USER)


async def begin(keys: HeldKeys, actor: Actor, id: UUID) -> tuple[IdempotencyKey, bytes | None]:
    key = IdempotencyKey(user_id=actor.user_id, id=id, holder=new_id())
    return key, await keys.first(actor, key, SAID, nullcontext)


async def test_nobody_waits_for_anothers_request_under_the_same_key(engine: Engine) -> None:
    keys, id, other = HeldKeys(engine.app), new_id(), await bob(engine)
    async with asyncio.timeout(5):
        mine, known = await begin(keys, engine.actor, id)
        assert known is None
        async with keys.held(engine.actor, mine):
            theirs, known = await begin(keys, other, id)
            assert known is None
            async with keys.held(other, theirs) as keep:
                await keep(b"theirs", if_done=False)
    assert (await begin(keys, other, id))[1] == b"theirs"


async def test_of_those_who_waited_for_one_that_came_to_nothing_one_is_the_first(
    engine: Engine,
) -> None:
    keys, id = HeldKeys(engine.app), new_id()

    async def ask() -> bytes:
        key, known = await begin(keys, engine.actor, id)
        if known is not None:
            return known
        async with keys.held(engine.actor, key) as keep:
            answer = str(key.holder).encode()
            await asyncio.sleep(0.05)
            await keep(answer, if_done=False)
            return answer

    mine, _ = await begin(keys, engine.actor, id)
    async with keys.held(engine.actor, mine):
        repeats = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.sleep(0.05)
    assert len(set(await asyncio.gather(*repeats))) == 1
