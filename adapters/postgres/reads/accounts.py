"""Accounts, with all links that feed each."""

import asyncpg

from adapters.postgres.reads.statements import Statements
from domain.accounts import Account, AccountType
from domain.money import Money

ACCOUNTS = """
SELECT id, link_id, ARRAY(
        SELECT DISTINCT l.link_id FROM link_accounts AS l
        WHERE l.user_id = $1 AND l.account_id = accounts.id ORDER BY l.link_id
    ), provider_slug, institution, name, type, currency, balance, as_of, nickname, mask,
    available_balance, credit_limit, cash_balance, is_active, included_in_net_worth, data_version
FROM accounts WHERE user_id = $1 ORDER BY name COLLATE "C", id"""

TYPES = dict(AccountType.__members__)


class AccountReads(Statements):
    async def accounts(self) -> list[Account]:
        return list(await self.once("accounts", self._read_accounts))

    async def _read_accounts(self) -> tuple[Account, ...]:
        return tuple(account_of(row) for row in await self.fetch(ACCOUNTS, self._viewer))


def account_of(row: asyncpg.Record) -> Account:
    (
        id,
        link_id,
        link_ids,
        provider_slug,
        institution,
        name,
        type,
        currency,
        balance,
        as_of,
        nickname,
        mask,
        available_balance,
        credit_limit,
        cash_balance,
        is_active,
        included_in_net_worth,
        data_version,
    ) = row
    return Account(
        id=id,
        link_id=link_id,
        link_ids=tuple(link_ids),
        provider_slug=provider_slug,
        institution=institution,
        name=name,
        type=TYPES[type],
        balance=Money(balance, currency),
        as_of=as_of,
        nickname=nickname,
        mask=mask,
        available_balance=None if available_balance is None else Money(available_balance, currency),
        credit_limit=None if credit_limit is None else Money(credit_limit, currency),
        cash_balance=None if cash_balance is None else Money(cash_balance, currency),
        is_active=is_active,
        included_in_net_worth=included_in_net_worth,
        data_version=data_version,
    )
