"""Published documents are run once for nobody, so that their first request is like any other.

Nothing is written, and nothing is counted as anybody's use: it is not the gateway's own way in that
they go, but the engine alone, with a rehearsal in the place of what reads.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import structlog
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_operation_ast,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    type_from_ast,
)

from adapters.postgres.rehearsal import Rehearsal, prepare
from domain.errors import Unavailable
from domain.identity import NOBODY, Actor, Permission, Role
from gateway.documents.reading import Document
from gateway.operations.execution import Engine
from gateway.operations.parameters import Parameters
from schema.context import Context

if TYPE_CHECKING:
    from gateway.wiring.root import Wired

LONGEST_S = 2.0  # for any number of documents: those after that are run when they are asked for
SAMPLES: dict[str, Any] = {
    "Boolean": False,
    "Currency": "USD",
    "Date": "2000-01-01",
    "DateTime": "2000-01-01T00:00:00Z",
    "Decimal": "1",
    "Float": 1.0,
    "ID": "",
    "Int": 1,
    "String": "",
}
VIEWER = Actor(user_id=NOBODY, role=Role.READONLY)

log = structlog.get_logger("dashtam.documents")


class Warming:
    """Called with documents that were read; what it cannot warm is served all the same. After each,
    `rest` times as long as it took is left to others, where this process is serving already."""

    def __init__(self, wired: "Wired", engine: Engine) -> None:
        self._wired, self._engine = wired, engine
        self._prepared: set[str] = set()

    async def __call__(self, documents: Iterable[Document], rest: float = 0) -> None:
        if not self._prepared:
            await asyncio.to_thread(self._decide_and_sign)
        rehearsal = Rehearsal(self._wired.pool)
        await rehearsal.begin()
        count, taken_s = 0, 0.0
        for document in documents:
            if taken_s > LONGEST_S:
                break
            if document.measured.introspects:
                continue  # that takes longer than all others, and asks the database nothing
            begun = perf_counter()
            try:
                await self._rehearse(document, rehearsal.said)
            except Exception as error:  # noqa: BLE001 - whoever asks for it meets that again
                log.warning("documents.not_warmed", reason=type(error).__name__)
            count, took_s = count + 1, perf_counter() - begun
            taken_s += took_s
            await asyncio.sleep(rest * took_s)
        said = {sql: given for sql, given in rehearsal.said.items() if sql not in self._prepared}
        try:
            reached = await prepare(self._wired.pool, said) if said else 0
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("documents.not_warmed", reason=type(error).__name__)
            return
        if reached:
            self._prepared.update(said)
        log.info("documents.warmed", count=count, statements=len(said))

    def _decide_and_sign(self) -> None:
        """The policy remembers what it decided; and the keys are parsed when they are used."""
        for role in Role:
            for permission in Permission:
                self._wired.app.policy.allows(role, permission)
        now, tokens = self._wired.app.now(), self._wired.tokens
        token = tokens.issue(user_id=NOBODY, session_id=NOBODY, version=0, generation=0, now=now)
        tokens.read(token, now=now)

    async def _rehearse(self, document: Document, said: dict[str, tuple[object, ...]]) -> None:
        for name in document.measured.root_fields:
            node = get_operation_ast(document.node, name)
            if node is None:
                continue
            reads = Rehearsal(self._wired.pool)
            context = self._context(reads)
            asked = Parameters(operation_name=name, variables=_variables(self._engine.schema, node))
            try:
                await self._engine.rehearse(document, asked, context)
            finally:
                await context.close()
            said.update(reads.said)

    def _context(self, reads: Rehearsal) -> Context:
        app = self._wired.app
        return Context(
            app=app,
            viewer=VIEWER,
            now=app.now(),
            trace_id=uuid4().hex,
            snapshot=lambda _: reads,
        )


def _variables(schema: GraphQLSchema, of: OperationDefinitionNode) -> dict[str, Any]:
    """What its author has to give, made up."""
    given = {}
    for each in of.variable_definitions or ():
        kind = type_from_ast(schema, each.type)
        if each.default_value is None and is_non_null_type(kind):
            given[each.variable.name.value] = _sample(kind.of_type)
    return given


def _sample(kind: Any) -> Any:
    """None where nothing is known of it: the operation then does not run."""
    if is_non_null_type(kind):
        return _sample(kind.of_type)
    if is_list_type(kind):
        return [_sample(kind.of_type)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        fields = kind.fields.items()
        return {n: _sample(f.type) for n, f in fields if is_required_input_field(f)}
    return SAMPLES.get(kind.name)
