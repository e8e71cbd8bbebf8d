"""What owners say of accounts: those that they keep themselves, and how they see any of theirs."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from domain.accounts import (
    MANUAL,
    MANUAL_MAX,
    Account,
    AccountId,
    AccountType,
    account_name,
    nickname,
    stated_at,
    stated_balance,
)
from domain.commands.balances import tell_balances
from domain.commands.worth import tell_net_worth
from domain.errors import Conflict, ErrorCode, InvalidInput
from domain.events import Event, EventName
from domain.handling import command
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.identity import UNSET, Actor, Maybe, Permission, new_id
from domain.merging import Merge
from domain.money import Currency, Money
from domain.ports import App
from domain.storage.work import Work

INSTITUTION = "Manual accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateManualAccount:
    """`balance` is what the account is worth to its owner: what they owe is negative."""

    actor: Actor
    name: str
    type: AccountType
    currency: Currency
    balance: Decimal
    at: datetime


@command("account.create", permits=Permission.WRITE_DATA)
async def create_manual_account(app: App, cmd: CreateManualAccount) -> Account:
    """An account that no provider feeds: its owner says what it is worth.

    Raises:
        InvalidInput: the name or the balance breaks a rule.
        Conflict: manual accounts are not offered here, or there are MANUAL_MAX of them.
    """
    name, balance = account_name(cmd.name), stated_balance(cmd.balance, cmd.currency)
    if MANUAL not in app.providers:
        raise Conflict("manual accounts are not offered here", code=ErrorCode.PROVIDER_DISABLED)
    account = Account(
        id=AccountId(new_id()),
        link_id=None,
        link_ids=(),
        provider_slug=MANUAL,
        institution=INSTITUTION,
        name=name,
        type=cmd.type,
        balance=balance,
        as_of=cmd.at,
    )
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        if await work.accounts.count(MANUAL) >= MANUAL_MAX:
            raise Conflict(f"there are {MANUAL_MAX} manual accounts already: delete one first")
        await _save(work, cmd, None, account)
        await work.history.restate(_stated(account, balance, cmd.at))
    return account


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBalance:
    """`balance_at` is when it was so; None means `at`."""

    actor: Actor
    account_id: AccountId
    balance: Decimal
    balance_at: datetime | None
    at: datetime


@command("account.record_balance", permits=Permission.WRITE_DATA)
async def record_balance(app: App, cmd: RecordBalance) -> Account:
    """What a manual account was worth at an instant.

    The account's balance is the one of the latest instant; one of an earlier instant only fills its
    history. Of one instant the later word counts, and the same again changes nothing.

    Raises:
        NotFound: no such account.
        Conflict: a provider says what it is worth (`existing` is the link).
        InvalidInput: the balance or the instant breaks a rule.
    """
    at = stated_at(cmd.balance_at, now=cmd.at)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        account = await _manual(work, cmd.account_id, field=("input", "accountId"))
        balance = stated_balance(cmd.balance, account.currency)
        await work.history.restate(_stated(account, balance, at))
        if at < account.as_of:
            return account
        now = replace(account, balance=balance, as_of=at)
        await _save(work, cmd, account, now)
    return now


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteManualAccount:
    actor: Actor
    account_id: AccountId
    at: datetime


@command("account.delete", permits=Permission.WRITE_DATA)
async def delete_manual_account(app: App, cmd: DeleteManualAccount) -> AccountId:
    """The account and its history; a tombstone stays. Raises NotFound, and Conflict where a
    provider feeds it (`existing` is the link)."""
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        account = await _manual(work, cmd.account_id, field=("accountId",))
        await work.accounts.delete([account.id])
        await tell_net_worth(work, [account], [], cmd.at, account=str(account.id))
    return account.id


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount:
    actor: Actor
    account_id: AccountId
    nickname: Maybe[str]
    included_in_net_worth: Maybe[bool]
    at: datetime


@command("account.update", permits=Permission.WRITE_DATA)
async def update_account(app: App, cmd: UpdateAccount) -> Account:
    """The owner's word on any account, which no sync writes. Raises NotFound, InvalidInput."""
    said = cmd.included_in_net_worth
    if said is None:
        raise InvalidInput(
            "an account counts or it does not: true or false",
            field=("input", "includedInNetWorth"),
        )
    name = cmd.nickname if cmd.nickname is UNSET else nickname(cmd.nickname)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        account = await work.accounts.get(cmd.account_id, lock=True)
        changed = account
        if name is not UNSET:
            changed = replace(changed, nickname=name)
        if said is not UNSET:
            changed = replace(changed, included_in_net_worth=said)
        merge: Merge[Account] = Merge()
        merge.meet(account, changed)
        await work.accounts.write(merge)
        await tell_net_worth(work, [account], [changed], cmd.at, account=str(account.id))
    return changed


async def _manual(work: Work, id: AccountId, *, field: tuple[str, ...]) -> Account:
    account = await work.accounts.get(id, lock=True)
    if not account.is_manual:
        raise Conflict(
            "this account is its provider's: only a manual one is told or deleted by its owner",
            existing=None if account.link_id is None else ("Link", account.link_id),
            field=field,
        )
    return account


async def _save(
    work: Work, cmd: CreateManualAccount | RecordBalance, before: Account | None, now: Account
) -> None:
    merge: Merge[Account] = Merge()
    merge.meet(before, now)
    await work.accounts.write(merge)
    tell_balances(partial(_record, work, cmd), merge, {now.id})
    await tell_net_worth(work, merge.before, merge.written, cmd.at, account=str(now.id))


def _record(
    work: Work, cmd: CreateManualAccount | RecordBalance, name: EventName, **facts: str
) -> None:
    work.record(Event(name=name, user_id=cmd.actor.user_id, at=cmd.at, facts=facts))


def _stated(account: Account, balance: Money, at: datetime) -> BalanceSnapshot:
    return BalanceSnapshot(
        id=SnapshotId(new_id()),
        account_id=account.id,
        at=at,
        balance=balance,
        source=SnapshotSource.MANUAL,
    )
