"""People, as whoever runs the gateway makes them."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.handling import command
from domain.identity import (
    Actor,
    Role,
    User,
    UserId,
    new_id,
    normal_email,
    strong_password,
)
from domain.money import Currency
from domain.ports import App


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """`actor` is of the user to be: the identity inside which the row is made."""

    actor: Actor
    email: str
    password: str = field(repr=False)
    role: Role
    at: datetime


def actor_to_be(role: Role) -> Actor:
    return Actor(user_id=UserId(new_id()), role=role)


@command("user.create", permits=None)
async def create_user(app: App, cmd: CreateUser) -> User:
    """A person with a verified address, made by the operator from the shell.

    Raises:
        InvalidInput: no address, or WEAK_PASSWORD.
        Conflict: the address is taken.
    """
    email = normal_email(cmd.email)
    strong_password(cmd.password, email=email, field=("input", "password"))
    user = User(
        id=cmd.actor.user_id,
        email=email,
        email_verified=True,
        role=cmd.role,
        created_at=cmd.at,
        base_currency=Currency("USD"),
        time_zone="UTC",
    )
    hashed = await app.passwords.hash(cmd.password)
    async with app.begin(cmd) as work:
        await work.users.add(user, hashed)
    return user
