"""People, as whoever runs the gateway makes them, and their roles."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.commands.mailing import notify
from domain.errors import Conflict
from domain.handling import command
from domain.identity import (
    Actor,
    Permission,
    Role,
    User,
    UserId,
    new_id,
    normal_email,
)
from domain.mail import Template
from domain.money import Currency
from domain.passwords import new_password
from domain.ports import App
from domain.secret import Secret
from domain.storage.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """`actor` is of the user to be: the identity inside which the row is made."""

    actor: Actor
    email: str
    password: Secret
    role: Role
    at: datetime


def actor_to_be(role: Role) -> Actor:
    return Actor(user_id=UserId(new_id()), role=role)


def new_user(id: UserId, email: str, role: Role, at: datetime, *, is_verified: bool) -> User:
    """Somebody with the settings that everyone begins with."""
    return User(
        id=id,
        email=email,
        email_verified=is_verified,
        role=role,
        created_at=at,
        base_currency=Currency("USD"),
        time_zone="UTC",
    )


@command("user.create", permits=None)
async def create_user(app: App, cmd: CreateUser) -> User:
    """A person with a verified address, made by the operator from the shell.

    Raises:
        InvalidInput: no address, or WEAK_PASSWORD.
        Conflict: the address is taken.
    """
    email = normal_email(cmd.email)
    password = cmd.password.reveal()
    new_password(password, email=email, common=app.common_passwords, field=("input", "password"))
    user = new_user(cmd.actor.user_id, email, cmd.role, cmd.at, is_verified=True)
    hashed = await app.passwords.hash(password)
    async with app.begin(cmd) as work:
        await work.users.add(user, hashed)
    return user


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRole:
    """`user_id` is whose role it is, in whose identity it is written."""

    actor: Actor
    user_id: UserId
    role: Role
    at: datetime


@command("role.set", permits=Permission.ADMINISTER)
async def set_role(app: App, cmd: SetRole) -> None:
    """Give somebody a role. It counts at once, in every process and open socket.

    Raises:
        NotFound: no such user.
        Conflict: they are the last administrator.
    """
    async with app.begin(cmd) as work:
        await _give(app, work, cmd.role, cmd.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRole:
    """`actor` is of the user who gets the role."""

    actor: Actor
    role: Role
    at: datetime


@command("role.grant", permits=None)
async def grant_role(app: App, cmd: GrantRole) -> None:
    """The same by the operator, from the shell. Raises NotFound, Conflict."""
    async with app.begin(cmd) as work:
        await _give(app, work, cmd.role, cmd.at)


async def another_administrates(work: Work, user: User) -> None:
    """Raises Conflict for the last administrator."""
    if user.role is Role.ADMIN and await work.users.is_last_administrator():
        raise Conflict("the last administrator stays one: make another one first")


async def _give(app: App, work: Work, role: Role, at: datetime) -> None:
    user = await work.users.get(lock=True)
    app.explain(f"{user.role.value} to {role.value}")
    if user.role is role:
        return
    await another_administrates(work, user)
    await work.users.save(replace(user, role=role))
    notify(work, user, Template.ROLE_CHANGED, at=at, role=role.value)
