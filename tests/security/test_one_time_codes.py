"""Codes of authenticator apps, by the vectors of RFC 6238."""

from base64 import b32encode
from datetime import UTC, datetime

import pytest

from adapters.security.one_time_codes import STEP_S, TotpCodes

CODES = TotpCodes()
SEED = b32encode(b"12345678901234567890").decode()


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_a_code_is_known_by_its_step_and_in_those_beside_it(second: int, code: str) -> None:
    step = second // STEP_S
    for seconds, found in ((-60, None), (-30, step), (0, step), (30, step), (60, None)):
        assert CODES.step(SEED, code, at(second + seconds)) == found
    assert CODES.step(SEED, "287082", at(59)) == 1


@pytest.mark.parametrize("said", ["", "28708", "2870820", "94287082", "٢٨٧٠٨٢", "287082\n"])
def test_what_is_no_code_is_of_no_step(said: str) -> None:
    assert CODES.step(SEED, said, at(59)) is None


def test_a_seed_has_160_bits_and_is_another_each_time() -> None:
    seeds = {CODES.new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {32}
