"""New keys: everything that is sealed comes under them, once, whatever happens meanwhile."""

import asyncio
import json
import time
from base64 import b64decode
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from adapters.postgres.sealed import COLUMNS, SealedValue, replace_sealed
from adapters.security.keyring import LINGER_S, TAKEN_UP_S, Keyring
from adapters.security.vault import Vault, header_of
from domain.commands.authorizing import Authorize, authorize
from domain.commands.mailing import seal_job
from domain.idempotency import IdempotencyKey
from domain.identity import NOBODY, Actor, Role, new_id
from domain.imports import IN_REQUEST_BYTES_MAX
from domain.sealing import Place, bound_to
from domain.sync import SyncStatus
from gateway.keys.rotating import NotAllRewrapped, Progress, Rotated, RotateKeys, rotate_keys
from tests.engine.consenting import Consenting
from tests.engine.files import account, bank, january
from tests.engine.scripted import Scripted, accounts, checking
from tests.engine.sessions import actor_of, enter
from tests.engine.world import Engine, known
from tests.security.test_keyring import aged

OPERATOR = Actor(user_id=NOBODY, role=Role.ADMIN)
FINGERPRINTS = {Place.LOGIN, Place.ACCOUNT, Place.ACCOUNT_KEY, Place.UPSTREAM}


@dataclass(slots=True, kw_only=True)
class Rotating:
    """A keyring with new keys that are in use by now, and nothing under them yet."""

    engine: Engine
    path: Path

    def new_keys(self) -> Keyring:
        Keyring.rotate(self.path)
        return aged(self.path, TAKEN_UP_S)

    async def go(self, *, prune: bool = False, **said: object) -> Rotated:
        cmd = RotateKeys(
            actor=OPERATOR,
            at=self.engine.clock(),
            path=self.path,
            pool=self.engine.wired.pool,
            prune=prune,
        )
        return await rotate_keys(self.engine.app, replace(cmd, **said))  # type: ignore[arg-type]

    async def sealed(self) -> list[SealedValue]:
        """Every sealed value of the database."""
        found = []
        for place, c in COLUMNS.items():
            rows = await self.engine.spy.fetch(
                f"SELECT user_id, {c.row or 'NULL::uuid'} AS row_id, {c.version} AS version,"
                f" {c.column} AS sealed FROM {c.table} WHERE {c.column} IS NOT NULL"
            )
            found += [SealedValue(place, *row.values()) for row in rows]
        for row in await self.engine.rows("jobs.pgqueuer", "position('sealed' IN payload) > 0"):
            said = json.loads(row["payload"])
            ids = UUID(said["user"]), UUID(said["id"])
            found.append(SealedValue(Place.JOB, *ids, 0, b64decode(said["sealed"])))
        return found

    async def under(self, key_id: str) -> int:
        return sum(value.sealed.startswith(header_of(key_id)) for value in await self.sealed())


@pytest.fixture
async def rotating(engine: Engine, scripted: Scripted) -> Rotating:
    """With a sealed value of each kind: one at least, and several of some."""
    scripted.script = [accounts(checking())]
    await engine.linked(provider="scripted", login="ann")
    await engine.imported(bank(account(january(2, 3)), account(january(4), number="1002")))
    large = bank(account(january(5), number="1003")) + b" " * IN_REQUEST_BYTES_MAX
    waiting = await engine.bring_in(large, alias=None)
    assert waiting.run is not None
    assert not waiting.run.status.is_terminal
    async with engine.app.store.begin(engine.actor, None) as work:
        place = bound_to(Place.TOTP_SEED, engine.actor.user_id, version=1)
        await work.second_factors.save_secret(
            lambda _: engine.app.vault.seal(b"seed", context=place)
        )
        key = new_id()
        sealed = seal_job(engine.app, engine.actor.user_id, key, {"token": "mailed"})
        held = IdempotencyKey(user_id=engine.actor.user_id, id=new_id(), holder=new_id())
        answer = bound_to(Place.ANSWER, held.user_id, held.id)
        await work.idempotency_keys.take(held, b"", engine.clock())
        await work.idempotency_keys.answer(
            held, engine.app.vault.seal(b"{}", context=answer), engine.clock(), if_done=False
        )
        work.later("mail", key=str(key), payload={"id": str(key), "sealed": sealed})
    await _ask_for_consent(engine)
    found = Rotating(engine=engine, path=engine.data_dir / "keyring.json")
    assert {value.place for value in await found.sealed()} == set(Place) - FINGERPRINTS
    return found


