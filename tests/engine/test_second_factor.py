"""The second factor: begun, confirmed, asked for, used up, and turned off."""

import asyncio
from collections import Counter
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from adapters.memory.limits import MemoryLimits
from domain.commands.passwords import ChangePassword, change_password
from domain.commands.second_factor import (
    ConfirmTotp,
    DisableTotp,
    EnableTotp,
    confirm_totp,
    disable_totp,
    enable_totp,
)
from domain.errors import Conflict, DomainError, ErrorCode, RateLimited, Unavailable
from domain.identity import Role
from domain.limits import Limit
from domain.ports import Unsealable
from domain.secret import Secret
from tests.engine.sessions import enter
from tests.engine.world import PASSWORD, Engine


def code(engine: Engine, seed: str, *, steps: int = 0) -> str:
    """What an authenticator app shows, so many steps from now."""
    return pyotp.TOTP(seed).at(engine.clock(), counter_offset=steps)


async def begin(engine: Engine) -> str:
    begun = await enable_totp(engine.app, EnableTotp(actor=engine.actor, at=engine.clock()))
    said = urlsplit(begun.uri.reveal())
    assert (said.scheme, said.netloc, said.path) == (
        "otpauth",
        "totp",
        "/Dashtam:ann%40example.com",
    )
    seed = begun.secret.reveal()
    assert parse_qs(said.query) == {"secret": [seed], "issuer": ["Dashtam"]}
    return seed


async def confirm(engine: Engine, said: str) -> list[str]:
    cmd = ConfirmTotp(actor=engine.actor, code=Secret(said), at=engine.clock())
    return [secret.reveal() for secret in await confirm_totp(engine.app, cmd)]


async def disable(engine: Engine, said: str, *, password: str = PASSWORD) -> None:
    cmd = DisableTotp(
        actor=engine.actor, password=Secret(password), code=Secret(said), at=engine.clock()
    )
    await disable_totp(engine.app, cmd)


async def enabled(engine: Engine) -> tuple[str, list[str]]:
    """Its seed and recovery codes; the code of now is used up."""
    seed = await begin(engine)
    return seed, await confirm(engine, code(engine, seed))


async def refused(engine: Engine, said: str | None) -> ErrorCode:
    with pytest.raises(DomainError) as refusal:
        await enter(engine, code=said)
    assert refusal.value.field == ("input", "code")
    return refusal.value.code


async def test_nothing_is_asked_for_until_a_code_was_seen_and_beginning_again_begins_anew(
    engine: Engine,
) -> None:
    first, second = await begin(engine), await begin(engine)

    assert first != second
    assert len(second) == 32  # 160 bits
    assert (await enter(engine)).access_token
    with pytest.raises(DomainError) as refusal:
        await confirm(engine, code(engine, first))
    assert (refusal.value.code, refusal.value.field) == (ErrorCode.MFA_FAILED, ("code",))
    assert not (await enter(engine)).user.totp_enabled
    assert len(await confirm(engine, code(engine, second))) == 10
    assert (await engine.one("users"))["totp_enabled"]


async def test_the_seed_is_sealed_and_of_the_recovery_codes_there_are_digests(
    engine: Engine,
) -> None:
    seed, codes = await enabled(engine)

    stored = str(await engine.written(*await engine.every_table()))
    for secret in (seed, *codes):
        for form in (secret, secret.lower(), secret.replace("-", "")):
            assert form not in stored
    assert await engine.count("recovery_codes") == 10


async def test_an_older_seed_that_is_put_back_does_not_open(engine: Engine) -> None:
    first = await begin(engine)
    older = (await engine.one("totp_secrets"))["sealed"]
    await begin(engine)
    await engine.spy.execute("UPDATE totp_secrets SET sealed = $1", older)

    with pytest.raises(Unsealable):
        await confirm(engine, code(engine, first))


async def test_confirming_ends_every_other_session_and_is_told(engine: Engine) -> None:
    await enter(engine)
    await enter(engine)
    [here, _] = await engine.rows("sessions", order="created_at, id")
    engine.actor = replace(engine.actor, session_id=here["id"], role=Role.READONLY)

    await enabled(engine)

    live = await engine.rows("sessions", "ended_at IS NULL")
    assert [row["id"] for row in live] == [here["id"]]
    assert (await engine.events())[-2:] == ["session.revoked", "second_factor.changed"]
    [mail] = await engine.rows("jobs.pgqueuer", "entrypoint = 'mail'")
    assert b"second_factor_changed" in mail["payload"]


async def test_signing_in_takes_a_code_each_of_which_is_good_once(engine: Engine) -> None:
    seed, _ = await enabled(engine)
    now = code(engine, seed)

    assert await refused(engine, None) is ErrorCode.MFA_REQUIRED
    assert await refused(engine, " ") is ErrorCode.MFA_REQUIRED
    assert await refused(engine, now) is ErrorCode.MFA_FAILED  # it confirmed the factor
    assert await refused(engine, code(engine, seed, steps=-1)) is ErrorCode.MFA_FAILED
    assert await refused(engine, code(engine, seed, steps=2)) is ErrorCode.MFA_FAILED
    engine.clock.turn(seconds=60)
    assert (await enter(engine, code=code(engine, seed, steps=-1))).access_token  # a slow clock
    spaced = f" {code(engine, seed)[:3]} {code(engine, seed)[3:]} "
    assert (await enter(engine, code=spaced)).user.totp_enabled
    assert await refused(engine, code(engine, seed)) is ErrorCode.MFA_FAILED
    assert (await enter(engine, code=code(engine, seed, steps=1))).access_token  # a fast one
    assert await refused(engine, code(engine, seed)) is ErrorCode.MFA_FAILED
    outcomes = Counter(await engine.audit("session.start"))
    assert outcomes["FAILED", "MFA_REQUIRED"] == 2
    assert outcomes["FAILED", "MFA_FAILED"] == 5


