"""Statement files: importing them, and taking an import back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import strawberry

import domain.imports
import domain.sync
from domain.accounts import AccountType
from domain.commands import imports as commands
from domain.queries import accounts as account_queries
from domain.sync import RunId
from schema import ids
from schema.accounts import Account
from schema.context import Info
from schema.errors import UserError
from schema.fields import described, field, given, optional
from schema.money import Money
from schema.payloads import Payload, mutation
from schema.scalars import Upload, UploadedFile
from schema.sync import QuarantinedRow, SyncCounts, SyncRun, run_of

UNREADABLE_MAX = 100
RAW_MAX = 2_000  # characters


@strawberry.type(description="What an import would do to one account.")
class PreviewedAccount:
    name: str
    mask: str | None = described("The last four characters of its number.")
    type: AccountType
    balance: Money | None = described("As the statement says.")
    is_new: bool = described("Whether the import would make it.")
    transactions: SyncCounts
    holdings: SyncCounts
    since: date | None = described(
        "Of its first transaction; without any, the first day that the statement covers.",
        name="from",
    )
    until: date | None = described(
        "Of its last transaction; without any, the last day that the statement covers.", name="to"
    )


@strawberry.type(description="What an import would do.")
class ImportPreview:
    institution: str | None
    accounts: list[PreviewedAccount]

    @field(
        list[QuarantinedRow],
        "What would be quarantined: the first 100, with 2,000 characters of each.",
    )
    def unreadable(self: Any) -> Sequence[domain.sync.QuarantinedRow]:
        shown = self.unreadable[:UNREADABLE_MAX]
        return [replace(row, raw=row.raw[:RAW_MAX]) for row in shown]


@strawberry.input(description="A statement file.")
class ImportStatementInput:
    provider: str = described("The slug of a provider that takes files.")
    file: Upload
    alias: str | None = optional("Your name for the link.")
    dry_run: bool = strawberry.field(
        default=False, description="Answer with a `preview`, and change nothing."
    )


@strawberry.type(description="The answer of `importStatement`.")
class ImportStatementPayload:
    run: SyncRun | None
    accounts: list[Account] = described("Those of the statement, once the run has ended.")
    preview: ImportPreview | None = described("Only of a `dryRun`.")
    errors: list[UserError]


@strawberry.type(description="The answer of `undoImport`.")
class UndoImportPayload:
    run: SyncRun | None
    errors: list[UserError]


@strawberry.type
class ImportMutation:
    @mutation(
        ImportStatementPayload,
        "Import a statement: up to 2 MB at once, above that by a queued run; 10 MB at most. The "
        "same file again changes nothing.",
        runs=commands.import_statement,
    )
    async def import_statement(self, info: Info, input: ImportStatementInput) -> Payload:
        context = info.context
        file = input.file
        assert isinstance(file, UploadedFile)  # noqa: S101 - the scalar has checked it
        cmd = commands.ImportStatement(
            actor=context.actor,
            provider_slug=input.provider,
            file=file.content,
            file_name=file.filename,
            alias=given(input.alias),
            dry_run=input.dry_run,
            at=context.now,
        )
        done = await commands.import_statement(context.app, cmd)
        if done.run is None:
            return Payload(preview=done.preview)
        found = await account_queries.accounts_by_id(context.reads, done.account_ids)
        return Payload(
            run=await run_of(context, done.run.id),
            accounts=[account for account in found if account is not None],
        )

    @mutation(
        UndoImportPayload,
        "Take back what an import wrote, unless something else has changed it since.",
        runs=commands.undo_import,
        id_at=("runId",),
    )
    async def undo_import(self, info: Info, run_id: strawberry.ID) -> Payload:
        context, id = info.context, RunId(ids.key("SyncRun", run_id) or ids.ABSENT)
        cmd = commands.UndoImport(actor=context.actor, run_id=id, at=context.now)
        await commands.undo_import(context.app, cmd)
        return Payload(run=await run_of(context, id))