async def _ask_for_consent(engine: Engine) -> None:
    """Which is answered by nobody."""
    cmd = Authorize(
        actor=await actor_of(engine, await enter(engine)),
        provider_slug="consenting",
        link_id=None,
        alias=None,
        return_to=None,
        at=engine.clock(),
    )
    await authorize(replace(engine.app, providers=known(Consenting())), cmd)


async def test_every_column_that_holds_sealed_values_is_known(engine: Engine) -> None:
    columns = await engine.spy.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%sealed%'"
    )
    assert {tuple(c.values()) for c in columns} == {(c.table, c.column) for c in COLUMNS.values()}
    assert COLUMNS.keys() == set(Place) - FINGERPRINTS - {Place.JOB}


async def test_everything_comes_under_the_new_key_and_nothing_else_changes(
    rotating: Rotating,
) -> None:
    engine, old = rotating.engine, Keyring.load(rotating.path)
    before = {value.context: value.sealed for value in await rotating.sealed()}
    plain = {c: engine.app.vault.open(s, context=c) for c, s in before.items()}
    rows = await _without_sealed(engine)
    new = rotating.new_keys()

    rotated = await rotating.go()

    after = {value.context: value.sealed for value in await rotating.sealed()}
    assert rotated.rewrapped == len(after) == await rotating.under(new.sealing[0].id)
    assert not rotated.keyring.rotating
    only_new = Vault(replace(new, sealing=new.sealing[:1]))
    assert {c: only_new.open(s, context=c) for c, s in after.items()} == plain
    assert await _without_sealed(engine) == rows
    assert old.sealing[0] in rotated.keyring.sealing
    assert await engine.audit("keys.rotate") == [("ATTEMPTED", None), ("SUCCEEDED", None)]


async def test_a_link_syncs_before_while_and_after_its_credentials_are_rewrapped(
    rotating: Rotating,
) -> None:
    """In one process, which never starts anew."""
    engine = rotating.engine
    [link] = await engine.rows("links", "provider_slug = 'scripted'")

    async def syncs() -> bool:
        [asked] = await engine.request(link_id=link["id"], force=True)
        return (await engine.run(asked.id)).status is SyncStatus.SUCCEEDED

    rotating.new_keys()
    assert await syncs()
    await rotating.go()
    assert await rotating.under(Keyring.load(rotating.path).sealing[0].id) > 1
    await asyncio.sleep(1)  # until it looks at the file again
    assert await syncs()


async def test_a_rotation_that_was_cut_off_goes_on_with_its_own_keys(rotating: Rotating) -> None:
    new = rotating.new_keys()

    def cut(_: Progress) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await rotating.go(told=cut)
    done = await rotating.under(new.sealing[0].id)
    everything = len(await rotating.sealed())
    assert 0 < done < everything
    assert Keyring.load(rotating.path).rotating

    rotated = await rotating.go()

    assert rotated.rewrapped == everything - done
    assert rotated.keyring == replace(new, rotating=False)
    outcomes = [outcome for outcome, _ in await rotating.engine.audit("keys.rotate")]
    assert outcomes == ["ATTEMPTED", "FAILED", "ATTEMPTED", "SUCCEEDED"]


