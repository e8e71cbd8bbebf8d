"""Copies that clients keep by `changes`, and what they are compared with: all that there is."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql import (
    ExecutionResult,
    GraphQLOutputType,
    execute,
    get_named_type,
    is_interface_type,
    is_leaf_type,
    is_object_type,
    parse,
    validate,
)
from strawberry.execution import optimized_is_awaitable

from schema.context import Context
from schema.ids import global_id
from schema.schema import schema
from schema.versioned import EVERY, VERSIONED
from tests.engine.world import Engine

Copied: TypeAlias = dict[str, dict[str, Any]]  # what is known of each, by id

TABLES = {
    "Link": "links",
    "Account": "accounts",
    "Security": "securities",
    "Holding": "holdings",
    "Transaction": "transactions",
}
IDS_A_TIME = 500


def _fields(kind: str, prefix: str = "") -> str:
    """The versioned ones: what has an id by its id, and no pages."""
    of = schema.type_map[kind]
    assert is_object_type(of)
    named = VERSIONED[kind].split()
    names = [*of.fields] if named == [EVERY] else named
    chosen = {name: _selection(of.fields[name].type) for name in names}
    return " ".join(f"{prefix}{n}: {n} {s}" for n, s in chosen.items() if s is not None)


def _selection(of: GraphQLOutputType) -> str | None:
    inner = get_named_type(of)
    if is_leaf_type(inner):
        return ""
    if inner.name in TABLES:
        return "{ id }"
    if inner.name.endswith("Connection"):
        return None
    if is_interface_type(inner):
        return "{ __typename code message field }"
    return "{ slug name }" if inner.name == "Provider" else f"{{ {_fields(inner.name)} }}"


# Fields of one name may be of another type in another kind.
EVERYTHING = "__typename id " + " ".join(
    f"... on {kind} {{ {_fields(kind, prefix=f'{kind}_')} }}" for kind in TABLES
)
CHANGES = parse(
    "query($after: String, $first: Int!) { changes(after: $after, first: $first) {"
    f" upserted {{ {EVERYTHING} }} deletedIds cursor hasMore }} }}"
)
NODES = parse(f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ {EVERYTHING} }} }}")
assert not [*validate(schema, CHANGES), *validate(schema, NODES)]


async def ask(engine: Engine, document: Any, **variables: Any) -> Any:
    """The data of an answer without errors, as the gateway's engine gives it."""
    context = Context(
        app=engine.app,
        viewer=engine.actor,
        now=engine.clock(),
        trace_id="0",
        snapshot=engine.wired.snapshot,
    )
    try:
        answer: Any = execute(
            schema,
            document,
            context_value=context,
            variable_values=variables,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # a bool, no TypeGuard
        )
        if not isinstance(answer, ExecutionResult):
            answer = await answer
    finally:
        await context.close()
    assert answer.errors is None, answer.errors
    return answer.data


async def all_there_is(engine: Engine) -> Copied:
    """By the ids that are in the tables, past everything that chooses among them."""
    ids = [
        global_id(kind, row["id"])
        for kind, table in TABLES.items()
        for row in await engine.rows(table, "user_id = $1", engine.actor.user_id)
    ]
    found: Copied = {}
    for begin in range(0, len(ids), IDS_A_TIME):
        nodes = (await ask(engine, NODES, ids=ids[begin : begin + IDS_A_TIME]))["nodes"]
        found |= {node["id"]: _in_no_order(node) for node in nodes}
    assert len(found) == len(ids)
    return found


@dataclass(slots=True)
class Copy:
    """`pages` is how many it has read since it last had everything."""

    cursor: str | None = None
    things: Copied = field(default_factory=dict)
    has_more: bool = True

    def forked(self) -> "Copy":
        return Copy(self.cursor, dict(self.things), self.has_more)

    async def page(self, engine: Engine, first: int) -> int:
        """How much it brought."""
        said = (await ask(engine, CHANGES, after=self.cursor, first=first))["changes"]
        upserted = {node["id"]: _in_no_order(node) for node in said["upserted"]}
        gone = said["deletedIds"]
        assert len({*upserted, *gone}) == len(said["upserted"]) + len(gone) <= first
        assert not said["hasMore"] or len(upserted) + len(gone) == first
        begins = self.cursor is None
        assert not (begins and gone), "who has nothing was told of what is gone"
        self.things |= upserted
        for id in gone:
            self.things.pop(id, None)
        self.cursor, self.has_more = said["cursor"], said["hasMore"]
        return len(upserted) + len(gone)

    async def drain(self, engine: Engine, first: int) -> int:
        brought = await self.page(engine, first)
        while self.has_more:
            brought += await self.page(engine, first)
        return brought


def _in_no_order(node: dict[str, Any]) -> dict[str, Any]:
    """A link's list of accounts is sorted by their names."""
    if (accounts := node.get("Link_accounts")) is not None:
        return {**node, "Link_accounts": sorted(account["id"] for account in accounts)}
    return dict(node)
