"""The database goes away in the middle of a sign-in, wherever that is."""

import pyotp
import pytest

from domain.commands.second_factor import ConfirmTotp, EnableTotp, confirm_totp, enable_totp
from domain.errors import Unavailable
from domain.secret import Secret
from tests.engine.sessions import enter
from tests.engine.world import Engine

DIES = """
CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
{when} FOR EACH ROW EXECUTE FUNCTION dies()"""
PLACES = (
    "CREATE TRIGGER dies BEFORE UPDATE ON totp_secrets",
    "CREATE TRIGGER dies BEFORE UPDATE ON users",
    "CREATE TRIGGER dies AFTER INSERT ON sessions",
    "CREATE TRIGGER dies AFTER INSERT ON events",
    "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON sessions DEFERRABLE INITIALLY DEFERRED",
)


async def test_nothing_of_it_is_left_and_the_same_code_signs_in_again(engine: Engine) -> None:
    begun = await enable_totp(engine.app, EnableTotp(actor=engine.actor, at=engine.clock()))
    authenticator = pyotp.TOTP(begun.secret.reveal())
    confirm = ConfirmTotp(
        actor=engine.actor, code=Secret(authenticator.at(engine.clock())), at=engine.clock()
    )
    await confirm_totp(engine.app, confirm)
    tables = ("users", "sessions", "events", "totp_secrets", "recovery_codes")

    for sessions, place in enumerate(PLACES):
        engine.clock.turn(seconds=30)
        code = authenticator.at(engine.clock())
        before = await engine.written(*tables)
        await engine.spy.execute(DIES.format(when=place))
        with pytest.raises(Unavailable) as refusal:
            await enter(engine, code=code)
        await engine.spy.execute("DROP FUNCTION dies CASCADE")

        assert refusal.value.retry_after_s > 0
        assert await engine.written(*tables) == before
        assert (await enter(engine, code=code)).access_token
        assert await engine.count("sessions") == sessions + 1

    told = [outcome for outcome, _ in await engine.audit("session.start")]
    assert told == ["ATTEMPTED", "FAILED", "ATTEMPTED", "SUCCEEDED"] * len(PLACES)
