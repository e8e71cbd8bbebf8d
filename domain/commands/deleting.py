"""Leaving: an account goes with everything in it, and only the audit log remembers that it was."""

from dataclasses import dataclass
from datetime import datetime

from domain.commands.links import NOTHING_GRANTED, grant_of
from domain.commands.mailing import say_goodbye
from domain.commands.passwords import may_prove, proved, unchanged
from domain.commands.people import another_administrates
from domain.commands.revoking import revoke_upstream
from domain.handling import command
from domain.identity import Actor, Permission
from domain.links import LinkStatus
from domain.ports import App
from domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteViewer:
    actor: Actor
    password: Secret
    at: datetime


@command("user.delete", permits=Permission.WRITE_SESSIONS, limited=may_prove)
async def delete_viewer(app: App, cmd: DeleteViewer) -> None:
    """Everything that is the actor's is gone, and their sessions are over everywhere.

    Providers that can be are told to honour our logins no more. One that cannot be reached does
    not stand in the way: its name is in the last mail.

    Raises:
        NotPermitted: SIGN_IN_FAILED, that is not the password.
        Conflict: they are the last administrator, or changed their password meanwhile.
        RateLimited: too many attempts.
    """
    known = await proved(app, cmd, cmd.password, field=("password",))
    async with app.begin(cmd, last=False) as work:
        await another_administrates(work, known.user)
        links = await work.links.list([s for s in LinkStatus if s not in NOTHING_GRANTED])
        sealed = {link.id: await work.links.credentials(link.id) for link in links}
    grants = [grant_of(app, link, sealed[link.id]) for link in links]
    standing = await revoke_upstream(app, grants, cmd.at)
    async with app.begin(cmd) as work:
        user = await unchanged(work, known)
        await another_administrates(work, user)
        # Without events, which would go with everything else.
        live = await work.sessions.live(cmd.at, lock=True)
        await work.sessions.end([session.id for session in live], cmd.at)  # which tells everyone
        await work.users.delete()
        say_goodbye(app, work, user.email, at=cmd.at, standing=", ".join(standing))
