"""What follows from the measurements, and what each of the parts refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from gateway.bench.answers import difference
from gateway.bench.arrivals import Met, Phase
from gateway.bench.database import BenchError, Person
from gateway.bench.figures import Answered, Line, Round, SyncFigures, lines, verdicts
from gateway.bench.load import Measured, Spec, WrongAnswer, measure
from gateway.bench.overload import Flooded, Overload, judged
from gateway.bench.recorded import statement_of
from gateway.bench.statements import Accounts, Instant, Viewer, Whole
from gateway.bench.sync import Synced

BODY = b'{"data":{}}'


def measured(requests: int, cpu_s: float) -> Measured:
    return Measured(
        requests=requests,
        refused=1,
        seconds=2.0,
        p50_ms=1.0,
        p99_ms=2.0,
        server_cpu_s=cpu_s,
        postgres_cpu_s=0.5,
        load_cpu_s=0.1,
        others_cpu_s=0.2,
    )


def rounds(**counts: list[int]) -> list[Round]:
    return [
        Round(workload="dashboard", server=server, number=n, measured=measured(count, 1.0))
        for server, found in counts.items()
        for n, count in enumerate(found)
    ]


def line_of(found: list[Round], server: str) -> Line:
    answered = Answered(workload="dashboard", server=server, length=100, statements=3)
    return lines(found, [answered])[0]


def test_a_ratio_is_the_median_of_each_rounds_own() -> None:
    """The machine was slow in the second round, for all alike."""
    found = rounds(ours=[200, 20, 180], raw=[400, 40, 400], stock=[100, 10, 100])

    line = line_of(found, "ours")

    assert (line.rate, line.rate_to_stock, line.rate_to_raw) == (90, 2, 0.5)


def flooded(goodput: float, refused_p99_ms: float, recovered_s: float) -> Flooded:
    return Flooded(
        sustained=100,
        arriving=500,
        goodput=goodput,
        spent=0.9,
        refused=400,
        refused_p50_ms=1,
        refused_p99_ms=refused_p99_ms,
        answered_p50_ms=500,
        answered_p99_ms=900,
        ready_max_ms=20,
        recovered_s=recovered_s,
        unsent=0,
        others=0.0,
    )


def test_what_is_asked_of_a_flood_is_judged_by_its_median_round() -> None:
    overload = Overload(rounds=[flooded(85, 49, 0.1), flooded(30, 400, 9), flooded(80, 12, 4.9)])

    asked = verdicts([], None, None, overload)

    assert [(each.found, each.met) for each in asked] == [
        ("0.80", True),
        ("49.00", True),
        ("4.90", True),
    ]


def test_a_flood_is_told_by_what_was_answered_while_it_lasted() -> None:
    calm = Met(answered=[(0.1, 0.1)], refused=[(0.3, 0.01)], unsent=0, server_cpu_s=1, ready=[])
    flood = Met(
        answered=[(0.0, 0.5), (0.5, 1.4), (1.5, 1.0)],  # the last one when it was over
        refused=[(0.1, 0.002), (0.2, 0.004)],
        unsent=0,
        server_cpu_s=0.5,
        ready=[0.01, 0.02],
    )

    found = judged(measured(20, 2.0), Phase(rate=50, seconds=2.0), flood, calm)

    assert (found.sustained, found.goodput, found.kept) == (10, 1, 0.1)
    assert (found.refused, found.refused_p50_ms, found.ready_max_ms) == (2, 4.0, 20.0)
    assert (found.recovered_s, found.spent) == (0.3, 0.4)


def test_cpu_time_is_of_the_requests_of_its_round() -> None:
    line = line_of(rounds(ours=[100, 200, 500], raw=[1, 1, 1], stock=[50, 50, 50]), "ours")

    assert (line.cpu_ms, line.cpu_to_stock) == (5, 0.25)
    assert line.postgres_cpu_ms == 2.5


@pytest.mark.parametrize(("count", "met"), [(130, True), (129, False)])
def test_a_third_more_than_stock_is_asked_for(count: int, *, met: bool) -> None:
    found = rounds(ours=[count], raw=[500], stock=[100])

    asked = verdicts([line_of(found, name) for name in ("ours", "raw", "stock")], None, None, None)

    assert [verdict.met for verdict in asked] == [met]


def test_memory_and_both_syncs_are_judged() -> None:
    def of(seconds: float) -> Synced:
        return Synced(
            seconds=seconds,
            cpu_s=0.5,
            status="SUCCEEDED",
            received=10_000,
            created=0,
            unchanged=10_000,
        )

    sync = SyncFigures(first=of(2.9), again=of(1.1), rows=0, data_version_moved=True)

    asked = verdicts([], 150.0, sync, None)

    assert [(v.found, v.met) for v in asked] == [
        ("150", False),
        ("2.90", True),
        ("1.10", False),
        ("0", False),  # no row, but a new version
    ]


def test_a_difference_is_named_by_its_path() -> None:
    ours = {"a": [{"b": "1", "c": None}]}

    assert difference(ours, {"a": [{"c": None, "b": "1"}]}) is None
    assert difference(ours, {"a": [{"b": 1, "c": None}]}) == ".a[0].b is '1' and 1"
    assert difference(ours, {"a": []}) == ".a has 1 and 0 items"
    assert difference(ours, {"a": [{"b": "1"}]}) == ".a[0] has other fields: ['c']"


def test_what_is_a_persons_in_a_statement_is_told_from_what_is_constant() -> None:
    person, accounts = Person(user_id=uuid4(), session_id=uuid4()), [uuid4(), uuid4()]
    since = datetime(2026, 1, 1, tzinfo=UTC)

    made = statement_of(person, ("SELECT 1", (person.user_id, accounts, 26, since)))

    assert made.arguments == [Viewer(), Accounts(), Whole(26), Instant(since)]


@pytest.mark.parametrize("unknown", [True, "text", [], UUID(int=0)])
def test_an_argument_of_another_kind_is_refused(unknown: object) -> None:
    person = Person(user_id=uuid4(), session_id=uuid4())

    with pytest.raises(BenchError, match="does not know"):
        statement_of(person, ("SELECT 1", (unknown,)))


async def test_the_load_counts_the_answers_that_it_checked() -> None:
    async with server(BODY) as (port, asked):
        found = await measure(spec(port, len(BODY)))

    assert found.requests > 2
    assert found.p50_ms <= found.p99_ms
    assert {line.split(b"\r\n")[4] for line in asked} == {b"X-User: a", b"X-User: b"}


@pytest.mark.parametrize(
    ("length", "status", "why"),
    [(len(BODY) + 1, b"200 OK", "11 bytes, not 12"), (len(BODY), b"401 Unknown", "401 Unknown")],
)
async def test_another_answer_than_the_known_one_ends_the_run(
    length: int, status: bytes, why: str
) -> None:
    async with server(BODY, status) as (port, _):
        with pytest.raises(WrongAnswer, match=why):
            await measure(spec(port, length))


async def test_refusals_are_counted_and_are_no_answers() -> None:
    """Every other one is a refusal."""
    async with server(BODY, b"200 OK", b"503 Away") as (port, asked):
        found = await measure(spec(port, len(BODY)))

    assert 0 < found.requests < len(asked)
    assert found.refused > 0


async def test_nothing_but_refusals_is_no_measurement() -> None:
    async with server(BODY, b"503 Away") as (port, _):
        with pytest.raises(WrongAnswer, match="nothing but refusals"):
            await measure(spec(port, len(BODY)))


def spec(port: int, length: int) -> Spec:
    return Spec(
        host="127.0.0.1",
        port=port,
        body=b"{}",
        headers=[("X-User", "a"), ("X-User", "b")],
        length=length,
        connections=2,
        warm_s=0.01,
        seconds=0.05,
        server=1,
        postgres=1,
    )


@asynccontextmanager
async def server(body: bytes, *statuses: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """It answers everything with this, in two pieces, and with each status in turn."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n{}"))
                status = statuses[len(asked) % len(statuses)] if statuses else b"200 OK"
                head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
                writer.write(head + body[:3])
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(body[3:])
        except asyncio.IncompleteReadError:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked
