"""A provider in under a hundred lines: a bank with a key, its accounts, its entries in pages."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from adapters.providers import kit
from domain import sync
from domain.accounts import AccountType
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.transactions import TransactionStatus, TransactionSubtype

ACCOUNTS, TRANSACTIONS = sync.SyncScope.ACCOUNTS, sync.SyncScope.TRANSACTIONS
TYPES = {"current": AccountType.CHECKING, "card": AccountType.CREDIT_CARD}


class Toy:
    info = ProviderInfo(
        slug="toy",
        name="Toy Bank",
        category=ProviderCategory.BANK,
        auth_methods=(AuthMethod.API_KEY,),
        capabilities=(Capability.ACCOUNTS, Capability.TRANSACTIONS),
        credential_fields=(CredentialField(name="key", label="Key", secret=True, required=True),),
    )

    def __init__(self, http: kit.Http) -> None:
        self._http = http

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> sync.Login:
        who = await self._get("/me", credentials)
        with kit.reading_answer("toy"):
            return sync.Login(identity=kit.key(who, "id"), credentials=credentials)

    async def pull(self, request: sync.PullRequest) -> AsyncIterator[sync.Page]:
        has_entries, asked = TRANSACTIONS in request.scopes, request.account_keys
        if request.cursor is None and ACCOUNTS in request.scopes:
            answer = await self._get("/accounts", request.credentials)
            rows = kit.rows_of(answer, "rows", "toy")
            accounts, kept = kit.read_rows(rows, account_of, scope=ACCOUNTS)
            yield sync.Page(
                step=ACCOUNTS,
                progress=Decimal("0.1" if has_entries else 1),
                cursor="0" if has_entries else "end",
                accounts=[a for a in accounts if asked is None or a.key in asked],
                accounts_complete=asked is None and not kept,
                unreadable=kept,
            )
        at = request.cursor or "0"
        since, until = request.since or date.min, request.until or date.max
        while has_entries and at != "end":
            answer = await self._get("/entries", request.credentials, after=at)
            rows = kit.rows_of(answer, "rows", "toy")
            entries, kept = kit.read_rows(rows, entry_of, scope=TRANSACTIONS)
            with kit.reading_answer("toy"):
                at = kit.text_or_none(answer, "next") or "end"
            yield sync.Page(
                step=TRANSACTIONS,
                progress=Decimal("1" if at == "end" else "0.5"),
                cursor=at,
                transactions=[
                    e for e in entries
                    if since <= e.date <= until and (asked is None or e.account_key in asked)
                ],
                unreadable=kept,
            )  # fmt: skip

    def replay(self, rows: Sequence[sync.QuarantinedRow]) -> Mapping[UUID, sync.Page]:
        return {}

    async def _get(self, path: str, said: Mapping[str, str], **params: str) -> kit.Record:
        headers = {"authorization": f"Bearer {said['key']}"}
        return kit.record_of(await self._http.get(path, params=params, headers=headers), "toy")


def account_of(record: kit.Record) -> sync.ReceivedAccount:
    of = kit.currency_of(record, "currency")
    return sync.ReceivedAccount(
        key=kit.key(record, "id"),
        institution="Toy Bank",
        name=kit.text(record, "name"),
        type=kit.choice(record, "type", TYPES),
        currency=of,
        balance=-kit.money(record, "owed", of),
        as_of=kit.instant(record, "at"),
    )


def entry_of(record: kit.Record) -> sync.ReceivedTransaction:
    return sync.ReceivedTransaction(
        account_key=kit.key(record, "account"),
        key=kit.key(record, "id"),
        subtype=TransactionSubtype.PURCHASE,
        status=TransactionStatus.SETTLED,
        amount=-kit.money(record, "out", kit.currency_of(record, "currency")),
        description=kit.text(record, "text"),
        date=kit.day(record, "on"),
    )
