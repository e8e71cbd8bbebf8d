"""Accounts, and which links feed them by which names."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text, true

from adapters.postgres.tables import accounts as t
from adapters.postgres.values import amount, money
from adapters.postgres.writing import ME, Row, Values, Writing, among, locked
from domain.accounts import Account, AccountId, AccountType
from domain.errors import NotFound
from domain.links import LinkId
from domain.merging import Merge
from domain.money import Currency, Money

LINK_IDS = func.array(
    select(t.link_accounts.c.link_id)
    .distinct()
    .where(
        t.link_accounts.c.user_id == t.accounts.c.user_id,
        t.link_accounts.c.account_id == t.accounts.c.id,
    )
    .order_by(t.link_accounts.c.link_id)
    .correlate(t.accounts)
    .scalar_subquery(),
    type_=ARRAY(Uuid()),
).label("link_ids")
HIDDEN = ("user_id", "sealed_number")
ACCOUNT = select(*(c for c in t.accounts.c if c.name not in HIDDEN), LINK_IDS).where(
    t.accounts.c.user_id == ME
)
ONE = ACCOUNT.where(t.accounts.c.id == bindparam("id"))
BY_ID = ACCOUNT.where(among(t.accounts.c.id, "ids"))
COUNT = text("SELECT count(*) AS n FROM accounts WHERE user_id = :me AND provider_slug = :slug")
NAMES = t.link_accounts.alias("names")
# LIMIT keeps the planner at one look into an index for each name: of new tables it thinks that
# comparing each with each is cheaper.
NAMED = ACCOUNT.where(t.accounts.c.id == NAMES.c.account_id).limit(1).lateral("named")
BY_KEY = (
    select(NAMES.c.key, *NAMED.c)
    .join(NAMED, true())
    .where(NAMES.c.user_id == ME, NAMES.c.link_id == bindparam("link"))
)
OF_KEYS = BY_KEY.where(among(NAMES.c.key, "keys"))
BY_FINGERPRINT = ACCOUNT.where(among(t.accounts.c.fingerprint, "fingerprints"))
# A sealed number is never twice the same, so it is written only with what it belongs to. One that
# is known stays, whoever else does not know it.
IDENTIFY = text("""
UPDATE accounts SET fingerprint = given.fingerprint, sealed_number = given.sealed
FROM unnest(CAST(:ids AS uuid[]), CAST(:fingerprints AS text[]), CAST(:sealed AS bytea[]))
    AS given (id, fingerprint, sealed)
