"""Users, sessions and links come back as they were written."""

from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from domain.errors import Conflict, ErrorCode, LinkAction, NotFound
from domain.identity import Actor, Role, new_id
from domain.links import Lease, Link, LinkStatus, Renewal, SealedCredentials, SyncError
from domain.storage.work import Work
from tests.builders import NOW, a_link
from tests.postgres.writes.world import (
    a_person,
    a_session,
    a_user,
)

# ── people ────────────────────────────────────────────────────────────────────


async def test_a_user_comes_back_as_written(store: PostgresStore) -> None:
    user = a_user()
    actor = Actor(user_id=user.id, role=user.role)
    async with store.begin(actor, None) as work:
        await work.users.add(user, "a hash")
    changed = replace(user, role=Role.READONLY, session_limit=None, token_version=9)

    async with store.begin(actor, None) as work:
        assert await work.users.get(lock=True) == user
        await work.users.save(changed)
    async with store.begin(actor, None) as work:
        assert await work.users.get() == changed


async def test_an_address_that_is_taken_is_a_conflict(store: PostgresStore) -> None:
    await a_person(store, email="same@example.com")

    with pytest.raises(Conflict) as refusal:
        await a_person(store, email="same@example.com")
    assert refusal.value.field == ("input", "email")


async def test_nobody_adds_another_user(store: PostgresStore, alice: Actor) -> None:
    with pytest.raises(Exception, match="row-level security"):
        async with store.begin(alice, None) as work:
            await work.users.add(a_user(), "a hash")


async def test_who_is_not_there_is_not_found(store: PostgresStore) -> None:
    with pytest.raises(NotFound):
        async with store.begin(Actor(user_id=a_user().id, role=Role.USER), None) as work:
            await work.users.get()


async def test_live_sessions_come_the_one_used_longest_ago_first(
    store: PostgresStore, alice: Actor
) -> None:
    old = a_session(alice, last_used_at=NOW - timedelta(hours=1))
    new, ended = a_session(alice), a_session(alice, ended_at=NOW)
    expired = a_session(alice, expires_at=NOW)
    async with store.begin(alice, None) as work:
        for session in (new, old, ended, expired):
            await work.sessions.add(session)
    rotated = old.rotated(refresh_hash=b"next", at=NOW)

    async with store.begin(alice, None) as work:
        assert await work.sessions.live(NOW) == [old, new]
        await work.sessions.save(rotated)
        assert await work.sessions.get(old.id, lock=True) == rotated


# ── links ─────────────────────────────────────────────────────────────────────


async def test_a_link_comes_back_as_written(store: PostgresStore, alice: Actor) -> None:
    link = a_link(
        user_id=alice.user_id,
        alias="mine",
        login="a login",
        last_synced_at=NOW,
        next_sync_at=NOW,
        credentials_expire_at=NOW,
        sync_every_s=3_600,
        cursor="c1",
    )
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        assert await work.links.get(link.id, lock=True) == link
        assert await work.links.by_login("sandbox", "a login") == link
        assert await work.links.list([LinkStatus.ACTIVE]) == [link]
        assert await work.links.list([LinkStatus.FAILED]) == []

    async with store.begin(alice, None) as work:
        await work.links.save(link.disconnected())
        assert await work.links.by_login("sandbox", "a login") is None


async def test_a_fence_never_goes_back(store: PostgresStore, alice: Actor) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
    fences = []
    for _ in range(3):
        async with store.begin(alice, None) as work:
            free = await work.links.get(link.id)
            assert free.lease is None or free.lease.until <= NOW
            fence = free.lease.fence + 1 if free.lease else 1
            lease = Lease(holder=new_id(), until=NOW + timedelta(minutes=1), fence=fence)
            await work.links.save(replace(free, lease=lease))
            assert (await work.links.get(link.id)).lease == lease
            fences.append(fence)
            await work.links.save(replace(free, lease=None))
    assert fences == [1, 2, 3]


async def test_a_login_is_linked_once(store: PostgresStore, alice: Actor) -> None:
    async with store.begin(alice, None) as work:
        await work.links.add(a_link(user_id=alice.user_id, login="a login"))
    with pytest.raises(Conflict):
        async with store.begin(alice, None) as work:
            await work.links.add(a_link(user_id=alice.user_id, login="a login"))


