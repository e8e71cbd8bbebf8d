"""The demo user of development: a person with a sandbox link and a year of data."""

from typing import TYPE_CHECKING

import asyncpg
import structlog

from domain.commands.leases import Busy, LeaseLost
from domain.commands.links import ConnectProvider, connect_provider
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.running import RunSync, run_sync
from domain.identity import Actor, Role, UserId, new_id
from domain.secret import Secret
from gateway.documents import builtin

if TYPE_CHECKING:
    from gateway.wiring.root import Wired

log = structlog.get_logger("dashtam.demo")

EMAIL = "demo@example.com"
PASSWORD = "correct-horse-battery-staple"  # noqa: S105 - printed on every start, on purpose
PROVIDER = "sandbox"

WHOSE = "SELECT user_id FROM user_by_email($1)"
SYNCED = """
SELECT EXISTS (
    SELECT FROM sync_runs WHERE user_id = $1 AND status NOT IN ('QUEUED', 'RUNNING')
)"""


def query() -> str:
    """A first one to paste, which production answers too."""
    return next(each.text for each in builtin.manifest() if each.name == "Dashboard").rstrip()


async def is_prepared(url: str) -> bool:
    """Whether there is nothing left to do: asked first, since finding out is cheap."""
    connection = await asyncpg.connect(url)
    try:
        user_id = await connection.fetchval(WHOSE, EMAIL)
        if user_id is None:
            return False
        async with connection.transaction():
            await connection.execute("SELECT enter($1)", user_id)
            return bool(await connection.fetchval(SYNCED, user_id))
    finally:
        await connection.close()


async def prepare_demo(wired: "Wired") -> None:
    """Make the demo user and its synced link, where they are missing. A repeat changes nothing."""
    app = wired.app
    known = await app.doors.user_by_email(EMAIL)
    if known is None:
        cmd = CreateUser(
            actor=actor_to_be(Role.ADMIN),
            email=EMAIL,
            password=Secret(PASSWORD),
            role=Role.ADMIN,  # so that a newcomer sees all there is
            at=app.now(),
        )
        user_id = (await create_user(app, cmd)).id
    else:
        user_id = known.user.id
    actor = Actor(user_id=user_id, role=Role.USER)
    reads = wired.snapshot(actor)
    try:
        links = [link for link in await reads.links() if link.provider_slug == PROVIDER]
        runs = await reads.last_runs([link.id for link in links])
    finally:
        await reads.close()
    if not links:
        await _link(wired, actor)
    elif not any(run.status.is_terminal for run in runs.values()):
        await _sync(wired, user_id)


async def _link(wired: "Wired", actor: Actor) -> None:
    await connect_provider(
        wired.app,
        ConnectProvider(
            actor=actor,
            provider_slug=PROVIDER,
            link_id=None,
            alias=None,
            credentials=None,
            nothing=True,
            at=wired.app.now(),
        ),
    )
    await _sync(wired, actor.user_id)


async def _sync(wired: "Wired", user_id: UserId) -> None:
    """Run what is queued here and now: `/readyz` waits for a dashboard that shows something."""
    actor = Actor(user_id=user_id, role=Role.USER)
    reads = wired.snapshot(actor)
    try:
        runs = await reads.runs(None, limit=10, after=None)
    finally:
        await reads.close()
    for run in runs:
        if run.status.is_terminal:
            continue
        cmd = RunSync(actor=actor, run_id=run.id, worker=new_id(), at=wired.app.now())
        try:
            done = await run_sync(wired.app, cmd)
        except (Busy, LeaseLost):
            continue  # the worker has it
        log.info("demo.synced", run=done.id, status=done.status.value)
