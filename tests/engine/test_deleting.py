"""Leaving: nothing stays but the audit log, wherever one looks, and nothing stands in the way."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from adapters.providers.sandbox import Sandbox
from domain.commands.deleting import DeleteViewer, delete_viewer
from domain.commands.links import Disconnect, disconnect
from domain.commands.people import GrantRole, grant_role
from domain.commands.revoking import Grant, revoke_upstream
from domain.commands.second_factor import EnableTotp, enable_totp
from domain.errors import (
    Conflict,
    CredentialsRejected,
    NotFound,
    NotPermitted,
    ProviderUnavailable,
    RateLimited,
)
from domain.identity import Actor, Role, UserId
from domain.limits import LimitSettings
from domain.mail import Template
from domain.secret import Secret
from domain.sync import PullRequest, SyncScope
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.sealer import Sealer
from gateway.audit.verifying import verified
from tests.engine.files import account, bank, january
from tests.engine.mailing import (
    OTHER_PASSWORD,
    Outbox,
    ask_to_register,
    forget,
    verify,
    waiting,
    worked_off,
)
from tests.engine.scripted import INFO, Scripted, accounts, checking
from tests.engine.sessions import EMAIL, enter
from tests.engine.world import PASSWORD, Engine, known
from tests.providers.conformance import pulled

BRIEFLY = timedelta(milliseconds=50)
LEFT = {"public.audit_log"}


@pytest.fixture
def outbox(engine: Engine) -> Outbox:
    box = Outbox()
    engine.app = replace(engine.app, mail=box)
    return box


async def delete(engine: Engine, password: str = PASSWORD, actor: Actor | None = None) -> None:
    cmd = DeleteViewer(actor=actor or engine.actor, password=Secret(password), at=engine.clock())
    await delete_viewer(engine.app, cmd)


async def traces(engine: Engine, user_id: UserId) -> set[str]:
    """Every table in which the user's id or address stands, in whatever column and form."""
    found = set()
    for table in await engine.every_table():
        for row in await engine.spy.fetch(f"SELECT * FROM {table}"):
            shown = str([v.decode("latin-1") if isinstance(v, bytes) else v for v in row.values()])
            if str(user_id) in shown or user_id.hex in shown or EMAIL in shown:
                found.add(table)
    return found


async def test_nothing_of_a_person_stays_anywhere_but_in_the_audit_log(
    engine: Engine, outbox: Outbox, tmp_path: Path
) -> None:
    user_id = engine.actor.user_id
    await engine.linked(scenario="hostile")
    await engine.imported(bank(account(january(3))))
    await engine.connect(scenario="empty")  # a sync waits
    await enter(engine)
    await enter(engine, cookie=True)
    await forget(engine, EMAIL)
    await worked_off(engine)
    await enable_totp(engine.app, EnableTotp(actor=engine.actor, at=engine.clock()))
    await forget(engine, EMAIL)
    [asked] = await waiting(engine, "password_reset")
    await asked.run(engine)  # and its mail waits
    before = await traces(engine, user_id)

    await delete(engine)

    assert len(before) > 18, before
    assert {"public.users", "public.email_tokens", "jobs.pgqueuer"} <= before
    assert await traces(engine, user_id) == LEFT
    assert (await engine.audit("user.delete"))[-2:] == [("ATTEMPTED", None), ("SUCCEEDED", None)]
    keys = engine.wired.audit_keys
    checkpoints = Checkpoints(tmp_path / "checkpoints", keys)
    async with asyncpg.create_pool(engine.database.app_url, min_size=1, max_size=2) as pool:
        sealer = Sealer(pool, keys, checkpoints, engine.clock)
        await sealer.run()
        await sealer.close()
    verdict = await verified(engine.spy, keys, checkpoints)
    assert (verdict.flaw, verdict.waiting) == (None, 0)
    assert verdict.entries == await engine.count("audit_log")


async def test_the_address_is_free_again_and_its_owner_was_told(
    engine: Engine, outbox: Outbox
) -> None:
    await delete(engine)
    await worked_off(engine)
    [goodbye] = outbox.letters
    with pytest.raises(NotPermitted):
        await enter(engine)
    await ask_to_register(engine, EMAIL, OTHER_PASSWORD)
    await worked_off(engine)
    await verify(engine, outbox.tokens(Template.VERIFY_EMAIL)[0])

    assert (goodbye.template, goodbye.to) == (Template.ACCOUNT_DELETED, EMAIL)
    assert goodbye.values == {"standing": ""}
    assert (await enter(engine, password=OTHER_PASSWORD)).access_token


async def test_the_institution_honours_the_login_no_more(engine: Engine, outbox: Outbox) -> None:
    sandbox = Told()
    engine.app = replace(engine.app, providers=known(sandbox))
    login = await sandbox.connect({"scenario": "empty", "seed": "mine"}, engine.clock())
    await engine.connect(scenario="empty", seed="mine")
    await delete(engine)

    [revoked] = sandbox.revoked
    with pytest.raises(CredentialsRejected):
        await pulled(sandbox, a_pull(engine, revoked))
    assert await pulled(sandbox, a_pull(engine, login.credentials))


