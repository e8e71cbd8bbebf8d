"""What a step says: each argument of a root field drawn by its coordinate, and its twin.

The twin of a request names in the place of everything that is not the asker's (another's, deleted,
malformed, of another kind) what never was: its answer has to be the same, byte for byte.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_required_input_field,
)

from domain.identity import Role
from schema.ids import global_id
from tests.isolation import words
from tests.isolation.documents import Argument, RootField
from tests.isolation.hostile import SNIPPETS
from tests.isolation.people import Dice
from tests.isolation.planted import statement
from tests.isolation.words import Asked

UUIDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
MALFORMED = ("", "x", "TGluazp4", "Account:1", "bGluazow", "0" * 60)
OWN_OPTIONAL, NESTED, OPTIONAL, HOSTILE = 0.5, 0.08, 0.4, 0.03


@dataclass(frozen=True, slots=True)
class Pair:
    said: Any
    twin: Any

    @property
    def differs(self) -> bool:
        return bool(self.said != self.twin)


@dataclass(frozen=True, slots=True)
class Drawn:
    variables: dict[str, Any]
    twin: dict[str, Any] | None  # where it would differ
    file: bytes | None


def drawn(field: RootField, asked: Asked) -> Drawn:
    said = {
        name: _value(argument.at, argument.type, asked)
        for name, argument in field.arguments.items()
        if _is_said(argument, asked.dice) or _reaches(argument, asked)
    }
    twin = {name: pair.twin for name, pair in said.items()}
    takes_file = any("ImportStatementInput" in str(a.type) for a in field.arguments.values())
    return Drawn(
        variables={name: pair.said for name, pair in said.items()},
        twin=twin if any(pair.differs for pair in said.values()) else None,
        file=_file(asked) if takes_file else None,
    )


def _is_said(argument: Argument, dice: Dice) -> bool:
    return argument.is_required or dice.chance(OWN_OPTIONAL if argument.is_own else NESTED)


def _reaches(argument: Argument, asked: Asked) -> bool:
    """That something hostile is to be said there, or below."""
    kind = get_named_type(argument.type)
    return asked.hostile is not None and asked.hostile[0].startswith((argument.at, f"{kind.name}."))


def _value(at: str, of: GraphQLInputType, asked: Asked) -> Pair:
    """Raises AssertionError where nobody has said what is given there."""
    if isinstance(of, GraphQLNonNull):
        return _value(at, of.of_type, asked)
    if isinstance(of, GraphQLList):
        if at == "ConnectUsing.credentials":
            return _same(_credentials(asked))
        many = [_value(at, of.of_type, asked) for _ in range(asked.dice.pick(0, 1, 1, 2, 3))]
        return Pair([one.said for one in many], [one.twin for one in many])
    if isinstance(of, GraphQLInputObjectType):
        return _input(of, asked)
    if isinstance(of, GraphQLEnumType):
        return _same(asked.dice.choice([*of.values]))
    return _scalar(at, of.name, asked)


def _input(of: GraphQLInputObjectType, asked: Asked) -> Pair:
    dice, names = asked.dice, [*of.fields]
    if of.extensions["strawberry-definition"].is_one_of:
        likely = {"credentials": 10, "oauth": 30 if asked.consents else 3}
        weights = [likely.get(name, 1) for name in names]
        names = dice.choices(names, weights)
    else:
        names = [n for n in names if _is_given(f"{of.name}.{n}", of.fields[n], asked)]
    found = {name: _value(f"{of.name}.{name}", of.fields[name].type, asked) for name in names}
    return Pair(
        {name: pair.said for name, pair in found.items()},
        {name: pair.twin for name, pair in found.items()},
    )


def _is_given(at: str, field: GraphQLInputField, asked: Asked) -> bool:
    is_hostile = asked.hostile is not None and asked.hostile[0] == at
    if is_required_input_field(field) or is_hostile or at in words.GIVEN:
        return True
    return asked.dice.chance(OPTIONAL)


def _scalar(at: str, kind: str, asked: Asked) -> Pair:
    dice = asked.dice
    if asked.hostile is None and kind in ("ID", "String") and dice.chance(HOSTILE):
        return hostile(at, kind, dice.choice(SNIPPETS))
    if asked.hostile is not None and asked.hostile[0] == at:
        return hostile(at, kind, asked.hostile[1])
    match kind:
        case "ID":
            assert at in words.IDS, f"say in tests/isolation/words.py what {at} is an id of"
            return _id(words.IDS[at], asked)
        case "String" if at.endswith(".after"):
            # What is listed to an administrator is everybody's, and so are the places in it.
            is_everybodys = at.startswith("Admin.") and asked.me.role is Role.ADMIN
            said = _cursor(at.split(".")[1], asked)
            return _same(said.said) if is_everybodys else said
        case "String":
            assert at in words.TEXTS, f"say in tests/isolation/words.py what {at} is given"
            return _text(at, asked)
        case "Int":
            return _same(dice.choice(words.NUMBERS.get(at, words.FIRSTS)))
        case "Boolean":
            return _same(at == "ConnectUsing.nothing" or dice.chance(0.4))
        case "Decimal":
            sought = at.startswith("TransactionFilter")
            return _same(words.amount_sought(asked) if sought else words.amount(asked))
        case "Currency":
            return _same(dice.pick("USD", "USD", "EUR"))
        case "Date":
            return _same(words.day(asked))
        case "DateTime":
            return _same(words.instant(asked))
        case "Upload":
            return _same(None)  # the form brings it
    raise AssertionError(f"say in tests/isolation/drawing.py what a {kind} is given")


def hostile(at: str, kind: str, snippet: str) -> Pair:
    """SQL where an id, a cursor or a text is taken, in the form that each has."""
    if kind == "ID":
        plain = f"{words.IDS[at].replace('*', 'Account')}:{snippet}"
        return Pair(base64.b64encode(plain.encode()).decode(), global_id("Account", uuid4()))
    if at.endswith(".after"):
        parts = json.dumps([snippet] * (1 + len(snippet) % 3))
        return _same(base64.urlsafe_b64encode(parts.encode()).decode())
    return _same(snippet)


def _same(value: Any) -> Pair:
    return Pair(value, value)


def _text(at: str, asked: Asked) -> Pair:
    before = len(asked.addressed)
    said = words.TEXTS[at](asked)
    strangers = [p for p in asked.addressed[before:] if p is not asked.me]
    return Pair(said, f"nobody{asked.dice.randrange(10**9)}@example.com" if strangers else said)


def _id(kind: str, asked: Asked) -> Pair:
    me, dice, of_any_kind = asked.me, asked.dice, kind == "*"
    kind = dice.choice(words.KINDS) if of_any_kind else kind
    absent = global_id(kind, uuid4())
    if kind == "User" and me.role is Role.ADMIN:  # everybody is an administrator's
        person = dice.choice([me, *asked.others])
        asked.addressed.append(person)
        return _same(global_id(kind, person.user_id))
    ways = {"own": 50, "foreign": 25, "gone": 6, "malformed": 7, "absent": 6, "other": 6}
    if of_any_kind:
        del ways["other"]
    match dice.choices([*ways], [*ways.values()])[0]:
        case "own" if known := me.ids.get(kind):
            return _same(dice.choice(known))
        case "own" | "foreign" if known := asked.other.ids.get(kind):
            return Pair(dice.choice(known), absent)
        case "gone" if known := me.gone.get(kind):
            return Pair(dice.choice(known), absent)
        case "malformed":
            return Pair(dice.choice(MALFORMED), absent)
        case "other" if known := me.ids.get(other := dice.choice(words.KINDS)):
            return _same(dice.choice(known)) if other == kind else Pair(dice.choice(known), absent)
    return _same(absent)


def _cursor(name: str, asked: Asked) -> Pair:
    dice = asked.dice
    whose = asked.me if dice.chance(0.5) else asked.other
    if dice.chance(0.1):
        return _same(dice.choice(MALFORMED))
    of = name if dice.chance(0.7) else dice.choice([name, *whose.cursors])
    if not (known := whose.cursors.get(of)):
        return _same(None)
    cursor = dice.choice(known)
    return _same(cursor) if whose is asked.me else Pair(cursor, beside(cursor))


def beside(cursor: str) -> str:
    """One that leads to where it does, by an id that is nobody's."""
    parts = json.loads(base64.urlsafe_b64decode(cursor))
    moved = [_next(p) if UUIDS.fullmatch(p) else p for p in parts]
    return base64.urlsafe_b64encode(json.dumps(moved, separators=(",", ":")).encode()).decode()


def _next(id: str) -> str:
    return id[:-1] + format(int(id[-1], 16) ^ 1, "x")


def _credentials(asked: Asked) -> list[dict[str, str]]:
    me, dice = asked.me, asked.dice
    me.logins += dice.chance(0.5)
    scenario = "down" if dice.chance(0.2) else "default"
    seed = f"{me.marks.secret}n{me.logins}"
    said = [{"name": "scenario", "value": scenario}, {"name": "seed", "value": seed}]
    at, snippet = asked.hostile or ("", "")
    if at.startswith("CredentialInput."):
        said[0][at.partition(".")[2]] = snippet
    return said


def _file(asked: Asked) -> bytes:
    if asked.dice.chance(0.1):
        return asked.me.marks.text("no statement at all").encode()
    return statement(asked.me.marks, asked.dice.pick(1, 2), *asked.dice.pick((1, 2), (2, 3), (4,)))
