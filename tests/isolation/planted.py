"""What is planted: words and figures by which everything of one person can be told again."""

import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from adapters.providers.sandbox.adapter import INFO
from domain.accounts import AccountType
from domain.errors import InvalidInput, ProviderUnavailable
from domain.links import ProviderInfo
from domain.money import Money
from domain.securities import AssetType, SecurityTerms
from domain.sync import (
    Login,
    Page,
    PullRequest,
    QuarantinedRow,
    ReceivedBalance,
    ReceivedTransaction,
    SyncScope,
    Unreadable,
)
from domain.transactions import TransactionSubtype
from tests.builders import money as money_of
from tests.builders import received_account, received_holding, received_transaction, terms
from tests.engine.files import Row, account, bank

WORD = re.compile(r"zq[0-9a-f]{12}", re.IGNORECASE)
MAIL_WORD = re.compile(r"ze[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marks:
    """`word` is in every text of theirs, `digits` in every amount, `mail_word` in the address,
    which administrators see, and so is `ip`."""

    word: str
    mail_word: str
    digits: str
    ip: str

    @classmethod
    def new(cls) -> "Marks":
        digits = "".join(str(1 + secrets.randbelow(9)) for _ in range(9))
        ip = f"10.{'.'.join(str(secrets.randbelow(256)) for _ in range(3))}"
        return cls(f"zq{secrets.token_hex(6)}", f"ze{secrets.token_hex(6)}", digits, ip)

    @property
    def email(self) -> str:
        return f"{self.mail_word}@example.com"

    def text(self, about: str) -> str:
        return f"{about} {self.word}"

    def amount(self, times: int) -> str:
        """With their digits in it, and nothing of money but two places."""
        return f"{times}{self.digits}.{times % 100:02}"

    def money(self, times: int) -> Money:
        return money_of(self.amount(times))

    @property
    def secret(self) -> str:
        """What the planted sandbox is told of whose login it is, in letters and digits."""
        return f"{self.word}d{self.digits}"


def _marks_of(seed: str) -> Marks:
    return Marks(word=seed[:14], mail_word="", digits=seed[15:24], ip="")


@dataclass(slots=True)
class PlantedSandbox:
    """The sandbox's place: a few rows a pull, each with the marks that its login's seed carries.

    A seed is `Marks.secret`, and what tells one login of the same person from another.
    """

    info: ProviderInfo = field(default=INFO)

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        seed = credentials.get("seed", "")
        if WORD.match(seed) is None or len(seed) < 24:
            raise InvalidInput("that is no seed", field=("input", "using", "credentials"))
        return Login(
            identity=seed,
            credentials=dict(credentials),
            institution=_marks_of(seed).text("Bank"),
        )

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        marks = _marks_of(request.credentials["seed"])
        if request.credentials.get("scenario") == "down":
            raise ProviderUnavailable(marks.text("closed"), provider="sandbox", retry_after_s=60)
        round_ = int(request.position or 0)
        day = request.at.date() - timedelta(days=1)
        yield _accounts(marks, round_, request.at)
        yield _holdings(marks, round_, request.at)
        rows = [
            received_transaction(
                account_key="c",
                key=f"t{round_}{n}",
                amount=-marks.money(round_ * 10 + n),
                description=marks.text("Shop"),
                merchant=marks.text("Merchant"),
                category=marks.text("Food"),
                date=day - timedelta(days=n),
            )
            for n in (1, 2)
        ]
        yield Page(
            step=SyncScope.TRANSACTIONS,
            progress=Decimal(1),
            transactions=[*rows, _bought(marks, round_, request.at)],
            unreadable=[_unreadable(marks, request.at)] if round_ == 0 else [],
            position=str(round_ + 1),
        )

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        found = {}
        for row in rows:
            said = json.loads(row.raw)
            marks = Marks(said["word"], "", said["digits"], "")
            read = received_transaction(
                account_key="c",
                key="again",
                amount=marks.money(77),
                description=marks.text("Read again"),
                date=datetime.fromisoformat(said["at"]).date(),
            )
            whole = Decimal(1)
            found[row.id] = Page(step=SyncScope.TRANSACTIONS, progress=whole, transactions=[read])
        return found


def _accounts(marks: Marks, round_: int, at: datetime) -> Page:
    of = {"institution": marks.text("Bank"), "as_of": at}
    broker = received_account(
        **of,
        key="b",
        name=marks.text("Brokerage"),
        type=AccountType.BROKERAGE,
        balance=marks.money(1 + round_),
        number=f"{marks.word}b",
    )
    checking = received_account(
        **of,
        key="c",
        name=marks.text("Checking"),
        type=AccountType.CHECKING,
        balance=marks.money(2 + round_),
        available_balance=marks.money(3),
        number=f"{marks.word}c",
    )
    yesterday = ReceivedBalance(
        account_key="c", at=at - timedelta(days=1), balance=marks.money(4 + round_)
    )
    return Page(
        step=SyncScope.ACCOUNTS,
        progress=Decimal("0.2"),
        accounts=[broker, checking],
        balances=[yesterday],
    )


def _terms(marks: Marks, n: int) -> SecurityTerms:
    return terms(
        f"S{n}{marks.word.upper()}", name=marks.text(f"Company {n}"), asset_type=AssetType.EQUITY
    )


def _holdings(marks: Marks, round_: int, at: datetime) -> Page:
    held = [
        received_holding(
            account_key="b",
            security=_terms(marks, n),
            quantity=Decimal(f"{n}.{marks.digits}"),
            market_value=marks.money(10 + n + round_),
            market_price=marks.money(20 + n),
            cost_basis=marks.money(30 + n),
            as_of=at,
        )
        for n in (1, 2)
    ]
    return Page(step=SyncScope.HOLDINGS, progress=Decimal("0.5"), holdings=held)


def _bought(marks: Marks, round_: int, at: datetime) -> ReceivedTransaction:
    return received_transaction(
        account_key="b",
        key=f"buy{round_}",
        subtype=TransactionSubtype.BUY,
        amount=-marks.money(40 + round_),
        description=marks.text("Bought"),
        date=at.date(),
        security=_terms(marks, 1),
        quantity=Decimal(f"1.{marks.digits}"),
        unit_price=marks.money(50),
        commission=-marks.money(60),
    )


def _unreadable(marks: Marks, at: datetime) -> Unreadable:
    said = {"word": marks.word, "digits": marks.digits, "at": at.isoformat()}
    return Unreadable(
        scope=SyncScope.TRANSACTIONS,
        reason=marks.text("no amount"),
        raw=json.dumps(said),
        account_key="c",
    )


def statement(marks: Marks, number: int, *days: int) -> bytes:
    """A bank's file, of an account by this number."""
    rows: list[Row] = [
        (f"F{number}{day}", f"202611{day:02}", f"-{marks.amount(day)}", marks.text("Card"))
        for day in days
    ]
    of = {"number": f"{marks.digits}{number}", "balance": marks.amount(number + 5)}
    return bank(account(rows, **of, as_of="20261120"))
