"""What a person says about themselves."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import InvalidInput
from domain.handling import command
from domain.identity import (
    UNSET,
    Actor,
    Maybe,
    Permission,
    User,
    known_time_zone,
    session_limit,
)
from domain.money import Currency, currency
from domain.ports import App


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    actor: Actor
    base_currency: Maybe[str]
    time_zone: Maybe[str]
    session_limit: Maybe[int]
    at: datetime


@command("settings.update", permits=Permission.WRITE_SETTINGS)
async def update_settings(app: App, cmd: UpdateSettings) -> User:
    """What is null stays, but for the session limit, which is then the default.

    Raises:
        InvalidInput: no such currency or time zone, or a limit out of range.
    """
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        changed = replace(
            user,
            base_currency=_base_currency(cmd.base_currency, user.base_currency),
            time_zone=_time_zone(cmd.time_zone, user.time_zone),
            session_limit=user.session_limit
            if cmd.session_limit is UNSET
            else session_limit(cmd.session_limit),
        )
        if changed != user:
            await work.users.save(changed)
    return changed


def _base_currency(said: Maybe[str], now: Currency) -> Currency:
    if said is UNSET or said is None:
        return now
    try:
        return currency(str(said))
    except ValueError as error:
        raise InvalidInput(str(error), field=("input", "baseCurrency")) from None


def _time_zone(said: Maybe[str], now: str) -> str:
    return now if said is UNSET or said is None else known_time_zone(str(said))