WHERE accounts.user_id = :me AND accounts.id = given.id
    AND (given.sealed IS NOT NULL OR accounts.sealed_number IS NULL)
    AND (accounts.fingerprint IS DISTINCT FROM given.fingerprint
        OR (accounts.sealed_number IS NULL AND given.sealed IS NOT NULL))""")
NAME = text("""
INSERT INTO link_accounts (user_id, link_id, key, account_id, is_read)
SELECT :me, :link, given.*, false
FROM unnest(CAST(:keys AS text[]), CAST(:accounts AS uuid[])) AS given
ON CONFLICT (user_id, link_id, key) DO UPDATE SET account_id = EXCLUDED.account_id, is_read = false
WHERE link_accounts.account_id <> EXCLUDED.account_id""")
NUMBERLESS = text("SELECT id FROM accounts WHERE user_id = :me AND sealed_number IS NULL")
UNREAD = text("""
SELECT n.key FROM link_accounts n JOIN accounts a ON a.user_id = n.user_id AND a.id = n.account_id
WHERE n.user_id = :me AND n.link_id = :link AND NOT n.is_read AND a.is_active ORDER BY n.key""")
MARK_READ = text("""
UPDATE link_accounts SET is_read = true
WHERE user_id = :me AND link_id = :link AND NOT is_read
    AND (CAST(:keys AS text[]) IS NULL OR key = ANY (CAST(:keys AS text[])))""")
UNNAME = text("""
DELETE FROM link_accounts
WHERE user_id = :me AND link_id = :link AND account_id = ANY (CAST(:ids AS uuid[]))""")
UNLINK = text("""
DELETE FROM link_accounts WHERE user_id = :me AND link_id = :link RETURNING account_id""")
EMPTIED = text("""
SELECT a.id FROM accounts AS a WHERE a.user_id = :me AND a.id = ANY (CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM holdings WHERE user_id = :me AND account_id = a.id)
    AND NOT EXISTS (SELECT FROM transactions WHERE user_id = :me AND account_id = a.id)""")
# An account that other links feed too belongs to the one of them that answered last; one that
# was disconnected feeds nothing any more.
HAND_OVER = text("""
WITH heirs AS (
    SELECT DISTINCT ON (n.account_id) n.account_id, l.id AS link_id, l.provider_slug
    FROM link_accounts n JOIN links l ON l.user_id = n.user_id AND l.id = n.link_id
    WHERE n.user_id = :me AND n.account_id = ANY (CAST(:ids AS uuid[]))
        AND l.status <> 'DISCONNECTED'
    ORDER BY n.account_id, l.last_synced_at DESC NULLS LAST, l.id
)
UPDATE accounts SET data_version = :version,
    link_id = CASE WHEN accounts.link_id = :link THEN heirs.link_id ELSE accounts.link_id END,
    provider_slug = CASE WHEN accounts.link_id = :link AND heirs.link_id IS NOT NULL
        THEN heirs.provider_slug ELSE accounts.provider_slug END