async def test_credentials_are_replaced_and_shredded(store: PostgresStore, alice: Actor) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        assert await work.links.credentials(link.id) is None
        await work.links.save_credentials(link.id, lambda _: b"old")
        await work.links.save_credentials(link.id, lambda _: b"new")
        assert (await _credentials(work, link)).sealed == b"new"
        await work.links.shred_credentials(link.id)
        assert await work.links.credentials(link.id) is None


async def test_what_seals_credentials_is_told_a_version_that_was_never_told_before(
    store: PostgresStore, alice: Actor
) -> None:
    link = a_link(user_id=alice.user_id)
    told: list[int] = []

    def seal(version: int) -> bytes:
        told.append(version)
        return b"sealed"

    async with store.begin(alice, None) as work:
        await work.links.add(link)
        for _ in range(3):
            await work.links.save_credentials(link.id, seal)
            assert (await _credentials(work, link)).version == told[-1]
            if len(told) == 2:
                await work.links.shred_credentials(link.id)
    assert 0 < told[0] < told[1] < told[2]


async def test_what_the_release_before_saves_has_no_version(
    store: PostgresStore, superuser: asyncpg.Connection, alice: Actor
) -> None:
    """It names none when it seals, so it must not be opened with the one that was there."""
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        await work.links.save_credentials(link.id, lambda _: b"new", renew_at=NOW)
        await work.links.save_renewal(link.id, Renewal(fence=3, attempt=1, began_at=NOW))
    await superuser.execute(
        "UPDATE credentials SET sealed = 'rewrapped' WHERE link_id = $1", link.id
    )
    async with store.begin(alice, None) as work:
        known = await _credentials(work, link)
        assert known.version > 0
        assert known.renewal == Renewal(fence=3, attempt=1, began_at=NOW)
    await superuser.execute(
        "INSERT INTO credentials (user_id, link_id, sealed, updated_at)"
        " VALUES ($1, $2, 'old', clock_timestamp()) ON CONFLICT (user_id, link_id)"
        " DO UPDATE SET sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at",
        *(alice.user_id, link.id),
    )
    async with store.begin(alice, None) as work:
        assert await _credentials(work, link) == SealedCredentials(b"old", 0)


async def test_a_renewal_is_known_until_it_ends_or_others_are_saved(
    store: PostgresStore, alice: Actor
) -> None:
    link, begun = a_link(user_id=alice.user_id), Renewal(fence=1, attempt=2, began_at=NOW)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        await work.links.save_credentials(link.id, lambda _: b"one", renew_at=NOW)
        await work.links.save_renewal(link.id, begun)
        before = await _credentials(work, link)
        assert (before.renew_at, before.renewal) == (NOW, begun)
        await work.links.save_renewal(link.id, None)
        assert (await _credentials(work, link)).renewal is None
        await work.links.save_renewal(link.id, begun)
        await work.links.save_credentials(link.id, lambda _: b"two")
        after = await _credentials(work, link)
        assert (after.renew_at, after.renewal) == (None, None)


async def test_what_is_wrong_with_a_link_is_told_by_the_change_feed_and_when_to_look_is_not(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    link = a_link(user_id=alice.user_id)
    error = SyncError(
        code=ErrorCode.PROVIDER_UNAVAILABLE,
        message="pay first",
        retry_after_s=60,
        action=LinkAction.PAY_PROVIDER,
    )
    async with store.begin(alice, None) as work:
        await work.links.add(link)
    version = "SELECT data_version FROM links WHERE id = $1"
    first = await superuser.fetchval(version, link.id)
    async with store.begin(alice, None) as work:
        await work.links.save(replace(link, expiry_due_at=NOW))
    assert await superuser.fetchval(version, link.id) == first
    async with store.begin(alice, None) as work:
        await work.links.save(replace(link, error=error, expiry_due_at=NOW))
    async with store.begin(alice, None) as work:
        stored = await work.links.get(link.id)
    assert (stored.error, stored.expiry_due_at) == (error, NOW)
    assert await superuser.fetchval(version, link.id) > first


async def _credentials(work: Work, link: Link) -> SealedCredentials:
    found = await work.links.credentials(link.id)
    assert found is not None
    return found


async def test_a_link_that_is_not_there_is_not_found(store: PostgresStore, alice: Actor) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        with pytest.raises(NotFound):
            await work.links.get(link.id)
        with pytest.raises(NotFound):
            await work.links.save(link)
