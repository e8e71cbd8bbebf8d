"""The state machine: a rule for each root field, made of the schema."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from domain.identity import Role
from tests.isolation.world import FIELDS, World

PEOPLE = 3
SEEDS = st.integers(0, 2**64 - 1)
ROLES = st.sampled_from([Role.USER, Role.READONLY])


def machine_of(world: World, loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    """Its steps run on `loop`, which is another thread's."""

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    def begin(self: Any, third: Role, luck: int) -> None:
        assume(luck)  # Hypothesis begins with a run in which all is the least there is
        run(world.begin([Role.ADMIN, Role.USER, third]))

    rules = {at.replace(".", "_"): _rule(at, world, run) for at in FIELDS}
    begins = initialize(third=ROLES, luck=SEEDS)(begin)
    return type("Isolation", (RuleBasedStateMachine,), {"begin": begins, **rules})


def _rule(field: str, world: World, run: Callable[[Coroutine[Any, Any, None]], None]) -> Any:
    """All of one name, since Hypothesis leaves out some names for a whole run."""

    def asks(self: Any, at: str, who: int, seed: int) -> None:
        run(world.step(at, who, seed))

    return rule(at=st.just(field), who=st.integers(0, PEOPLE - 1), seed=SEEDS)(asks)
