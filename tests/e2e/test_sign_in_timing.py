"""Nobody can tell by the clock whether an address has an account."""

import os
import random
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

from tests.e2e.stack import SIGN_IN, Client, Stack, a_stack
from tests.servers import Postgres
from tests.timing import mann_whitney_p

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
EACH = 500
PRODUCTION = "m=19456,t=2,p=1"
DIFFERENCE_S_MAX = 0.003
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Attempt = Callable[[str], Coroutine[Any, Any, None]]


async def timed(attempt: Attempt, known: list[str]) -> dict[bool, list[float]]:
    """Seconds of attempts on known and on unknown addresses, in a random order."""
    times: dict[bool, list[float]] = {True: [], False: []}
    order = [True, False] * EACH
    random.Random(4).shuffle(order)
    for turn, is_known in enumerate(order):
        email = known[turn % len(known)] if is_known else f"nobody-{turn:08}@example.com"
        began = time.perf_counter()
        await attempt(email)
        times[is_known].append(time.perf_counter() - began)
    return times


if LONG:  # two minutes of Argon2

    async def test_signing_in_takes_as_long_for_an_unknown_address(
        postgres: Postgres, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        figures = {"DASHTAM_ARGON2": PRODUCTION, "DASHTAM_LIMIT_SIGN_IN_ACCOUNT": "100000"}
        async with (
            postgres.fresh_database() as database,
            a_stack(database, tmp_path, **figures) as stack,
            stack.nobody() as client,
        ):
            known = [await stack.a_user() for _ in range(10)]

            async def attempt(email: str) -> None:
                said = {"email": email, "password": "a wrong password"}
                payload = await client.do(SIGN_IN, input=said)
                assert payload["errors"][0]["code"] == "SIGN_IN_FAILED"

            for email in known:  # warm
                await attempt(email)
            times = await timed(attempt, known)

        known_s, unknown_s = median(times[True]), median(times[False])
        p = mann_whitney_p(times[True], times[False])
        said = f"{EACH} known {known_s:.4f} s, {EACH} unknown {unknown_s:.4f} s, p = {p:.3f}"
        record_property("figures", said)
        sys.stdout.write(f"{said}\n")
        assert abs(known_s - unknown_s) < DIFFERENCE_S_MAX, said
        assert p > 0.01, said


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(
    stack: Stack, nobody: Client
) -> None:
    """To the byte and the name of each header; the limits that these count are their own."""
    email = await stack.a_user()
    names, bodies = set(), set()
    for who in (email, "who@example.com", "no address", "%@example.com", email.replace("-", "_")):
        said = {"input": {"email": who, "password": "wrong"}}
        answer = await nobody.post(SIGN_IN, said, traceparent=TRACE)
        bodies.add(answer.content)
        names.add((answer.status_code, *answer.headers))
    assert (len(bodies), len(names)) == (1, 1)
    [error] = answer.json()["data"]["signIn"]["errors"]
    assert (error["__typename"], error["code"]) == ("NotPermitted", "SIGN_IN_FAILED")


def test_the_test_of_mann_and_whitney_tells_two_samples_apart() -> None:
    dice = random.Random(1)
    one, other = ([dice.gauss(30, 2) for _ in range(300)] for _ in range(2))
    assert mann_whitney_p(one, other) > 0.01
    assert mann_whitney_p(one, [x + 1 for x in other]) < 0.001
    # By hand: 1 2 3 … 20 against 21 … 40 never overlap; z is 5.396.
    assert abs(mann_whitney_p(range(20), range(20, 40)) - 6.8e-8) < 1e-9
    assert mann_whitney_p([1.0] * 20 + [2.0], [1.0] * 20 + [2.0]) == 1
