"""What owners say of transactions, beside what their providers say."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.handling import command
from domain.identity import UNSET, Actor, Maybe, Permission
from domain.merging import Merge
from domain.ports import App
from domain.transactions import Transaction, TransactionId, notes, own_category


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTransaction:
    """With a `category` of None the provider's is shown again; an empty one says: none."""

    actor: Actor
    transaction_id: TransactionId
    category: Maybe[str]
    notes: Maybe[str]
    at: datetime


@command("transaction.update", permits=Permission.WRITE_DATA)
async def update_transaction(app: App, cmd: UpdateTransaction) -> Transaction:
    """The owner's word, which no sync writes. Raises NotFound, InvalidInput."""
    category = cmd.category if cmd.category is UNSET else own_category(cmd.category)
    noted = cmd.notes if cmd.notes is UNSET else notes(cmd.notes)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        transaction = await work.transactions.get(cmd.transaction_id, lock=True)
        changed = transaction
        if category is not UNSET:
            changed = replace(changed, own_category=category)
        if noted is not UNSET:
            changed = replace(changed, notes=noted)
        if changed != transaction:
            changed = replace(changed, updated_at=cmd.at)
        merge: Merge[Transaction] = Merge()
        merge.meet(transaction, changed)
        await work.transactions.write(merge)
    return changed
