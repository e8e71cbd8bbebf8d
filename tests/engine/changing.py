"""A household to which everything happens that changes what `changes` tells of, by real commands."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.accounts import AccountId, AccountType
from domain.commands.accounts import (
    CreateManualAccount,
    DeleteManualAccount,
    RecordBalance,
    UpdateAccount,
    create_manual_account,
    delete_manual_account,
    record_balance,
    update_account,
)
from domain.commands.authorizing import Authorize, authorize, forget_lapsed
from domain.commands.expiring import ExpireLink, expire_link
from domain.commands.imports import UndoImport, undo_import
from domain.commands.links import Disconnect, UpdateLink, disconnect, update_link
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.transactions import UpdateTransaction, update_transaction
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable
from domain.identity import UNSET, Actor, Maybe, Role, SessionId, new_id
from domain.links import LinkId
from domain.secret import Secret
from domain.sync import Page, ReceivedHolding, RunId, SyncScope
from domain.transactions import TransactionId, TransactionStatus
from tests.builders import USD, money, received_account, received_holding, terms
from tests.engine.files import account, bank, brokerage, january, position
from tests.engine.scripted import Scripted, accounts, spent, transactions
from tests.engine.world import PASSWORD, Engine
from tests.postgres.writes.world import a_session

KEYS = ("a1", "a2", "a3")
SYMBOLS = ("AAPL", "MSFT", "BND")
COUNTS: Sequence[Maybe[bool]] = (UNSET, True, False)
LOGINS = ("one", "two", "three", "four")


@dataclass(slots=True)
class Household:
    """One person's; whatever happens is chosen by `dice`, and a refusal is one of the answers."""

    engine: Engine
    scripted: Scripted
    actor: Actor
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    @classmethod
    async def begun(cls, engine: Engine, scripted: Scripted) -> "Household":
        cmd = CreateUser(
            actor=actor_to_be(Role.USER),
            email=f"person-{new_id()}@example.com",
            password=Secret(PASSWORD),
            role=Role.USER,
            at=engine.clock(),
        )
        person = await create_user(engine.app, cmd)
        session = a_session(Actor(user_id=person.id, role=Role.USER))
        actor = Actor(user_id=person.id, role=Role.USER, session_id=SessionId(session.id))
        async with engine.app.store.begin(actor, None) as work:
            await work.sessions.add(session)
        return cls(engine, scripted, actor)

    async def happens(self, what: str, seed: int) -> bool:
        """False where it was refused."""
        self.engine.actor, self.dice = self.actor, random.Random(seed)
        try:
            await HAPPENINGS[what](self)
        except DomainError:
            return False
        return True

    async def _ids(self, table: str, where: str = "true") -> list[UUID]:
        rows = await self.engine.rows(
            table, f"user_id = $1 AND {where}", self.actor.user_id, order="id"
        )
        return [row["id"] for row in rows]

    async def _one(self, table: str, where: str = "true") -> Any:
        """One of theirs, or what is not there."""
        return self.dice.choice([*await self._ids(table, where)] or [new_id()])

    async def _run_waiting(self) -> None:
        for id in await self._ids("sync_runs", "status = 'QUEUED'"):
            await self.engine.run(id)

    # ── providers ───────────────────────────────────────────────────────────

    async def connects(self) -> None:
        self._tells()
        link = await self._one("links") if self.dice.random() < 0.3 else None
        login = self.dice.choice(LOGINS)
        await self.engine.connect(provider="scripted", login=login, link_id=link)
        await self._run_waiting()

    async def syncs(self) -> None:
        self._tells()
        await self.engine.request(link_id=None, force=True)
        await self._run_waiting()

    async def fails(self) -> None:
        refusal = self.dice.choice(
            [
                CredentialsRejected("closed", provider="scripted"),
                ProviderUnavailable("closed", provider="scripted", retry_after_s=60),
            ]
        )
        self.scripted.script = [*self._pages()[:1], refusal]
        await self.engine.request(link_id=None, force=True)
        await self._run_waiting()

    async def authorizes(self) -> None:
        cmd = Authorize(
            actor=self.actor,
            provider_slug="consenting",
            link_id=None,
            alias=None,
            return_to=None,
            at=self.engine.clock(),
        )
        await authorize(self.engine.app, cmd)

    async def lapses(self) -> None:
        at = self.engine.clock()
        await forget_lapsed(self.engine.app, self.actor.user_id, at)
        for id in await self._ids("links"):
            cmd = ExpireLink(actor=self.actor, link_id=LinkId(id), at=at)
            await expire_link(self.engine.app, cmd)

    async def renames_a_link(self) -> None:
        cmd = UpdateLink(
            actor=self.actor,
            link_id=await self._one("links"),
            alias=self.dice.choice(["Mine", "Ours", None]),
            sync_every_s=self.dice.choice([UNSET, None, 7_200]),
            at=self.engine.clock(),
        )
        await update_link(self.engine.app, cmd)

    async def disconnects(self) -> None:
        cmd = Disconnect(
            actor=self.actor,
            link_id=await self._one("links"),
            delete_data=self.dice.random() < 0.4,
            at=self.engine.clock(),
        )
        await disconnect(self.engine.app, cmd)

    def _tells(self) -> None:
        self.scripted.script = [*self._pages()]

    def _pages(self) -> list[Page]:
        dice, at = self.dice, self.engine.clock()
        keys = [key for key in KEYS if dice.random() < 0.7]
        told = [
            received_account(
                key=key,
                number=f"00{number}" if dice.random() < 0.9 else None,
                name=dice.choice(["Checking", "Savings"]),
                type=AccountType.BROKERAGE if key == "a1" else AccountType.CHECKING,
                balance=money(f"{dice.randrange(3)}00.00"),
                as_of=at,
            )
            for number, key in enumerate(KEYS)
            if key in keys
        ]
        rows = [
            spent(
                f"t{number}",
                f"-{dice.randrange(1, 4)}.50",
                account_key=dice.choice(KEYS),
                date=date(2026, 11, 1 + number),
                status=dice.choice([TransactionStatus.PENDING, TransactionStatus.SETTLED]),
                security=terms(dice.choice(SYMBOLS)) if dice.random() < 0.2 else None,
            )
            for number in dice.sample(range(12), dice.randrange(6))
        ]
        gone = [(dice.choice(keys), f"t{dice.randrange(12)}")] if keys else []
        return [
            accounts(*told, complete=dice.random() < 0.8),
            self._positions(keys),
            transactions(*rows, removed=gone if dice.random() < 0.4 else ()),
        ]

    def _positions(self, keys: list[str]) -> Page:
        dice = self.dice
        held: list[ReceivedHolding] = [
            received_holding(
                account_key="a1",
                security=terms(symbol, cusip=dice.choice([None, f"C{symbol}"])),
                quantity=Decimal(dice.randrange(1, 3)),
                market_value=money(f"{dice.randrange(1, 3)}000.00"),
                as_of=self.engine.clock(),
            )
            for symbol in SYMBOLS
            if dice.random() < 0.5 and "a1" in keys
        ]
        complete = ["a1"] if "a1" in keys else []
        return Page(
            step=SyncScope.HOLDINGS,
            progress=Decimal("0.5"),
            holdings=held,
            holdings_complete=complete,
        )

    # ── files ───────────────────────────────────────────────────────────────

    async def imports(self) -> None:
        dice = self.dice
        if dice.random() < 0.3:
            part = position("037833100", str(dice.randrange(1, 4)), "150", "1500")
            await self.engine.imported(brokerage(part, cash=str(dice.randrange(3))))
            return
        rows = january(*range(1, dice.randrange(2, 9)), start=dice.randrange(4))
        number = dice.choice(["000", "001", "1001"])
        file = bank(account(rows, number=number, balance=f"{dice.randrange(3)}50.00"))
        await self.engine.imported(file, provider=dice.choice(["file", "chase"]))

    async def takes_back(self) -> None:
        run = await self._one("sync_runs", "trigger = 'IMPORT'")
        cmd = UndoImport(actor=self.actor, run_id=RunId(run), at=self.engine.clock())
        await undo_import(self.engine.app, cmd)

    # ── what owners say ─────────────────────────────────────────────────────

    async def adds_a_manual_account(self) -> None:
        cmd = CreateManualAccount(
            actor=self.actor,
            name=self.dice.choice(["House", "Car"]),
            type=AccountType.OTHER,
            currency=USD,
            balance=Decimal(self.dice.randrange(9)),
            at=self.engine.clock(),
        )
        await create_manual_account(self.engine.app, cmd)

    async def says_a_balance(self) -> None:
        cmd = RecordBalance(
            actor=self.actor,
            account_id=await self._one("accounts"),
            balance=Decimal(self.dice.randrange(9)),
            balance_at=self.engine.clock() - timedelta(days=self.dice.randrange(3)),
            at=self.engine.clock(),
        )
        await record_balance(self.engine.app, cmd)

    async def deletes_a_manual_account(self) -> None:
        id = AccountId(await self._one("accounts", "provider_slug = 'manual'"))
        cmd = DeleteManualAccount(actor=self.actor, account_id=id, at=self.engine.clock())
        await delete_manual_account(self.engine.app, cmd)

    async def renames_an_account(self) -> None:
        cmd = UpdateAccount(
            actor=self.actor,
            account_id=await self._one("accounts"),
            nickname=self.dice.choice([UNSET, None, "Joint"]),
            included_in_net_worth=COUNTS[self.dice.randrange(3)],
            at=self.engine.clock(),
        )
        await update_account(self.engine.app, cmd)

    async def annotates(self) -> None:
        cmd = UpdateTransaction(
            actor=self.actor,
            transaction_id=TransactionId(await self._one("transactions")),
            category=self.dice.choice([UNSET, None, "", "Food"]),
            notes=self.dice.choice([UNSET, None, "shared"]),
            at=self.engine.clock(),
        )
        await update_transaction(self.engine.app, cmd)


HAPPENINGS: dict[str, Callable[[Household], Awaitable[None]]] = {
    "connects": Household.connects,
    "syncs": Household.syncs,
    "fails": Household.fails,
    "authorizes": Household.authorizes,
    "lapses": Household.lapses,
    "renames a link": Household.renames_a_link,
    "disconnects": Household.disconnects,
    "imports": Household.imports,
    "takes back": Household.takes_back,
    "adds a manual account": Household.adds_a_manual_account,
    "says a balance": Household.says_a_balance,
    "deletes a manual account": Household.deletes_a_manual_account,
    "renames an account": Household.renames_an_account,
    "annotates": Household.annotates,
}

OFTEN = dict.fromkeys(HAPPENINGS, 2) | {
    "connects": 3,
    "syncs": 6,
    "imports": 5,
    "takes back": 4,
    "fails": 5,
    "disconnects": 2,
}
