"""Telling that the net worth has changed, and from what to what."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.accounts import Account
from domain.events import Event, EventName
from domain.money import Currency, Money, zero
from domain.portfolio import counted, net_worth
from domain.rates import NO_RATES
from domain.storage.work import Work


async def tell_net_worth(
    work: Work, before: Sequence[Account], after: Sequence[Account], at: datetime, **cause: str
) -> None:
    """Record it, where it has: once all is written, and once a unit of work.

    Given are the accounts that have changed, as they were and as they are now; one of them that is
    new or gone is on one side only. Both figures are in the owner's base currency, at the same
    rates; there is no earlier one where nothing counted before.
    """
    if _sums(before) == _sums(after):
        return
    user, now = await work.users.get(), await work.accounts.all()
    changed = {a.id for a in (*before, *after)}
    then = [*(a for a in now if a.id not in changed), *before]
    into = user.base_currency
    currencies, day = {a.currency for a in counted((*now, *before))} - {into}, user.today(at)
    rates = await work.rates({*currencies, into}, day) if currencies else NO_RATES
    previous, current = (
        net_worth(accounts, into=into, at=at, rates=rates, day=day).total
        for accounts in (then, now)
    )
    if previous == current:
        return
    facts = {"current": said(current), **cause}
    if counted(then):
        facts["previous"] = said(previous)
    work.record(Event(name=EventName.NETWORTH_CHANGED, user_id=user.id, at=at, facts=facts))


def said(money: Money) -> str:
    """As in the facts of an event."""
    return f"{money.amount:f} {money.currency}"


def _sums(accounts: Iterable[Account]) -> dict[Currency, Money]:
    """Of what counts, by currency; of nothing there is none."""
    found: dict[Currency, Money] = {}
    for account in counted(accounts):
        code = account.currency
        found[code] = found.get(code, zero(code)) + account.balance
    return {code: amount for code, amount in found.items() if amount.amount}
