"""`changes`: whoever replays it from wherever they are ends with all that there is, and no more."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from domain.commands.links import Disconnect, disconnect
from domain.sync import Page, SyncScope
from tests.builders import received_holding
from tests.engine.changing import HAPPENINGS, OFTEN, Household
from tests.engine.consenting import Consenting
from tests.engine.copies import TABLES, Copy, all_there_is
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import Engine, running_engine
from tests.servers import Postgres

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
EXAMPLES, STEPS = (60, 80) if LONG else (3, 30)
COPIES_MAX = 8
PEOPLE = 2
SEEDS = st.integers(0, 2**32)
WHO = st.integers(0, PEOPLE - 1)
DOES = st.sampled_from(["happen"] * 4 + ["read"] * 6 + ["fork"] * 2 + ["compare"])

log = structlog.get_logger("dashtam.tests")


@dataclass(slots=True)
class World:
    """Two people at one database, each with copies of their own at different points."""

    engine: Engine
    scripted: Scripted
    households: list[Household] = field(default_factory=list)
    copies: list[list[Copy]] = field(default_factory=list)
    happened: int = 0
    pages: int = 0
    compared: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    async def begin(self) -> None:
        begun = [await Household.begun(self.engine, self.scripted) for _ in range(PEOPLE)]
        self.households, self.copies = begun, [[Copy()] for _ in begun]

    async def step(self, do: str, who: int, seed: int) -> None:
        dice, copies = random.Random(seed), self.copies[who]
        self.engine.actor = self.households[who].actor
        copy = dice.choice(copies)
        match do:
            case "happen":
                for _ in range(dice.randrange(1, 6)):
                    [what] = dice.choices([*HAPPENINGS], [*OFTEN.values()])
                    await self.happens(who, what, dice.randrange(2**32), dice.randrange(40))
            case "read":
                pages = dice.choice([1, 2, 3, 100])  # the last is all of them
                for _ in range(pages):
                    await copy.page(self.engine, dice.randrange(1, 12))
                    self.pages += 1
                    if not copy.has_more:
                        break
            case "fork" if len(copies) < COPIES_MAX:
                copies.append(Copy() if dice.random() < 0.5 else copy.forked())
            case "compare":
                await self.compares(who, dice.randrange(3, 60))

    async def happens(self, who: int, what: str, seed: int, hours: int) -> None:
        self.engine.clock.turn(hours=hours)
        self.refused[what] += not await self.households[who].happens(what, seed)
        self.happened += 1

    async def compares(self, who: int, first: int) -> None:
        """All copies, from wherever they are."""
        self.engine.actor = self.households[who].actor
        there_is = await all_there_is(self.engine)
        for copy in [*self.copies[who], Copy()]:
            at = copy.cursor
            last = copy.forked()
            await last.drain(self.engine, first)
            assert last.things == there_is, f"replayed from {at}"
            cursor = last.cursor
            assert await last.drain(self.engine, first) == 0
            assert last.cursor == cursor
            self.compared += 1


def machine_of(world: World, loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    class Changing(RuleBasedStateMachine):
        @initialize(seed=SEEDS)
        def begin(self, seed: int) -> None:
            assume(seed)  # Hypothesis begins with a run in which all is the least there is
            run(world.begin())
            for who in range(PEOPLE):
                run(world.happens(who, "connects", seed + who, 1))

        @rule(do=DOES, who=WHO, seed=SEEDS)
        def step(self, do: str, who: int, seed: int) -> None:
            """All of one name, since Hypothesis leaves out some names for a whole run."""
            run(world.step(do, who, seed))

        def teardown(self) -> None:
            for who in range(len(world.households)):
                run(world.compares(who, 500))

    return Changing


@pytest.fixture
async def world(postgres: Postgres, tmp_path: Path) -> AsyncIterator[World]:
    scripted = Scripted()
    async with (
        postgres.fresh_database() as database,
        running_engine(database, tmp_path, scripted, Consenting()) as engine,
    ):
        yield World(engine, scripted)


async def test_replayed_from_any_point_it_ends_with_all_that_there_is(world: World) -> None:
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=not LONG,  # in CI a failure is of the change, not of luck
        phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    machine = machine_of(world, asyncio.get_running_loop())
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=profile)
    refused = sum(world.refused.values())
    log.info(
        "changes",
        happened=world.happened,
        refused=world.refused,
        pages=world.pages,
        compared=world.compared,
    )
    assert refused < world.happened / 2
    assert world.compared >= EXAMPLES


async def test_the_sandbox_is_copied_while_its_days_go_by(engine: Engine) -> None:
    link, _ = await engine.linked()
    copy = Copy()
    for _ in range(4 if LONG else 2):
        await copy.page(engine, 150)
        engine.clock.turn(days=1)
        await engine.sync(link, force=False)
    await copy.drain(engine, 200)
    assert copy.things == await all_there_is(engine)
    assert len(copy.things) > 400
    engine.clock.turn(days=1)
    await engine.sync(link, force=False)
    assert 0 < await copy.drain(engine, 200) < 100  # a day of it, not a year
    assert copy.things == await all_there_is(engine)


async def test_what_a_link_leaves_to_another_is_told(engine: Engine, scripted: Scripted) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    links = [(await engine.linked(provider="scripted", login=login))[0] for login in "ab"]
    assert await engine.count("accounts") == 1
    copy = Copy()
    await copy.drain(engine, 500)
    for link in links:
        cmd = Disconnect(actor=engine.actor, link_id=link.id, delete_data=True, at=engine.clock())
        await disconnect(engine.app, cmd)
        await copy.drain(engine, 500)
        assert copy.things == await all_there_is(engine)
    assert await engine.count("accounts") == 0
    assert {thing["__typename"] for thing in copy.things.values()} == {"Link"}


async def test_whatever_is_gone_has_a_tombstone(engine: Engine, scripted: Scripted) -> None:
    """However it went: asked of every table, before and after."""
    scripted.script = [
        accounts(checking()),
        Page(
            step=SyncScope.HOLDINGS,
            progress=Decimal("0.5"),
            holdings=[received_holding()],
            holdings_complete=["a1"],
        ),
        transactions(*(spent(f"t{n}") for n in range(5))),
    ]
    link, _ = await engine.linked(provider="scripted", login="ann")
    before = {row["id"] for table in TABLES.values() for row in await engine.rows(table)}
    cmd = Disconnect(actor=engine.actor, link_id=link.id, delete_data=True, at=engine.clock())
    await disconnect(engine.app, cmd)
    after = {row["id"] for table in TABLES.values() for row in await engine.rows(table)}
    assert len(before - after) == 1 + 1 + 5
    assert {row["id"] for row in await engine.rows("tombstones")} == before - after