async def test_disconnecting_withdraws_it_too_or_says_what_still_stands(
    engine: Engine, outbox: Outbox
) -> None:
    sandbox = Told()
    refusing = Stubborn("refusing", ProviderUnavailable("down", provider="refusing"))
    engine.app = replace(engine.app, providers=known(sandbox, refusing))
    for link in (
        await engine.connect(scenario="empty"),
        await engine.connect(provider="refusing", login="ann"),
    ):
        cmd = Disconnect(actor=engine.actor, link_id=link.id, delete_data=False, at=engine.clock())
        await disconnect(engine.app, cmd)
        await disconnect(engine.app, cmd)

    assert len(sandbox.revoked) == 1
    assert await engine.count("credentials") == 0
    told = await engine.rows("events", "name = 'link.disconnected'", order="seq")
    assert [json.loads(row["facts"]).get("standing") for row in told] == [None, "Refusing"]
    details = [detail for outcome, detail in await engine.audit("link.disconnect")]
    assert details == [*[None] * 5, "still to be withdrawn at Refusing", None, None]


def a_pull(engine: Engine, credentials: Mapping[str, str]) -> PullRequest:
    return PullRequest(
        credentials=credentials, scopes=frozenset({SyncScope.ACCOUNTS}), at=engine.clock()
    )


class Told(Sandbox):
    """Remembers what it was told to honour no more."""

    def __init__(self) -> None:
        super().__init__()
        self.revoked: list[Mapping[str, str]] = []

    async def revoke(self, credentials: Mapping[str, str], at: datetime) -> None:
        self.revoked.append(credentials)
        await super().revoke(credentials, at)


class Stubborn(Scripted):
    """Does not let go: by a refusal, a bug or by never answering."""

    def __init__(self, slug: str, how: Exception | None) -> None:
        super().__init__(info=replace(INFO, slug=slug, name=slug.title()))
        self._how = how

    async def revoke(self, credentials: Mapping[str, str], at: datetime) -> None:
        if self._how is None:
            await asyncio.sleep(3_600)
        else:
            raise self._how


async def test_what_cannot_be_withdrawn_does_not_stand_in_the_way_and_is_named(
    engine: Engine, outbox: Outbox
) -> None:
    refusing = Stubborn("refusing", ProviderUnavailable("down", provider="refusing"))
    broken = Stubborn("broken", KeyError("a bug of ours"))
    others = known(refusing, broken)
    engine.app = replace(engine.app, providers={**engine.app.providers, **others})
    await engine.connect(scenario="default")
    for slug in ("scripted", "refusing", "broken"):  # the first cannot be told at all
        await engine.connect(provider=slug, login="ann")

    await delete(engine)
    await worked_off(engine)

    assert outbox.letters[-1].values == {"standing": "Broken, Refusing, Scripted"}
    assert await engine.count("users") == 0


async def test_one_that_is_offered_no_more_does_not_either(engine: Engine, outbox: Outbox) -> None:
    link = await engine.connect(provider="scripted", login="ann")
    others = {slug: one for slug, one in engine.app.providers.items() if slug != "scripted"}
    engine.app = replace(engine.app, providers=others)

    cmd = Disconnect(actor=engine.actor, link_id=link.id, delete_data=False, at=engine.clock())
    assert (await disconnect(engine.app, cmd)).status.value == "DISCONNECTED"

    assert await engine.count("credentials") == 0
    [told] = await engine.rows("events", "name = 'link.disconnected'", order="seq")
    assert json.loads(told["facts"])["standing"] == "scripted"


async def test_one_that_never_answers_is_waited_for_until_the_deadline(engine: Engine) -> None:
    app = replace(engine.app, providers=known(Stubborn("silent", None)))
    grants = [Grant(provider_slug="silent", credentials={"login": "ann"})]

    async with asyncio.timeout(1):
        assert await revoke_upstream(app, grants, engine.clock(), within=BRIEFLY) == ["Silent"]


async def test_the_last_administrator_stays(engine: Engine, outbox: Outbox) -> None:
    actor = replace(engine.actor, role=Role.ADMIN)
    await grant_role(engine.app, GrantRole(actor=actor, role=Role.ADMIN, at=engine.clock()))
    await engine.connect()

    with pytest.raises(Conflict):
        await delete(engine, actor=actor)

    assert await engine.count("credentials") == 1
    assert await engine.audit("user.delete") == [("ATTEMPTED", None), ("FAILED", "CONFLICT")]


async def test_only_the_right_password_deletes_and_it_is_not_guessed_for_long(
    engine: Engine, outbox: Outbox
) -> None:
    engine.app = replace(engine.app, limit_settings=LimitSettings())
    for _ in range(10):
        with pytest.raises(NotPermitted):
            await delete(engine, secrets.token_hex(10))
    with pytest.raises(RateLimited):
        await delete(engine)

    assert await engine.count("users") == 1


async def test_of_two_who_delete_at_once_one_does(engine: Engine, outbox: Outbox) -> None:
    found = await asyncio.gather(*(delete(engine) for _ in range(6)), return_exceptions=True)

    assert found.count(None) == 1
    assert all(isinstance(one, NotFound | None) for one in found), found
    assert len(await waiting(engine, "mail")) == 1


async def test_a_reader_deletes_themselves_too_and_nobody_else(
    engine: Engine, outbox: Outbox
) -> None:
    await ask_to_register(engine)
    await worked_off(engine)
    await delete(engine, actor=replace(engine.actor, role=Role.READONLY))

    assert [row["email"] for row in await engine.rows("users")] == ["new@example.com"]


async def test_a_sync_that_runs_meanwhile_finds_nothing_to_go_on_with(
    engine: Engine, outbox: Outbox, scripted: Scripted
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: int) -> None:
        reached.set()
        await go_on.wait()

    scripted.before, scripted.script = wait, [accounts(checking())]
    await engine.connect(provider="scripted", login="ann")
    running = asyncio.create_task(engine.run_waiting())
    await asyncio.wait_for(reached.wait(), 5)
    await delete(engine)
    go_on.set()

    [outcome] = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(outcome, Exception)
    assert await traces(engine, engine.actor.user_id) == LEFT
