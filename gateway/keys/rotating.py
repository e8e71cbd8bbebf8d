"""New keys for a gateway that runs: made, and everything that is sealed brought under them.

Killed at any point it is run again and goes on: the keyring's file says that a rotation is under
way, and what is done already begins with the new key's id.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from adapters.postgres.pool import AWAY
from adapters.postgres.sealed import SealedValue, replace_in_jobs, replace_sealed, users_beyond
from adapters.security.keyring import Keyring
from adapters.security.reloading_keyring import ReloadingKeyring
from adapters.security.vault import Vault, key_of
from domain.errors import Unavailable
from domain.handling import command
from domain.identity import Actor
from domain.ports import App, Unsealable

AT_ONCE = 4  # people
PAGE = 500
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Shut:
    """A value that stays as it is, since no key opens it where it lies."""

    value: SealedValue
    reason: str

    def __str__(self) -> str:
        value = self.value
        row = f" {value.row_id}" if value.row_id else ""
        return f"{value.place.value}{row} of user {value.user_id}: {self.reason}"


class NotAllRewrapped(Exception):
    """Everything was gone through, and some of it is not under the new key."""

    audit_detail = "NOT_ALL_REWRAPPED"

    def __init__(self, rotated: "Rotated", shut: list[Shut]) -> None:
        super().__init__(f"{len(shut)} values cannot be opened")
        self.rotated, self.shut = rotated, shut


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """`took_s` is what the values took; `removed` is how many keys went, of both kinds."""

    keyring: Keyring
    rewrapped: int
    took_s: float
    removed: int


@dataclass(slots=True)
class Progress:
    """Of one pass; `told` hears of each person."""

    people: int = 0
    values: int = 0
    shut: list[Shut] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKeys:
    """With `prune` no new keys are made: what is left is rewrapped, and old keys that nothing
    needs any more are removed."""

    actor: Actor
    at: datetime
    path: Path
    pool: asyncpg.Pool = field(repr=False)
    prune: bool = False
    told: Callable[[Progress], None] = lambda _: None


@command("keys.rotate", permits=None)
async def rotate_keys(app: App, cmd: RotateKeys) -> Rotated:
    """For whoever has the keyring's file, which is more than any role.

    Raises:
        KeyringError: the file cannot be used, or changed.
        Unavailable: the database went away; what was done stays done.
        NotAllRewrapped: some values open with no key; no key that one names is removed.
    """
    keyring = Keyring.load(cmd.path) if cmd.prune else Keyring.rotate(cmd.path)
    while (wait_s := keyring.sealing[0].since - time.time()) > 0:  # noqa: ASYNC110 - clocks are set
        await asyncio.sleep(wait_s)
    began = time.monotonic()
    count, shut = await _rewrap_all(cmd, Vault(ReloadingKeyring(cmd.path, keyring)))
    took_s = time.monotonic() - began
    keyring, had = Keyring.rotated(cmd.path), _size(keyring)
    if cmd.prune:
        unused = {key.id for key in keyring.sealing} - _named(shut)
        keyring = Keyring.prune(cmd.path, unused=unused, now=time.time())
    rotated = Rotated(keyring=keyring, rewrapped=count, took_s=took_s, removed=had - _size(keyring))
    if shut:
        raise NotAllRewrapped(rotated, shut)
    return rotated


def _named(shut: list[Shut]) -> set[str]:
    """The keys that these values name, where they are such that they can."""
    found = set()
    for one in shut:
        with suppress(Unsealable):
            found.add(key_of(one.value.sealed))
    return found


def _size(keyring: Keyring) -> int:
    return len(keyring.sealing) + len(keyring.signing)


async def _rewrap_all(cmd: RotateKeys, vault: Vault) -> tuple[int, list[Shut]]:
    """Again and again, until a pass found nothing to do: values were stored meanwhile, too."""
    count = 0
    while True:
        progress = Progress()
        try:
            await _rewrap(cmd, vault, progress)
        except (asyncpg.InterfaceError, *AWAY) as error:
            raise Unavailable("the database went away; run this again and it goes on") from error
        count += progress.values
        if not progress.values:
            return count, progress.shut


async def _rewrap(cmd: RotateKeys, vault: Vault, progress: Progress) -> None:
    header = vault.header

    def rewrap(value: SealedValue) -> bytes | None:
        try:
            return vault.rewrap(value.sealed, context=value.context)
        except Unsealable as error:
            progress.shut.append(Shut(value, str(error)))
            return None

    async def each(people: Iterator[UUID]) -> None:
        for user_id in people:
            async with cmd.pool.acquire() as connection:
                count = await replace_sealed(connection, user_id, header, rewrap)
            progress.values += count
            progress.people += 1
            cmd.told(progress)

    last = FIRST
    while page := await _after(cmd.pool, last):
        people = iter(page)
        await _all(each(people) for _ in range(AT_ONCE))
        last = page[-1]
    async with cmd.pool.acquire() as connection:
        progress.values += await replace_in_jobs(connection, header, rewrap)


async def _after(pool: asyncpg.Pool, last: UUID) -> Sequence[UUID]:
    async with pool.acquire() as connection:
        return await users_beyond(connection, last, PAGE)


async def _all(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Where one fails the others end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
