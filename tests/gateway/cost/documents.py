"""Valid documents of our own schema, of any shape, and variables for them, from a seed."""

import random
import re
import zlib
from collections.abc import Sequence
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from gateway.cost.steps import steps_of
from schema.schema import schema
from tests.schema.world import gid

LEFT_OUT = {"admin", "changes"}  # what the ledger of tests/schema does not have
VARIABLES = {
    "$n": "Int! = 3",
    "$absent": "Int! = 2",
    "$yes": "Boolean!",
    "$no": "Boolean! = false",
    "$ids": "[ID!]!",
    "$filter": "AccountFilter",
}
CONDITIONS = ("", "", "", "", " @include(if: $yes)", " @skip(if: $no)", " @skip(if: $yes)")
FIRSTS = ("1", "2", "2", "3", "4", "7", "$n", "$absent", "$absent", "60", "500", "0", "501")


class Writer:
    """`known` are ids of things that are there, by type."""

    def __init__(self, seed: int, known: dict[str, Sequence[str]]) -> None:
        self._random = random.Random(seed)
        self._known = [id for of_kind in known.values() for id in of_kind]
        self._of = known
        self._fragments: dict[str, str] = {}
        self._on: dict[str, list[str]] = {}
        self._left = self._random.choice([4, 10, 30])  # fields

    def document(self) -> tuple[str, dict[str, Any]]:
        """The text, and the variables as a client would send them."""
        query = schema.query_type
        assert query is not None
        body = self._selection(query, 0)
        text = " ".join([body, *self._fragments.values()])
        used = [f"{name}: {of}" for name, of in VARIABLES.items() if re.search(rf"\{name}\b", text)]
        text = f"query Q{f'({chr(44).join(used)})' if used else ''} {text}"
        pick = self._random
        given: dict[str, Any] = {"yes": pick.random() < 0.7, "ids": self._ids("Account")}
        if pick.random() < 0.8:
            given["n"] = pick.choice([1, 2, 2, 5, 40])
        if pick.random() < 0.3:
            given["no"] = True
        if pick.random() < 0.5:
            given["filter"] = pick.choice(
                [None, {}, {"ids": self._ids("Account")}, {"includeInactive": True}]
            )
        return text, given

    def _selection(self, of: GraphQLNamedType, depth: int) -> str:
        if isinstance(of, GraphQLInterfaceType):
            return self._of_any(of, depth)
        assert isinstance(of, GraphQLObjectType)
        pick, parts = self._random, ["__typename"]
        composite = [n for n, f in of.fields.items() if not is_leaf_type(get_named_type(f.type))]
        composite = [name for name in composite if name not in LEFT_OUT]
        if "id" in of.fields and pick.random() < 0.8:
            parts.append("id")
        if depth < 11 and composite:
            weights = [6 if _leads(of, name) else 1 for name in composite]
            for name in pick.choices(composite, weights, k=pick.choice([1, 2, 2, 3])):
                if self._left > 0:
                    self._left -= 1
                    parts.append(self._field(of, name, depth))
        if pick.random() < 0.3 and len(parts) > 1:
            parts[-1] = self._shared(of, parts[-1])
        pick.shuffle(parts)
        return "{ " + " ".join(parts) + " }"

    def _of_any(self, of: GraphQLInterfaceType, depth: int) -> str:
        names = sorted(o.name for o in schema.get_possible_types(of))
        chosen = self._random.sample(names, k=min(len(names), 3))
        parts = ["id"] if "id" in of.fields else ["__typename"]
        for name in chosen:
            if name == "User":
                continue
            inner = self._selection(schema.type_map[name], depth + 1)
            parts.append(f"... on {name} {inner}")
        return "{ " + " ".join(parts) + " }"

    def _field(self, of: GraphQLObjectType, name: str, depth: int) -> str:
        """Its alias says its arguments, so that what has one response name may be merged."""
        field = of.fields[name]
        arguments = self._arguments(name, field.args)
        alias = f"{of.name}_{name}_{zlib.crc32(arguments.encode()):x}"
        below = self._selection(get_named_type(field.type), depth + 1)
        when = self._random.choice(CONDITIONS)
        return f"{alias}: {name}{arguments}{when} {below}"

    def _arguments(self, name: str, known: dict[str, Any]) -> str:
        pick, said = self._random, []
        if "first" in known and pick.random() < 0.8:
            first = pick.choice(FIRSTS)
            said.append(f"first: {first}")
        if name == "accounts" and "filter" in known:
            a_few = " ".join(f'"{id}"' for id in self._ids("Account"))
            some = [f"{{ids: [{a_few}]}}", "$filter", "{includeInactive: true}", "{ids: $ids}"]
            said += [f"filter: {pick.choice(some)}"] if pick.random() < 0.6 else []
        if "ids" in known:
            few = " ".join(f'"{pick.choice(self._known)}"' for _ in range(pick.choice([0, 1, 4])))
            said.append(f"ids: {pick.choice(['$ids', f'[{few}]'])}")
        if "id" in known:
            said.append(f'id: "{pick.choice(self._known)}"')
        return f"({', '.join(said)})" if said else ""

    def _ids(self, kind: str) -> list[str]:
        return self._random.choices([*self._of[kind]], k=self._random.choice([0, 1, 2, 5]))

    def _shared(self, of: GraphQLObjectType, part: str) -> str:
        """By a fragment: a new one, or one of those before, or both."""
        mine = self._on.setdefault(of.name, [])
        if not mine or self._random.random() < 0.6:
            name = f"F{len(self._fragments)}"
            self._fragments[name] = f"fragment {name} on {of.name} {{ __typename {part} }}"
            mine.append(name)
            part = f"...{name}"
        others = self._random.choices(mine, k=self._random.choice([0, 1, 2]))
        wrapped = f"... on {of.name}{self._random.choice(CONDITIONS)} {{ {part} }}"
        return " ".join([wrapped, *(f"...{name}" for name in others)])


def _leads(of: GraphQLObjectType, name: str) -> bool:
    """To what may have an id."""
    return name in steps_of(schema).fields[of.name]


def known_ids(ledger: Any) -> dict[str, Sequence[str]]:
    kinds = {
        "Link": ledger.links,
        "Account": ledger.accounts,
        "Holding": ledger.holdings[:5],
        "Transaction": ledger.transactions[:5],
        "SyncRun": ledger.runs[:3],
        "Viewer": [ledger.user],
    }
    return {kind: [gid(kind, row.id) for row in rows] for kind, rows in kinds.items()}