async def test_a_value_that_is_saved_meanwhile_is_not_overwritten(rotating: Rotating) -> None:
    engine, spy = rotating.engine, rotating.engine.spy
    new = rotating.new_keys()
    vault = Vault(new)
    [value] = [v for v in await rotating.sealed() if v.place is Place.CREDENTIALS]
    saved = vault.seal(b"newer", context=value.context)
    pool: asyncpg.Pool = engine.wired.pool
    async with pool.acquire() as connection:
        work = replace_sealed(
            connection,
            value.user_id,
            vault.header,
            lambda value: vault.rewrap(value.sealed, context=value.context),
        )
        async with spy.transaction(), asyncio.timeout(5):
            await spy.execute("UPDATE credentials SET sealed = $1", saved)
            rewrapping = asyncio.create_task(work)
            await _until_blocked(spy)
        rewrapped = await rewrapping
    assert rewrapped == len(await rotating.sealed()) - 2  # without this one, and the job's
    assert (await engine.one("credentials"))["sealed"] == saved


async def test_what_no_key_opens_is_named_and_the_rest_is_done(rotating: Rotating) -> None:
    engine = rotating.engine
    [file] = await engine.rows("import_files", "sealed_content IS NOT NULL")
    numbers = await engine.rows("accounts", "sealed_number IS NOT NULL", order="id")
    swapped = "UPDATE accounts SET sealed_number = $2 WHERE id = $1"
    for one, other in (numbers[:2], numbers[1::-1]):
        await engine.spy.execute(swapped, one["id"], other["sealed_number"])
    garbage = "UPDATE import_files SET sealed_content = 'garbage' WHERE run_id = $1"
    await engine.spy.execute(garbage, file["run_id"])
    new = rotating.new_keys()

    with pytest.raises(NotAllRewrapped) as failure:
        await rotating.go()

    shut = {(one.value.place, one.value.row_id) for one in failure.value.shut}
    assert shut == {
        (Place.FILE, file["run_id"]),
        *((Place.ACCOUNT_NUMBER, row["id"]) for row in numbers[:2]),
    }
    assert failure.value.rotated.rewrapped == len(await rotating.sealed()) - 3
    assert not any(str(one.value.sealed) in str(one) for one in failure.value.shut)
    assert (await engine.audit("keys.rotate"))[-1] == ("FAILED", "NOT_ALL_REWRAPPED")
    # Their key is needed for as long as they are there: the owner may still put them right.
    aged(rotating.path, LINGER_S)
    with pytest.raises(NotAllRewrapped) as failure:
        await rotating.go(prune=True)
    assert len(failure.value.rotated.keyring.sealing) == 2
    assert failure.value.rotated.keyring.sealing[0].id == new.sealing[0].id


async def test_old_keys_go_once_nothing_needs_them(rotating: Rotating) -> None:
    old = Keyring.load(rotating.path)
    new = rotating.new_keys()
    kept = await rotating.go(prune=True)
    assert (kept.removed, kept.rewrapped) == (0, len(await rotating.sealed()))
    aged(rotating.path, LINGER_S)

    gone = await rotating.go(prune=True)

    assert (gone.removed, gone.rewrapped) == (2, 0)
    assert [key.id for key in gone.keyring.sealing] == [new.sealing[0].id]
    assert [key.kid for key in gone.keyring.signing] == [new.signing[0].kid]
    assert gone.keyring.mac == old.mac
    vault = Vault(gone.keyring)
    for value in await rotating.sealed():
        vault.open(value.sealed, context=value.context)


async def test_without_being_cut_off_each_rotation_makes_keys_of_its_own(
    rotating: Rotating,
) -> None:
    began = time.monotonic()
    rotated = await rotating.go()
    assert len(rotated.keyring.sealing) == 2
    assert time.monotonic() - began >= 1  # nobody uses a key that others may not have read
    assert await rotating.under(rotated.keyring.sealing[0].id) == len(await rotating.sealed())


async def _without_sealed(engine: Engine) -> object:
    """All rows but for what is sealed in them, and whose transaction wrote them."""
    hidden = ("xmin", *(c.column for c in COLUMNS.values()))
    tables = ("users", *(c.table for c in COLUMNS.values()))
    return await engine.said(*tables, leave_out=hidden)


async def _until_blocked(spy: asyncpg.Connection) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
    while not await spy.fetchval(waits, spy.get_server_pid()):  # noqa: ASYNC110 - of a server
        await asyncio.sleep(0.01)
