"""Documents that machines make of the schema: none is answered by a fault of ours.

Both draw from the schema as it is printed. hypothesis-graphql makes what is valid, of any shape;
schemathesis what it would try on a server, a root field at a time.
"""

import asyncio
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis_graphql as documents
import structlog
from graphql import GraphQLObjectType
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis_graphql import nodes

from schema.schema import schema
from tests.attacks.stand import MEDIA, Target, answered, proper
from tests.e2e.stack import Client

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
EXAMPLES = 20_000 if LONG else 150
SCHEMATHESIS = 2_000 if LONG else 40
AT_ONCE = 4
# Which end what the others begin with.
ENDING = {"deleteViewer", "signOut", "changePassword", "revokeAllSessions", "revokeSession"}
PROFILE: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "derandomize": not LONG,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
TEXTS = {
    "Currency": ["USD", "EUR", "XXX", "usd", ""],
    "Date": ["2026-01-02", "0001-01-01", "9999-12-31", "2026-02-30", "x"],
    "DateTime": ["2026-01-02T03:04:05Z", "2026-01-02", "9999-12-31T23:59:59+14:00"],
    "Decimal": ["1.5", "-0.0000000001", "1e5", "NaN", "9" * 28],
    "Upload": ["x"],
}

log = structlog.get_logger("dashtam.tests")


def scalars() -> dict[str, SearchStrategy[Any]]:
    return {name: st.sampled_from(texts).map(nodes.String) for name, texts in TEXTS.items()}


def of(root: GraphQLObjectType | None, make: Any) -> SearchStrategy[str]:
    """One root field mostly, for what is below it; and all of them."""
    assert root is not None
    names = sorted(root.fields.keys() - ENDING)
    one = [make(schema, fields=[name], custom_scalars=scalars()) for name in names]
    few = make(schema, fields=names, custom_scalars=scalars())
    found: SearchStrategy[str] = st.one_of(*one, few)
    return found


DOCUMENTS = st.one_of(
    of(schema.query_type, documents.queries),
    of(schema.query_type, documents.queries),
    of(schema.mutation_type, documents.mutations),
)


class Asking:
    """Examples come in a thread of Hypothesis; requests go out on the loop, several at once."""

    def __init__(self, target: Target) -> None:
        self._loop = asyncio.get_running_loop()
        self._who = [target.ann, target.bob, target.nobody]
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked: set[asyncio.Task[None]] = set()
        self.statuses, self.codes = Counter[int](), Counter[str]()
        self.wrong: list[str] = []

    def soon(self, document: str) -> None:
        assert self.wrong == []
        asyncio.run_coroutine_threadsafe(self._begin(document), self._loop).result()

    async def _begin(self, document: str) -> None:
        await self._room.acquire()
        number = sum(self.statuses.values()) + len(self._asked)
        task = asyncio.create_task(self._ask(document, self._who[number % 3], MEDIA[number % 2]))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _ask(self, document: str, client: Client, accept: str) -> None:
        try:
            answer = await answered(client, document, accept=accept)
            if answer.status_code == 401:  # a token is good for 15 minutes, this may take longer
                await client.sign_in(client.email)
                answer = await answered(client, document, accept=accept)
            self.statuses[answer.status_code] += 1
            for error in proper(answer).get("errors", []):
                code = error["extensions"]["code"]
                self.codes[code] += 1
                assert code != "INTERNAL", answer.text
        except AssertionError as found:
            self.wrong.append(f"{document}\n{found}")
        finally:
            self._room.release()

    async def end(self) -> None:
        await asyncio.gather(*self._asked)
        assert "\n\n".join(self.wrong) == ""
        assert self.statuses[401] == 0, "who asks is known, or nobody"


async def test_no_document_is_answered_by_a_fault_of_ours(target: Target) -> None:
    asking = Asking(target)

    @settings(max_examples=EXAMPLES, **PROFILE)
    @given(DOCUMENTS)
    def send(document: str) -> None:
        asking.soon(document)

    await asyncio.to_thread(send)
    await asking.end()
    log.info("fuzzed", statuses=dict(asking.statuses), codes=dict(asking.codes))
    assert sum(asking.statuses.values()) >= EXAMPLES * 0.9
    assert asking.statuses[200] > EXAMPLES / 4


async def test_nothing_that_schemathesis_tries_is_answered_by_a_fault_of_ours(
    target: Target,
) -> None:
    import schemathesis.graphql  # which takes half a second, for whoever collects tests

    for name in TEXTS:
        schemathesis.graphql.scalar(name, scalars()[name])
    tried = schemathesis.graphql.from_path(str(SDL))
    every: list[Any] = [found.ok() for found in tried.get_all_operations()]  # type: ignore[union-attr]
    operations = [each for each in every if not set(re.findall(r"\w+", each.label)) & ENDING]
    cases = st.one_of(*(operation.as_strategy() for operation in operations))
    asking = Asking(target)

    @settings(max_examples=SCHEMATHESIS, **PROFILE)
    @given(cases)
    def send(case: Any) -> None:
        asking.soon(case.body)

    await asyncio.to_thread(send)
    await asking.end()
    log.info("tried", statuses=dict(asking.statuses), codes=dict(asking.codes))
    assert sum(asking.statuses.values()) >= SCHEMATHESIS * 0.9


def test_every_scalar_has_texts_of_its_own() -> None:
    assert TEXTS.keys() == set(re.findall(r"^scalar (\w+)", SDL.read_text(), re.MULTILINE))