async def test_of_fifty_at_once_with_one_code_one_signs_in(engine: Engine) -> None:
    seed, codes = await enabled(engine)
    engine.clock.turn(seconds=30)

    for sessions, said in enumerate((code(engine, seed), codes[0]), start=1):
        engine.app = replace(engine.app, limits=MemoryLimits())
        outcomes = await asyncio.gather(
            *(enter(engine, code=said) for _ in range(50)), return_exceptions=True
        )
        refusals = [o for o in outcomes if isinstance(o, BaseException)]
        assert (await engine.count("sessions"), len(refusals)) == (sessions, 49)
        for refusal in refusals:
            if not isinstance(refusal, Unavailable):  # more at once than may wait for a hash
                assert isinstance(refusal, DomainError)
                assert refusal.code in (ErrorCode.MFA_FAILED, ErrorCode.RATE_LIMITED)


async def test_a_recovery_code_is_good_once_with_the_password_however_it_was_copied(
    engine: Engine,
) -> None:
    _, codes = await enabled(engine)

    assert len(set(codes)) == 10
    assert all(len(text.replace("-", "")) == 16 for text in codes)  # 80 bits of base32
    with pytest.raises(DomainError) as refusal:
        await enter(engine, password="a wrong password", code=codes[0])
    assert (refusal.value.code, refusal.value.field) == (ErrorCode.SIGN_IN_FAILED, None)
    for said in (codes[0], codes[1].upper(), codes[2].replace("-", ""), f" {codes[3]} "):
        assert (await enter(engine, code=said)).access_token
        assert await refused(engine, said) is ErrorCode.MFA_FAILED
    assert await engine.count("recovery_codes") == 6


async def test_codes_are_guessed_within_the_accounts_limit(engine: Engine) -> None:
    seed, _ = await enabled(engine)
    limits = replace(
        engine.app.limit_settings,
        sign_in_account=Limit(name="sign-in-account", burst=3, per_seconds=86_400),
    )
    engine.app = replace(engine.app, limit_settings=limits)
    engine.clock.turn(seconds=30)
    for said in (None, "000000", "1"):
        await refused(engine, said)

    with pytest.raises(RateLimited):
        await enter(engine, code=code(engine, seed))


async def test_it_is_turned_off_with_password_and_code_and_leaves_nothing(engine: Engine) -> None:
    seed, codes = await enabled(engine)
    with pytest.raises(Conflict):
        await begin(engine)
    with pytest.raises(Conflict):
        await confirm(engine, code(engine, seed))
    for said, password, wanted in (
        (codes[0], "no", ErrorCode.SIGN_IN_FAILED),
        ("000000", PASSWORD, ErrorCode.MFA_FAILED),
        ("", PASSWORD, ErrorCode.MFA_REQUIRED),
    ):
        with pytest.raises(DomainError) as refusal:
            await disable(engine, said, password=password)
        assert refusal.value.code is wanted
    assert (await engine.one("users"))["totp_enabled"]

    await disable(engine, codes[0])

    assert not (await enter(engine)).user.totp_enabled
    assert await engine.count("recovery_codes") == 0
    assert (await engine.one("totp_secrets"))["sealed"] is None
    with pytest.raises(Conflict):
        await disable(engine, codes[1])
    again, _ = await enabled(engine)
    assert again != seed
    assert (await engine.one("totp_secrets"))["version"] == 2


async def test_a_short_password_keeps_its_second_factor(engine: Engine) -> None:
    _, codes = await enabled(engine)
    short = Secret("kWz9!rt4")
    cmd = ChangePassword(actor=engine.actor, current=Secret(PASSWORD), new=short, at=engine.clock())
    await change_password(engine.app, cmd)

    with pytest.raises(DomainError, match="change yours first") as refusal:
        await disable(engine, codes[0], password=short.reveal())

    assert (refusal.value.code, refusal.value.field) == (ErrorCode.WEAK_PASSWORD, ("password",))
    assert (await enter(engine, password=short.reveal(), code=codes[0])).user.totp_enabled


async def test_whoever_knows_the_password_has_few_wrong_codes_until_it_is_another(
    engine: Engine,
) -> None:
    seed, _ = await enabled(engine)
    for _ in range(20):
        assert await refused(engine, "000000") is ErrorCode.MFA_FAILED

    with pytest.raises(RateLimited) as refusal:
        await enter(engine, code=code(engine, seed, steps=1))
    assert refusal.value.retry_after_s > 3_600

    new = "another password of some other words"
    change = ChangePassword(
        actor=engine.actor, current=Secret(PASSWORD), new=Secret(new), at=engine.clock()
    )
    await change_password(engine.app, change)
    assert (await enter(engine, password=new, code=code(engine, seed, steps=1))).access_token
