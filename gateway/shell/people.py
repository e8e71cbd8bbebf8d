"""People, from the shell: whoever runs it has the database, so nobody is asked for a role."""

from collections.abc import Callable
from datetime import datetime

from domain.commands.people import CreateUser, GrantRole, actor_to_be, create_user, grant_role
from domain.errors import NotFound
from domain.identity import NOBODY, Actor, Person, Role, User
from domain.queries.admin import people
from domain.secret import Secret
from gateway.settings import Settings
from gateway.wiring.root import wire

PAGE = 500  # read at a time


async def create(settings: Settings, email: str, password: str, role: str) -> User:
    async with wire(settings) as wired:
        cmd = CreateUser(
            actor=actor_to_be(Role(role)),
            email=email,
            password=Secret(password),
            role=Role(role),
            at=wired.app.now(),
        )
        return await create_user(wired.app, cmd)


async def grant(settings: Settings, email: str, role: str) -> str:
    """What became of it. Raises NotFound, Conflict."""
    async with wire(settings) as wired:
        known = await wired.app.doors.user_by_email(email.strip().lower())
        if known is None:
            raise NotFound(f"there is no user {email}: make one with `dashtam user create`")
        actor = Actor(user_id=known.user.id, role=known.user.role)
        await grant_role(wired.app, GrantRole(actor=actor, role=Role(role), at=wired.app.now()))
    had = known.user.role
    if had is Role(role):
        return f"{known.user.email} has the role {role} already"
    return f"{known.user.email} has the role {role} now, and had {had.value}"


async def show(
    settings: Settings, search: str | None, say: Callable[[str], None], *, each: int = PAGE
) -> None:
    """A line for everyone, by address; the first one says what stands where."""
    found: list[Person] = []
    async with wire(settings) as wired:
        reads = wired.snapshot(Actor(user_id=NOBODY, role=Role.READONLY))
        try:
            more = True
            while more:
                after = found[-1].email if found else None
                page = await people(reads, search, limit=each, after=after)
                found += page.nodes
                more = page.has_next
        finally:
            await reads.close()
    say(_line("address", "role", "verified", "since", "last sign-in"))
    for person in found:
        say(_of(person))


def _of(person: Person) -> str:
    return _line(
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in person.email),
        person.role.value,
        "yes" if person.email_verified else "no",
        _minute(person.created_at),
        "never" if person.last_sign_in_at is None else _minute(person.last_sign_in_at),
    )


def _line(address: str, role: str, verified: str, since: str, last_sign_in: str) -> str:
    return f"{address:<40} {role:<8} {verified:<8} {since:<17} {last_sign_in}"


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")
