"""Manual accounts: their owner says what they are worth."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain.accounts import AccountType
from domain.commands import accounts as commands
from domain.money import Currency
from schema import ids
from schema.accounts import Account, account_of, named
from schema.context import Info
from schema.errors import UserError
from schema.fields import described, given, optional
from schema.payloads import Payload, mutation


@strawberry.input(description="An account that you keep yourself.")
class CreateManualAccountInput:
    name: str = described("1 to 200 characters.")
    type: AccountType
    currency: Currency
    balance: Decimal = described(
        "What it is worth to you: what you owe is negative. In the currency's smallest unit at "
        "most, below 10^15."
    )


@strawberry.input(description="What a manual account was worth.")
class RecordBalanceInput:
    account_id: strawberry.ID
    balance: Decimal = described("What it is worth to you: what you owe is negative.")
    at: datetime | None = optional("When it was so; now by default, and never in the future.")


@strawberry.type(description="The answer of `createManualAccount`.")
class CreateManualAccountPayload:
    account: Account | None
    errors: list[UserError]


@strawberry.type(description="The answer of `recordBalance`.")
class RecordBalancePayload:
    account: Account | None
    errors: list[UserError]


@strawberry.type(description="The answer of `deleteManualAccount`.")
class DeleteManualAccountPayload:
    deleted_id: strawberry.ID | None
    errors: list[UserError]


@strawberry.type
class ManualAccountMutation:
    @mutation(
        CreateManualAccountPayload,
        "Make an account that no provider feeds.",
        runs=commands.create_manual_account,
    )
    async def create_manual_account(self, info: Info, input: CreateManualAccountInput) -> Payload:
        context = info.context
        cmd = commands.CreateManualAccount(
            actor=context.actor,
            name=input.name,
            type=input.type,
            currency=input.currency,
            balance=input.balance,
            at=context.now,
        )
        account = await commands.create_manual_account(context.app, cmd)
        return Payload(account=await account_of(context, account.id))

    @mutation(
        RecordBalancePayload,
        "Say what a manual account was worth at an instant. The latest instant is its balance, an "
        "earlier one fills its history; of one instant the later word counts.",
        runs=commands.record_balance,
        id_at=("input", "accountId"),
    )
    async def record_balance(self, info: Info, input: RecordBalanceInput) -> Payload:
        context, id = info.context, named(input.account_id)
        cmd = commands.RecordBalance(
            actor=context.actor,
            account_id=id,
            balance=input.balance,
            balance_at=given(input.at),
            at=context.now,
        )
        await commands.record_balance(context.app, cmd)
        return Payload(account=await account_of(context, id))

    @mutation(
        DeleteManualAccountPayload,
        "Delete a manual account and its history.",
        runs=commands.delete_manual_account,
        id_at=("accountId",),
    )
    async def delete_manual_account(self, info: Info, account_id: strawberry.ID) -> Payload:
        context = info.context
        cmd = commands.DeleteManualAccount(
            actor=context.actor, account_id=named(account_id), at=context.now
        )
        deleted = await commands.delete_manual_account(context.app, cmd)
        return Payload(deleted_id=ids.global_id("Account", deleted))
