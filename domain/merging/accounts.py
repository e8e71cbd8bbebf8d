"""Merging what a provider says of an account with what is stored of it."""

from dataclasses import replace

from domain.accounts import Account, AccountId, mask_of
from domain.identity import new_id
from domain.links import LinkId
from domain.merging.merge import Merge
from domain.money import zero
from domain.sync import ReceivedAccount


def merge_account(
    merge: Merge[Account],
    stored: Account | None,
    received: ReceivedAccount,
    *,
    link_id: LinkId,
    provider_slug: str,
    may_set_balance: bool,
    outranks: bool = False,
) -> Account:
    """The account after the provider's word.

    The owner's word stays. `may_set_balance` is false for a file where a live link feeds the
    account too, whose balance wins; an older balance never replaces a newer one, unless this link
    `outranks` what fed the account so far. Where no balance is stated what is stored stays, and
    what is new has none. An `as_of` moves only with what it dates.
    """
    mask = received.mask or (mask_of(received.number) if received.number else None)
    if stored is None:
        account = Account(
            id=AccountId(new_id()),
            link_id=link_id,
            link_ids=(link_id,),
            provider_slug=provider_slug,
            institution=received.institution,
            name=received.name,
            type=received.type,
            balance=received.balance or zero(received.currency),
            as_of=received.as_of,
            mask=mask,
            available_balance=received.available_balance,
            credit_limit=received.credit_limit,
            cash_balance=received.cash,
        )
        merge.meet(None, account)
        return account
    account = replace(stored, is_active=True, link_ids=_with(stored.link_ids, link_id))
    is_newer = outranks or received.as_of >= stored.as_of
    if received.balance is not None and may_set_balance and is_newer:
        account = replace(
            account,
            link_id=link_id,
            provider_slug=provider_slug,
            institution=received.institution,
            name=received.name,
            type=received.type,
            balance=received.balance,
            mask=mask or stored.mask,
            available_balance=received.available_balance,
            credit_limit=received.credit_limit,
            cash_balance=received.cash,
        )
        if account != stored:
            account = replace(account, as_of=received.as_of)
    merge.meet(stored, account)
    return account


def _with(ids: tuple[LinkId, ...], id: LinkId) -> tuple[LinkId, ...]:
    return ids if id in ids else (*ids, id)
