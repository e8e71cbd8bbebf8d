"""Three people at one gateway, and what has to hold after each thing that one of them does."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.commands.people import CreateUser, GrantRole, actor_to_be, create_user, grant_role
from domain.identity import NOBODY, Actor, Role, UserId
from domain.mail import Template
from domain.secret import Secret
from schema.identity import STANDS_ALONE
from schema.ids import global_id
from schema.paging import encoded
from schema.schema import schema
from tests.isolation import answers
from tests.isolation.answers import Leak, Seen
from tests.isolation.books import Books, Of, changed, rows
from tests.isolation.documents import RootField, root_fields
from tests.isolation.drawing import Drawn, drawn
from tests.isolation.gateway import Answer, InProcess
from tests.isolation.people import Dice, Person
from tests.isolation.planted import Marks, statement
from tests.isolation.words import Asked

FIELDS: Mapping[str, RootField] = {field.at: field for field in root_fields(schema)}
# What a step may change of somebody else, whom it names: by their address, or as administrator.
BY_ADDRESS = frozenset({"audit_log", "events", "email_tokens"})
BY_ADDRESS_AT = ("Mutation.signIn", "Mutation.register", "Mutation.requestPasswordReset")
BY_ADMIN = frozenset({"users", "sessions", "audit_log", "events"})
BY_ADMIN_AT = ("Mutation.setRole", "Mutation.rotateUserTokens")
ON_RECORD = frozenset({"audit_log", "sessions"})  # that one was there, and tried

TOTALS = """query Totals($from: Date) {
  viewer { id }
  accounts(filter: {includeInactive: true}) { id balanceHistory(interval: RAW, from: $from) { at } }
  transactions(first: 1, filter: {includeRemoved: true}) { totalCount }
  holdings(first: 1, filter: {includeClosed: true}) { totalCount }
  links(status: [PENDING ACTIVE NEEDS_REAUTHORIZATION FAILED REVOKED DISCONNECTED]) { id }
  syncRuns(first: 500) { nodes { id } }
}"""

EVENTS = """
SELECT id FROM events WHERE user_id = $1 AND id IS NOT NULL ORDER BY random() LIMIT 3"""


class World:
    def __init__(self, gateway: InProcess, books: Books) -> None:
        self.gateway, self.books, self.seen = gateway, books, Seen(books)
        self.people: list[Person] = []
        self.free_tokens: list[str] = []
        self.steps, self.compared = 0, 0
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self._now: Mapping[UUID, Of] = {}

    async def begin(self, roles: Sequence[Role]) -> None:
        """With other people, who have a little of everything."""
        await self.gateway.spy.execute("DELETE FROM jobs.pgqueuer")
        self.people.clear()
        for role in roles:
            self.people.append(await self._newcomer(role))
        await self.look()

    async def step(
        self, at: str, who: int, seed: int, *, hostile: tuple[str, str] | None = None
    ) -> None:
        """`hostile` is said at a coordinate. Raises Leak, AssertionError for what else is wrong."""
        self.steps += 1
        field, me, dice = FIELDS[at], self.people[who], Dice(seed)
        self.gateway.choose_walls(dice)
        self.gateway.clock.turn(400 if dice.chance(0.03) else 2)
        asked = Asked(me, [p for p in self.people if p is not me], dice, self.gateway.clock)
        asked.free_tokens, asked.hostile = self.free_tokens, hostile
        said = drawn(field, asked)
        signed_out = dice.chance(0.06)
        if me.token is None and not signed_out:
            await self._sign_in(me)
        answer = await self._ask(field, me, said, signed_out=signed_out)
        if answer.status == 401 and not signed_out:
            await self._sign_in(me)
            answer = await self._ask(field, me, said, signed_out=signed_out)
        await self._judge(field, asked, said, answer, signed_out=signed_out)
        await self._follow(field, asked, said, answer)
        if dice.chance(0.25):
            await self._work(most=4)
        if dice.chance(0.2):
            await self._count(me)

    # ── asking ──────────────────────────────────────────────────────────────

    async def _ask(
        self, field: RootField, me: Person, said: Drawn, *, signed_out: bool, twin: bool = False
    ) -> Answer:
        variables = said.twin if twin and said.twin is not None else said.variables
        asker = me.asker(signed_out=signed_out)
        me.said |= answers.ids_in(json.dumps(variables))
        if field.root == "Subscription":
            await self._know_events()
            return await self.gateway.subscribe(asker, field.text, variables)
        return await self.gateway.ask(asker, field.text, variables, said.file)

    async def _know_events(self) -> None:
        """As if each had listened from the beginning."""
        for person in self.people:
            for row in await self.gateway.spy.fetch(EVENTS, person.user_id):
                person.given_cursor("events", encoded("events", str(row["id"])))

    async def _say(self, at: str, me: Person, file: bytes | None = None, **said: Any) -> Any:
        """Something that has to work."""
        answer = await self._ask(FIELDS[at], me, Drawn(said, None, file), signed_out=False)
        name = at.partition(".")[2]
        found = (answer.said.get("data") or {}).get(name)
        assert found is not None, answer.text
        assert found["errors"] == [], answer.text
        await self.seen.check(answer.text, at=at, to=me)
        self._learn(at, me, answer)
        return found

    async def _sign_in(self, me: Person) -> None:
        self.gateway.clock.turn(31 if me.seed else 0)
        code = me.code(self.gateway.clock().timestamp()) if me.seed else None
        given = {"email": me.marks.email, "password": me.password, "code": code}
        found = await self._say("Mutation.signIn", me.signed_out(), signIn_input=given)
        me.token, me.refresh_token = found["accessToken"], found["refreshToken"]
        await self.look()

    # ── what has to hold ────────────────────────────────────────────────────

    async def _judge(
        self, field: RootField, asked: Asked, said: Drawn, answer: Answer, *, signed_out: bool
    ) -> None:
        me = asked.me
        for person in asked.addressed:
            person.visitors.add(me.marks.ip)
        await self._check(
            field, None if signed_out and field.name not in STANDS_ALONE else me, answer
        )
        before = self._now
        await self.look()
        mine = self._check_changes(field, asked, before)
        if said.twin is None or mine or answer.status == 401:
            return
        self.compared += 1
        twin = await self._ask(field, me, said, signed_out=signed_out, twin=True)
        if twin.text != answer.text:  # the use of a session may have been noted between the two
            answer = await self._ask(field, me, said, signed_out=signed_out)
        if twin.text != answer.text:
            raise Leak(
                f"{field.at} tells what is another's from what is nowhere:"
                f"\n{said.variables}\n{answer.text[:2000]}\n{said.twin}\n{twin.text[:2000]}"
            )
        await self.look()

    async def _check(self, field: RootField, to: Person | None, answer: Answer) -> None:
        self.asked[field.at] += 1
        await self.seen.check(answer.text, at=field.at, to=to)
        assert answer.status < 500, answer.text
        found = answer.said
        assert "INTERNAL" not in answers.codes(found), f"{field.at}: {answer.text}"
        data = (found.get("data") or {}).get(field.name)
        if data is not None and not (isinstance(data, dict) and data.get("errors")):
            self.answered[field.at] += 1
        if to is not None:
            self._learn(field.at, to, answer)

    def _check_changes(self, field: RootField, asked: Asked, before: Mapping[UUID, Of]) -> set[str]:
        """The tables of the asker's own rows that are different now, but for what notes it."""
        me = asked.me
        for person in asked.others:
            allowed: frozenset[str] = frozenset()
            if person in asked.addressed:
                allowed = BY_ADMIN if field.at in BY_ADMIN_AT else BY_ADDRESS
            of = person.user_id
            if foreign := changed(before[of], self._now[of]) - allowed:
                raise Leak(f"{field.at} changed of another {foreign}")
        mine = changed(before[me.user_id], self._now[me.user_id])
        if field.root != "Mutation" and mine - {"sessions"}:
            raise Leak(f"{field.at}, which only reads, changed {mine}")
        if me.role is Role.READONLY and field.name not in STANDS_ALONE and mine - ON_RECORD:
            raise Leak(f"{field.at} by READONLY changed {mine}")
        return mine - ({"audit_log"} if field.name in STANDS_ALONE else ON_RECORD)

    async def _count(self, me: Person) -> None:
        """Totals are of one's own rows, all of them."""
        if me.token is None:
            return
        year = self.gateway.clock().year - 9
        answer = await self.gateway.ask(me.asker(), TOTALS, {"from": f"{year}-01-01"})
        if answer.status == 401:
            return
        await self.seen.check(answer.text, at="Query.totals", to=me)
        said, mine = answer.said["data"], self._now[me.user_id]
        found = {
            "accounts": len(said["accounts"]),
            "balance_snapshots": sum(len(one["balanceHistory"]) for one in said["accounts"]),
            "transactions": said["transactions"]["totalCount"],
            "holdings": said["holdings"]["totalCount"],
            "links": len(said["links"]),
            "sync_runs": len(said["syncRuns"]["nodes"]),
        }
        if found != (there := {table: rows(mine, table) for table in found}):
            raise Leak(f"totals are not one's own: {found}, and there are {there}")
        await self.look()

    async def look(self) -> None:
        """Keep what is there now, as what the next step begins with."""
        self._now = await self.books.read([p.user_id for p in self.people])

    # ── what comes of it ────────────────────────────────────────────────────

    def _learn(self, at: str, me: Person, answer: Answer) -> None:
        if at not in answers.ADMINISTRATION:
            for kind, id in answers.global_ids(answer.text):
                if id not in me.gone.get(kind, ()):
                    me.given(kind, id)
        for name, cursor in answers.cursors(answer.said.get("data")):
            me.given_cursor(name, cursor)

    async def _follow(self, field: RootField, asked: Asked, said: Drawn, answer: Answer) -> None:
        me = asked.me
        found = (answer.said.get("data") or {}).get(field.name)
        if not isinstance(found, dict) or found.get("errors"):
            return
        match field.name:
            case "signIn" | "refreshSession" if found["accessToken"]:
                me.token, me.refresh_token = found["accessToken"], found["refreshToken"]
            case "signOut":
                me.token = None
            case "changePassword" | "resetPassword":
                me.password = said.variables[f"{field.name}_input"]["newPassword"]
            case "connectProvider" if found.get("state"):
                me.states.append(found["state"])
                await self._go_on("Mutation.completeAuthorization", asked)
            case "completeAuthorization":
                await self._go_on("Mutation.refreshLinkCredentials", asked)
            case "enableTotp":
                me.new_seed = found["secret"]
            case "confirmTotp":
                me.seed, me.recovery = me.new_seed, found["recoveryCodes"]
            case "disableTotp":
                me.seed, me.recovery = None, []
            case "deleteManualAccount":
                me.lost("Account", found["deletedId"])
            case "revokeSession":
                me.lost("Session", found["revokedId"])
            case "setRole":
                await self._roles()
            case "deleteViewer":
                await self._replace(me)

    async def _go_on(self, at: str, asked: Asked) -> None:
        """At once, since what consent is asked for by is soon over."""
        await self.step(at, self.people.index(asked.me), asked.dice.randrange(2**64))

    async def _roles(self) -> None:
        """As they are by now; there is always an administrator among the three."""
        found = await self.gateway.spy.fetch("SELECT user_id, role FROM users")
        roles = {row["user_id"]: Role[row["role"]] for row in found}
        for person in self.people:
            person.role = roles[person.user_id]
        if all(person.role is not Role.ADMIN for person in self.people):
            await self._grant(self.people[0], Role.ADMIN)
            await self.look()

    async def _grant(self, person: Person, role: Role) -> None:
        actor = Actor(user_id=UserId(person.user_id), role=role)
        cmd = GrantRole(actor=actor, role=role, at=self.gateway.clock())
        if person.role is not role:
            await grant_role(self.gateway.app, cmd)
            person.role = role

    async def _replace(self, gone: Person) -> None:
        """Whose everything is gone is followed by another person."""
        self.people[self.people.index(gone)] = await self._newcomer(gone.role)
        await self._roles()
        await self.look()

    async def _work(self, most: int) -> None:
        """What waits for a worker: each in one person's identity, or for an address."""
        for _ in range(most):
            before = self._now
            whose = await self.gateway.next_job()
            if whose is None:
                return
            await self.look()
            for person in self.people:
                allowed = BY_ADDRESS if whose == NOBODY else frozenset[str]()
                different = changed(before[person.user_id], self._now[person.user_id])
                if person.user_id != whose and different - allowed:
                    raise Leak(f"a job of another changed {different}")
            await self._read_mail()

    async def _read_mail(self) -> None:
        while self.gateway.letters.sent:
            letter = self.gateway.letters.sent.pop()
            whose = [p for p in self.people if p.marks.email == letter.to]
            text = " ".join((letter.to, *letter.values.values()))
            if whose or not letter.to.startswith("ze"):
                await self.seen.check(text, at="a mail", to=whose[0] if whose else None)
            if letter.token is not None and letter.template is Template.RESET_PASSWORD:
                for person in whose:
                    person.reset_tokens.append(letter.token.reveal())
            elif letter.token is not None:
                self.free_tokens.append(letter.token.reveal())

    async def _newcomer(self, to_be: Role) -> Person:
        role = Role.USER if to_be is Role.READONLY else to_be  # who has something to read
        marks, actor = Marks.new(), actor_to_be(role)
        password = f"correct horse of {marks.word}"
        cmd = CreateUser(
            actor=actor,
            email=marks.email,
            password=Secret(password),
            role=role,
            at=self.gateway.clock(),
        )
        await create_user(self.gateway.app, cmd)
        self.seen.planted(actor.user_id, marks)
        me = Person(user_id=actor.user_id, marks=marks, role=role, password=password)
        me.given("User", global_id("User", actor.user_id))
        was, self.people = self.people, [*self.people, me]
        await self._sign_in(me)
        given: dict[str, Any]
        using = {"credentials": [{"name": "seed", "value": f"{marks.secret}n0"}]}
        given = {"provider": "sandbox", "using": using, "alias": marks.text("First")}
        await self._say("Mutation.connectProvider", me, connectProvider_input=given)
        file = statement(marks, 1, 1, 2)
        given = {"provider": "file", "file": None}
        await self._say("Mutation.importStatement", me, file, importStatement_input=given)
        given = {"name": marks.text("Safe"), "type": "OTHER", "currency": "USD"}
        given |= {"balance": marks.amount(9)}
        await self._say("Mutation.createManualAccount", me, createManualAccount_input=given)
        while await self.gateway.next_job() is not None:
            pass
        for at in ("Query.accounts", "Query.links", "Query.transactions", "Query.viewer"):
            answer = await self._ask(FIELDS[at], me, Drawn({}, None, None), signed_out=False)
            await self._check(FIELDS[at], me, answer)
        self.people = was
        await self._grant(me, to_be)
        return me
