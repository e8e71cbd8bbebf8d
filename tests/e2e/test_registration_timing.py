"""Nobody can tell, by the clock or by a byte, whether an address that they give has an account."""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.e2e.stack import PASSWORD, Client, Stack, a_stack
from tests.e2e.test_registration import ACCEPTED, FORGOT, REGISTER
from tests.e2e.test_sign_in_timing import DIFFERENCE_S_MAX, EACH, PRODUCTION, TRACE, timed
from tests.servers import Postgres
from tests.timing import mann_whitney_p

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
ASKED = {"register": REGISTER, "requestPasswordReset": FORGOT}
AN_HOUR = 3  # resets of one account that are acted on


@pytest.mark.parametrize("field", ASKED)
async def test_known_and_unknown_addresses_get_the_same_answer(
    stack: Stack, nobody: Client, field: str
) -> None:
    known = [await stack.a_user() for _ in range(3)]
    unknown = [f"person-{secrets.token_hex(6)}@example.com" for _ in range(3)]
    names, bodies = set(), set()
    for who in (known + unknown) * 10:
        said = {"email": who} | ({"password": PASSWORD} if field == "register" else {})
        answer = await nobody.post(ASKED[field], said, traceparent=TRACE)
        bodies.add(answer.content)
        names.add((answer.status_code, *answer.headers))

    assert (len(bodies), len(names)) == (1, 1)
    assert answer.json()["data"][field] == ACCEPTED


if LONG:  # a minute of Argon2

    async def test_asking_takes_as_long_for_an_unknown_address(
        postgres: Postgres, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        async with (
            postgres.fresh_database() as database,
            a_stack(database, tmp_path, DASHTAM_ARGON2=PRODUCTION) as stack,
            stack.nobody() as client,
        ):
            known = [await stack.a_user() for _ in range(2 * EACH // AN_HOUR)]
            for field, asked in ASKED.items():

                async def attempt(email: str, field: str = field, asked: str = asked) -> None:
                    more = {"password": PASSWORD} if field == "register" else {}
                    assert await client.do(asked, email=email, **more) == ACCEPTED

                for n in range(20):  # warm
                    await attempt(f"warm-{n}@example.com")
                times = await timed(attempt, known)
                known_s, unknown_s = median(times[True]), median(times[False])
                p = mann_whitney_p(times[True], times[False])
                said = f"{field}: {EACH} known {known_s:.4f} s, {EACH} unknown {unknown_s:.4f} s"
                record_property("figures", f"{said}, p = {p:.3f}")
                sys.stdout.write(f"{said}, p = {p:.3f}\n")
                # On a machine that does other things besides, medians of more wander by more.
                assert abs(known_s - unknown_s) < max(DIFFERENCE_S_MAX, known_s / 20), said
                assert p > 0.01, said
