import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2.exceptions import InvalidHash

from adapters.security.passwords import NICENESS, Argon2Passwords, Overloaded
from domain.errors import Unavailable


def threads() -> set[str]:
    """Of this process, by the ids that the kernel has for them."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    """Argon2 at its least, so that a test costs a millisecond and the code path is the same."""
    cheap = Argon2Passwords(memory_kib=8, time_cost=1)
    yield cheap
    cheap.close()


async def test_the_right_password_is_accepted_and_a_wrong_one_is_not(
    passwords: Argon2Passwords,
) -> None:
    hashed = await passwords.hash("correct-horse-battery-staple")
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify("correct-horse-battery-staple", hashed)
    assert not await passwords.verify("correct-horse-battery-stapl", hashed)


async def test_equal_passwords_have_different_hashes(passwords: Argon2Passwords) -> None:
    assert await passwords.hash("the same twice") != await passwords.hash("the same twice")


async def test_the_defaults_are_owasps_least() -> None:
    standard = Argon2Passwords()
    try:
        assert "$m=19456,t=2,p=1$" in await standard.hash("correct-horse-battery-staple")
    finally:
        standard.close()


async def test_without_a_hash_the_answer_is_no_after_the_work_of_one_hash() -> None:
    costly = Argon2Passwords(memory_kib=4096, time_cost=8)
    try:
        hashed = await costly.hash("correct-horse-battery-staple")

        async def spent_s(against: str | None) -> float:
            start = time.process_time()
            assert not await costly.verify("a wrong password", against)
            return time.process_time() - start

        known = min([await spent_s(hashed) for _ in range(5)])
        unknown = min([await spent_s(None) for _ in range(5)])
    finally:
        costly.close()
    assert known / 2 < unknown < known * 2


async def test_no_password_matches_the_decoy(passwords: Argon2Passwords) -> None:
    for guess in ("", "\0", "a" * 1024, "a" * 1025):
        assert not await passwords.verify(guess, None)


async def test_a_password_typed_on_another_keyboard_is_the_same(passwords: Argon2Passwords) -> None:
    composed, decomposed, wide = (
        "caf\u00e9-passphrase",
        "cafe\u0301-passphrase",
        "ｃａｆé-passphrase",
    )
    hashed = await passwords.hash(composed)
    assert await passwords.verify(decomposed, hashed)
    assert await passwords.verify(wide, hashed)
    assert not await passwords.verify("cafe-passphrase", hashed)


async def test_every_byte_of_a_long_password_counts(passwords: Argon2Passwords) -> None:
    long = "é" * 511 + "ab"
    hashed = await passwords.hash(long)
    assert await passwords.verify(long, hashed)
    assert not await passwords.verify(long[:-1] + "c", hashed)
    assert not await passwords.verify("ab\0cd", await passwords.hash("ab\0ce"))


@pytest.mark.parametrize("password", ["a" * 1025, "é" * 513, "a lone \ud800 surrogate"])
async def test_what_cannot_be_a_password_is_refused_and_never_matches(
    passwords: Argon2Passwords, password: str
) -> None:
    with pytest.raises(ValueError, match="1024 bytes"):
        await passwords.hash(password)
    assert not await passwords.verify(password, await passwords.hash("another"))


async def test_an_expanding_password_within_the_limit_is_a_password(
    passwords: Argon2Passwords,
) -> None:
    expands = "\ufdfa" * 341  # 1,023 bytes, eleven times that after NFKC
    assert await passwords.verify(expands, await passwords.hash(expands))


async def test_a_broken_hash_is_a_bug_and_no_wrong_password(passwords: Argon2Passwords) -> None:
    with pytest.raises(InvalidHash):
        await passwords.verify("anything", "not a hash")


async def test_a_hash_of_other_costs_is_renewed(passwords: Argon2Passwords) -> None:
    dearer = Argon2Passwords(memory_kib=16, time_cost=2)
    try:
        assert passwords.needs_rehash(await dearer.hash("a password"))
        assert not passwords.needs_rehash(await passwords.hash("a password"))
        assert await passwords.verify("a password", await dearer.hash("a password"))
    finally:
        dearer.close()


async def test_a_flood_is_refused_at_once_and_the_rest_is_served() -> None:
    # Dear enough: the first is not done before the last has asked.
    narrow = Argon2Passwords(memory_kib=16_384, time_cost=1, workers=1, waiting_max=3)
    try:
        outcomes = await asyncio.gather(
            *(narrow.hash("a password") for _ in range(20)), return_exceptions=True
        )
        refused = [o for o in outcomes if isinstance(o, Overloaded)]
        assert len(refused) == 16
        assert all(o.retry_after_s > 0 for o in refused)
        assert issubclass(Overloaded, Unavailable)
        assert sum(isinstance(o, str) for o in outcomes) == 4
        assert await narrow.verify("a password", await narrow.hash("a password"))
    finally:
        narrow.close()


async def test_while_too_many_wait_it_is_said_before_and_the_known_have_places_of_their_own() -> (
    None
):
    narrow = Argon2Passwords(memory_kib=8_192, time_cost=2, workers=1, waiting_max=2)
    try:
        narrow.check()
        strangers = [asyncio.ensure_future(narrow.verify("a guess", None)) for _ in range(3)]
        await asyncio.sleep(0)

        with pytest.raises(Overloaded):
            narrow.check()
        narrow.check(is_known=True)
        assert await narrow.verify("not it", None, is_known=True) is False
        assert await asyncio.gather(*strangers) == [False] * 3
        narrow.check()
    finally:
        narrow.close()


async def test_hashing_gives_way_to_everything_else() -> None:
    before = threads()
    fresh = Argon2Passwords(memory_kib=8, time_cost=1, workers=1)
    try:
        await fresh.hash("a password")
        [thread] = threads() - before
        assert os.getpriority(os.PRIO_PROCESS, int(thread)) == NICENESS
        assert os.getpriority(os.PRIO_PROCESS, os.getpid()) < NICENESS
    finally:
        fresh.close()


async def test_a_caller_who_hangs_up_does_not_free_the_thread_it_holds() -> None:
    slow = Argon2Passwords(memory_kib=65_536, time_cost=2, workers=1, waiting_max=0)
    try:
        given_up = asyncio.ensure_future(slow.hash("a password"))
        await asyncio.sleep(0.02)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        with pytest.raises(Overloaded):
            await slow.hash("a password")
    finally:
        slow.close()


async def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    closing = Argon2Passwords(memory_kib=8, time_cost=1)
    await closing.hash("a password")
    threads = set(threading.enumerate()) - before
    assert threads
    closing.close()
    assert not any(t.is_alive() for t in threads)
    with pytest.raises(RuntimeError):
        await closing.hash("a password")
