"""Who is logged in where, in words that stay the same when the same accounts are linked again.

Plaid makes a new Item, with new ids of everything, each time that somebody goes through Link.
"""

import json
from collections.abc import Iterable

from adapters.providers.kit import Record, as_record, reading_answer, text_or_none
from adapters.providers.plaid.faults import SLUG


def identity_of(institution_id: str | None, item_id: str, accounts: Iterable[object]) -> str:
    """The institution, and the accounts there that its owner chose: each by what Plaid says is
    persistent, which is told of a few institutions, or by the end of its number and its kind.

    An Item without an institution or without accounts is like no other.
    """
    marks = sorted(_mark(account) for account in accounts)
    if institution_id is None or not marks:
        return json.dumps(["item", item_id])
    return json.dumps([institution_id, marks])


def _mark(account: object) -> list[str]:
    with reading_answer(SLUG):
        record = as_record(account, "the account")
        lasting = text_or_none(record, "persistent_account_id")
        return ["is", lasting] if lasting else ["like", *_likeness(record)]


def _likeness(record: Record) -> list[str]:
    """A name is its owner's to change, and so tells only where there is nothing else."""
    end = text_or_none(record, "mask") or text_or_none(record, "name") or ""
    return [end, *(text_or_none(record, name) or "" for name in ("type", "subtype"))]