FROM unnest(CAST(:ids AS uuid[])) AS fed (id) LEFT JOIN heirs ON heirs.account_id = fed.id
WHERE accounts.user_id = :me AND accounts.id = fed.id""")
RELIST = text("""
UPDATE links SET data_version = :version WHERE user_id = :me AND id IN (
    SELECT link_id FROM link_accounts WHERE user_id = :me AND account_id = ANY (:ids))""")
INSIDE = {
    "holding": text("SELECT id FROM holdings WHERE user_id = :me AND account_id = ANY (:ids)"),
    "transaction": text(
        "SELECT id FROM transactions WHERE user_id = :me AND account_id = ANY (:ids)"
    ),
}


class Accounts:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def get(self, id: AccountId, *, lock: bool = False) -> Account:
        one = locked(ONE, of=t.accounts) if lock else ONE
        row = await self._db.row(one, id=id)
        if row is None:
            raise NotFound("no such account")
        return account_of(row)

    async def all(self) -> Sequence[Account]:
        return [account_of(row) for row in await self._db.rows(ACCOUNT)]

    async def by_id(self, ids: Sequence[AccountId]) -> Sequence[Account]:
        return [account_of(row) for row in await self._db.rows(BY_ID, ids=ids)]

    async def count(self, provider_slug: str) -> int:
        [row] = await self._db.rows(COUNT, slug=provider_slug)
        return int(row["n"])

    async def by_key(
        self, link_id: LinkId, keys: Collection[str] | None = None
    ) -> Mapping[str, Account]:
        if keys is None:
            rows = await self._db.rows(BY_KEY, link=link_id)
        else:
            rows = await self._db.rows(OF_KEYS, link=link_id, keys=sorted(keys))
        return {row["key"]: account_of(row) for row in rows}

    async def by_fingerprint(self, fingerprints: Sequence[str]) -> Mapping[str, Account]:
        rows = await self._db.rows(BY_FINGERPRINT, fingerprints=fingerprints)
        return {row["fingerprint"]: account_of(row) for row in rows}

    async def write(self, merge: Merge[Account]) -> None:
        await self._db.write(t.accounts, merge, account_values)
        was = {account.id: account.is_active for account in merge.before}
        kept = (*merge.updated, *merge.removed)
        await self._relist([a.id for a in kept if was.get(a.id) is not a.is_active])

    async def identify(self, marks: Mapping[AccountId, tuple[str, bytes | None]]) -> None:
        if marks:
            fingerprints, sealed = zip(*marks.values(), strict=True)
            given = {"ids": list(marks), "fingerprints": fingerprints, "sealed": sealed}
            await self._db.run(IDENTIFY, **given)

    async def name(self, link_id: LinkId, keys: Mapping[str, AccountId]) -> None:
        if keys:
            given = {"keys": list(keys), "accounts": list(keys.values())}
            if await self._db.run(NAME, link=link_id, **given):
                await self._db.relist(link_id)

    async def numberless(self) -> Collection[AccountId]:
        return [row["id"] for row in await self._db.rows(NUMBERLESS)]

    async def unread(self, link_id: LinkId) -> Collection[str]:
        return [row["key"] for row in await self._db.rows(UNREAD, link=link_id)]

    async def mark_read(self, link_id: LinkId, keys: Collection[str] | None) -> None:
        given = None if keys is None else sorted(keys)
        await self._db.run(MARK_READ, link=link_id, keys=given)

    async def unname(self, link_id: LinkId, ids: Sequence[AccountId]) -> None:
        if ids and await self._db.run(UNNAME, link=link_id, ids=ids):
            await self._db.relist(link_id)

    async def unlink(self, link_id: LinkId) -> None:
        """Accounts that other links feed too are handed over to them."""
        fed: list[UUID] = [r["account_id"] for r in await self._db.rows(UNLINK, link=link_id)]
        if fed:
            version = await self._db.version()
            await self._db.run(HAND_OVER, link=link_id, ids=fed, version=version)
            await self._db.relist(link_id)

    async def emptied(self, ids: Sequence[AccountId]) -> set[AccountId]:
        return {row["id"] for row in await self._db.rows(EMPTIED, ids=ids)}

    async def delete(self, ids: Sequence[AccountId]) -> None:
        if not ids:
            return
        await self._relist(ids)
        for kind, inside in INSIDE.items():
            found = await self._db.rows(inside, ids=ids)
            await self._db.mourn(kind, [row["id"] for row in found])
        await self._db.bury(t.accounts, "account", ids)

    async def _relist(self, ids: Sequence[AccountId]) -> None:
        """Their links have other lists of active accounts than before."""
        if ids:
            await self._db.run(RELIST, ids=ids, version=await self._db.version())


def account_of(row: Row) -> Account:
    currency = Currency(row["currency"])
    return Account(
        id=row["id"],
        link_id=row["link_id"],
        link_ids=tuple(row["link_ids"]),
        provider_slug=row["provider_slug"],
        institution=row["institution"],
        name=row["name"],
        type=AccountType[row["type"]],
        balance=Money(row["balance"], currency),
        as_of=row["as_of"],
        nickname=row["nickname"],
        mask=row["mask"],
        available_balance=money(row["available_balance"], currency),
        credit_limit=money(row["credit_limit"], currency),
        cash_balance=money(row["cash_balance"], currency),
        is_active=row["is_active"],
        included_in_net_worth=row["included_in_net_worth"],
        data_version=row["data_version"],
    )


def account_values(account: Account) -> Values:
    currency = account.currency
    return {
        "id": account.id,
        "link_id": account.link_id,
        "provider_slug": account.provider_slug,
        "institution": account.institution,
        "name": account.name,
        "type": account.type.name,
        "currency": currency,
        "balance": account.balance.amount,
        "as_of": account.as_of,
        "nickname": account.nickname,
        "mask": account.mask,
        "available_balance": amount(account.available_balance, currency),
        "credit_limit": amount(account.credit_limit, currency),
        "cash_balance": amount(account.cash_balance, currency),
        "is_active": account.is_active,
        "included_in_net_worth": account.included_in_net_worth,
    }
