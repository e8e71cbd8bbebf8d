"""One sync of 10,000 sandbox transactions, by the commands that the worker runs.

Run as a program it is a process of its own on the database that the environment names; it writes
a Synced to standard output. The person is made when they are not there yet.
"""

import asyncio
import os
import sys
from time import perf_counter, process_time

import msgspec

from domain.commands.links import ConnectProvider, connect_provider
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.running import RunSync, run_sync
from domain.commands.sync import RequestSync, request_sync
from domain.identity import Actor, Role, new_id
from domain.secret import Secret, Secrets
from domain.sync import SyncRun, SyncStatus
from gateway.logs import configure
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire

EMAIL = "sync@bench.invalid"
SCENARIO = "large"
PASSWORD = "nobody ever signs in with it"  # noqa: S105 - same


class Synced(msgspec.Struct, kw_only=True):
    """Of one run, from when its job began until it was over."""

    seconds: float
    cpu_s: float  # of this process; the provider's simulation is a part of it
    status: str
    received: int  # transactions
    created: int
    unchanged: int


async def synced(wired: Wired) -> Synced:
    run = await _queued(wired)
    cmd = RunSync(
        actor=Actor(user_id=run.user_id, role=Role.USER),
        run_id=run.id,
        worker=new_id(),
        at=wired.app.now(),
    )
    begun, worked = perf_counter(), process_time()
    done = await run_sync(wired.app, cmd)
    seconds, cpu_s = perf_counter() - begun, process_time() - worked
    if done.status is not SyncStatus.SUCCEEDED:
        raise RuntimeError(f"the sync ended as {done.status.value}: {done.error}")
    return Synced(
        seconds=seconds,
        cpu_s=cpu_s,
        status=done.status.value,
        received=done.transactions.received,
        created=done.transactions.created,
        unchanged=done.transactions.unchanged,
    )


async def _queued(wired: Wired) -> SyncRun:
    """The first sync of a new link, or all of it once more."""
    app = wired.app
    known = await app.doors.user_by_email(EMAIL)
    if known is not None:
        actor = Actor(user_id=known.user.id, role=Role.USER)
        again = RequestSync(
            actor=actor,
            link_id=None,
            account_id=None,
            scopes=None,
            since=None,
            until=None,
            force=True,
            at=app.now(),
        )
        return (await request_sync(app, again))[0]
    new = CreateUser(
        actor=actor_to_be(Role.USER),
        email=EMAIL,
        password=Secret(PASSWORD),
        role=Role.USER,
        at=app.now(),
    )
    actor = Actor(user_id=(await create_user(app, new)).id, role=Role.USER)
    connect = ConnectProvider(
        actor=actor,
        provider_slug="sandbox",
        link_id=None,
        alias=None,
        credentials=Secrets({"scenario": SCENARIO}),
        nothing=None,
        at=app.now(),
    )
    await connect_provider(app, connect)
    reads = wired.snapshot(actor)
    try:
        return (await reads.runs(None, limit=1, after=None))[0]
    finally:
        await reads.close()


async def _main() -> Synced:
    async with wire(Settings.read(os.environ)) as wired:
        return await synced(wired)


def main() -> None:
    configure("error")
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_main())))


if __name__ == "__main__":
    main()
