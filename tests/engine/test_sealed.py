"""Credentials against whoever can write into the database: what is moved or put back opens not."""

import pytest

from domain.errors import ErrorCode
from domain.links import Link
from domain.sealing import Place, bound_to
from domain.sync import SyncStatus
from tests.engine.scripted import Scripted, accounts, checking
from tests.engine.world import Engine

PUT = "UPDATE credentials SET sealed = $2 WHERE link_id = $1"


async def shut(engine: Engine, link: Link) -> bool:
    run = await engine.sync(link)
    if run.error is None:
        assert run.status is SyncStatus.SUCCEEDED
        return False
    assert run.error.code is ErrorCode.CONFLICT
    assert run.error.message.startswith("the stored credentials cannot be opened")
    return True


async def sealed(engine: Engine, link: Link) -> bytes:
    return bytes((await engine.one("credentials", "link_id = $1", link.id))["sealed"])


@pytest.fixture
def talking(scripted: Scripted) -> Scripted:
    scripted.script = [accounts(checking())]
    return scripted


async def test_credentials_of_another_link_do_not_open(engine: Engine, talking: Scripted) -> None:
    ann, _ = await engine.linked(provider="scripted", login="ann")
    bob, _ = await engine.linked(provider="scripted", login="bob")
    both = await sealed(engine, ann), await sealed(engine, bob)
    for link, other in ((ann, both[1]), (bob, both[0])):
        await engine.spy.execute(PUT, link.id, other)
        assert await shut(engine, link)
    for link, own in zip((ann, bob), both, strict=True):
        await engine.spy.execute(PUT, link.id, own)
        assert not await shut(engine, link)


async def test_credentials_that_were_replaced_do_not_open_again(
    engine: Engine, talking: Scripted
) -> None:
    """Nor when they were shredded in between, and the link mended."""
    link, _ = await engine.linked(provider="scripted", login="ann")
    for _ in range(2):
        old = await sealed(engine, link)
        await engine.connect(provider="scripted", link_id=link.id, login="ann")
        await engine.run_waiting()
        new = await sealed(engine, link)
        await engine.spy.execute(PUT, link.id, old)
        assert await shut(engine, link)
        await engine.spy.execute(PUT, link.id, new)
        assert not await shut(engine, link)
        await engine.spy.execute("DELETE FROM credentials WHERE link_id = $1", link.id)
        await engine.connect(provider="scripted", link_id=link.id, login="ann")
        await engine.run_waiting()
        await engine.spy.execute(PUT, link.id, new)
        assert await shut(engine, link)
        await engine.connect(provider="scripted", link_id=link.id, login="ann")
        await engine.run_waiting()


async def test_credentials_that_the_release_before_sealed_still_open(
    engine: Engine, talking: Scripted
) -> None:
    link, _ = await engine.linked(provider="scripted", login="ann")
    place = bound_to(Place.CREDENTIALS, link.user_id, link.id)
    before = engine.app.vault.seal(b'{"login": "ann"}', context=place)
    statement = PUT.replace("sealed = $2", "sealed = $2, version = 0")
    await engine.spy.execute(statement, link.id, before)
    assert not await shut(engine, link)
    assert talking.asked[-1].credentials == {"login": "ann"}
