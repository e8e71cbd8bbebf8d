"""Consent is asked for, answered once, in the session that asked, and linked; or nothing is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from domain.commands.authorizing import WAITING_MAX
from domain.commands.credentials import opened
from domain.commands.links import Disconnect, disconnect
from domain.errors import (
    Conflict,
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    NotFound,
    NotPermitted,
    ProviderUnavailable,
)
from domain.identity import UserId
from domain.links import Link, LinkId, LinkStatus
from tests.engine.asking import Person, a_person, said
from tests.engine.consenting import nothing
from tests.engine.sessions import actor_of, enter
from tests.servers import Database

STRANGER = "s" * 43


@pytest.fixture
async def person(database: Database, tmp_path: Path) -> AsyncIterator[Person]:
    async with a_person(database, tmp_path) as asked:
        yield asked


async def test_consent_is_asked_for_and_linked(person: Person) -> None:
    engine = person.engine
    asked = await person.begin(alias="Mine")

    query = parse_qs(urlsplit(asked.url or "").query)
    assert query["state"] == [said(asked)]
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/oauth/consenting/callback"]
    assert asked.expires_at == engine.clock() + timedelta(minutes=10)
    waiting = await engine.one("links")
    assert (waiting["id"], waiting["status"]) == (asked.link_id, "PENDING")
    assert await engine.count("credentials") == await engine.count("sync_runs") == 0
    assert await engine.events() == ["session.started"]

    link = await person.answer(asked, path="consenting")

    assert (link.id, link.status, link.alias) == (asked.link_id, LinkStatus.ACTIVE, "Mine")
    assert link.credentials_expire_at == engine.clock() + timedelta(days=7)
    [(code, consent)] = person.provider.exchanged
    assert (code, consent.state, consent.redirect_uri) == (
        "c0de",
        said(asked),
        query["redirect_uri"][0],
    )
    assert len(consent.verifier) >= 43
    assert consent.verifier != consent.state
    async with engine.app.store.begin(person.actor, None) as work:
        sealed = await work.links.credentials(link.id)
    assert sealed is not None
    assert opened(engine.app, link, sealed) == {"refresh": "of ann by c0de"}
    [run] = await engine.rows("sync_runs")
    assert (run["trigger"], run["status"]) == ("CONNECT", "QUEUED")
    assert (await engine.events())[-1] == "link.connected"
    for action in ("link.authorize", "link.complete"):
        assert [outcome for outcome, _ in await engine.audit(action)] == ["ATTEMPTED", "SUCCEEDED"]
    assert (await engine.audit("link.complete"))[1][1] == f"link:{link.id}"
    [session] = await engine.rows("sessions")
    assert session["providers_accessed"] == ["consenting"]


async def test_what_is_stored_of_an_attempt_opens_nothing(person: Person) -> None:
    asked = await person.begin()
    tables = [t for t in await person.engine.every_table() if not t.endswith("_log")]
    stored = str(await person.engine.said(*tables))
    await person.answer(asked)
    after = str(await person.engine.said(*await person.engine.every_table()))

    [(code, consent)] = person.provider.exchanged
    assert said(asked) not in stored + repr(asked)
    for secret in (said(asked), consent.verifier, f"of ann by {code}"):
        assert secret not in stored + after
        assert secret.encode().hex() not in stored + after
        assert secret not in repr(consent)
    assert await person.states() == 0


async def test_a_state_is_good_once_even_where_it_comes_at_the_same_moment(person: Person) -> None:
    asked = await person.begin()
    answers = await asyncio.gather(
        *(person.answer(asked) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(answer, Link) for answer in answers) == 1
    refusals = [answer for answer in answers if isinstance(answer, InvalidInput)]
    assert [r.code for r in refusals] == [ErrorCode.TOKEN_INVALID] * 2
    assert (await person.refused(asked)).code is ErrorCode.TOKEN_INVALID
    assert len(person.provider.exchanged) == 1
    assert await person.links() == ["ACTIVE"]


async def test_a_state_is_nobody_elses_and_of_no_other_session(person: Person) -> None:
    engine = person.engine
    asked = await person.begin()
    again = await actor_of(engine, await enter(engine, cookie=True))
    stranger = replace(engine.actor, session_id=person.actor.session_id)
    stranger = replace(stranger, user_id=UserId(UUID(int=7)))

    for actor in (again, replace(person.actor, session_id=None), stranger):
        assert (await person.refused(asked, actor=actor)).code is ErrorCode.TOKEN_INVALID
    assert (await person.refused(STRANGER)).code is ErrorCode.TOKEN_INVALID
    with pytest.raises(NotPermitted):
        await person.begin(actor=replace(person.actor, session_id=None))

    assert person.provider.exchanged == []
    assert await person.links() == ["PENDING"]
    assert (await person.answer(asked)).status is LinkStatus.ACTIVE  # nobody could spoil it


async def test_an_answer_that_is_not_the_providers_ends_the_attempt(person: Person) -> None:
    person.other.issuer = "https://other.example"
    tampered: list[tuple[str, dict[str, Any], ErrorCode]] = [
        ("consenting", {"path": "other"}, ErrorCode.INVALID_INPUT),
        ("consenting", {"path": "sandbox"}, ErrorCode.INVALID_INPUT),
        ("consenting", {"iss": "https://other.example"}, ErrorCode.INVALID_INPUT),
        ("other", {}, ErrorCode.INVALID_INPUT),
        ("other", {"iss": "https://consenting.example"}, ErrorCode.INVALID_INPUT),
        ("other", {"iss": "https://other.example/"}, ErrorCode.INVALID_INPUT),
        (
            "consenting",
            {"code": None, "error": "access_denied"},
            ErrorCode.CREDENTIALS_REJECTED,
        ),
        ("consenting", {"code": None, "error": "x-evil"}, ErrorCode.CREDENTIALS_REJECTED),
        (
            "consenting",
            {"code": None, "error": "server_error"},
            ErrorCode.PROVIDER_UNAVAILABLE,
        ),
    ]
    for slug, answer, code in tampered:
        asked = await person.begin(slug)
        refusal = await person.refused(asked, **answer)
        assert refusal.code is code, answer
        assert "evil" not in refusal.message
        right = {"iss": person.other.issuer} if slug == "other" else {}
        assert (await person.refused(asked, **right)).code is ErrorCode.TOKEN_INVALID
        assert await person.links() == []
    assert person.provider.exchanged == person.other.exchanged == []
    assert await person.engine.count("credentials") == await person.states() == 0

    asked = await person.begin("other")
    assert (await person.answer(asked, iss="https://other.example")).provider_slug == "other"


async def test_a_provider_that_does_not_take_the_code_leaves_nothing(person: Person) -> None:
    for refusal in (
        CredentialsRejected("no", provider="consenting", code=ErrorCode.AUTHORIZATION_EXPIRED),
        ProviderUnavailable("away", provider="consenting"),
    ):
        person.provider.refuses = refusal
        asked = await person.begin()
        assert await person.refused(asked) is refusal
        rejected = isinstance(refusal, CredentialsRejected)
        assert refusal.field == (("input", "code") if rejected else None)
        assert (await person.refused(asked)).code is ErrorCode.TOKEN_INVALID
        assert (await person.engine.audit("link.complete"))[-3] == ("FAILED", refusal.code.value)
    assert len(person.provider.exchanged) == 2
    assert await person.links() == []
    assert await person.engine.count("credentials") == await person.engine.count("sync_runs") == 0


async def test_the_same_login_again_is_the_link_that_there_is(person: Person) -> None:
    link = await person.answer(await person.begin())
    before = await person.engine.written("links", "credentials", "sync_runs")

    refusal = await person.refused(await person.begin(), code="another")

    assert isinstance(refusal, Conflict)
    assert refusal.existing == ("Link", link.id)
    assert refusal.field == ("input", "state")
    assert await person.engine.written("links", "credentials", "sync_runs") == before
    person.provider.owner = "bob"
    assert (await person.answer(await person.begin())).id != link.id


async def test_a_link_is_mended_and_stays_as_it_is_until_then(person: Person) -> None:
    engine = person.engine
    link = await person.answer(await person.begin())
    await engine.run_waiting()
    await engine.spy.execute("UPDATE links SET status = 'NEEDS_REAUTHORIZATION'")
    before = await engine.written("links", "credentials")
    asked = await person.begin(link_id=link.id, alias="Mended")
    assert asked.link_id == link.id
    refusal = await person.refused(
        await person.begin(link_id=link.id), code=None, error="access_denied"
    )
    assert refusal.code is ErrorCode.CREDENTIALS_REJECTED
    assert await engine.written("links", "credentials") == before
    with pytest.raises(InvalidInput) as refused:
        await person.begin("other", link_id=link.id)
    assert refused.value.field == ("input", "provider")
    with pytest.raises(NotFound):
        await person.begin(link_id=LinkId(person.actor.user_id))

    mended = await person.answer(asked, code="c1de")

    assert (mended.id, mended.status, mended.alias) == (link.id, LinkStatus.ACTIVE, "Mended")
    async with engine.app.store.begin(person.actor, None) as work:
        sealed = await work.links.credentials(link.id)
    assert sealed is not None
    assert opened(engine.app, mended, sealed)["refresh"] == "of ann by c1de"
    assert await person.links() == ["ACTIVE"]


async def test_a_link_that_was_disconnected_meanwhile_is_not_linked(person: Person) -> None:
    link = await person.answer(await person.begin())
    pending, mending = await person.begin(), await person.begin(link_id=link.id)
    assert pending.link_id is not None
    for id in (link.id, pending.link_id):
        cmd = Disconnect(
            actor=person.actor, link_id=id, delete_data=False, at=person.engine.clock()
        )
        assert (await disconnect(person.engine.app, cmd)).status is LinkStatus.DISCONNECTED
    assert (await person.engine.audit("link.disconnect"))[-1] == ("SUCCEEDED", None)
    for asked in (pending, mending):
        assert (await person.refused(asked)).code is ErrorCode.TOKEN_INVALID
    assert len(person.provider.exchanged) == 1

    during = await person.begin()  # and one that is, while the provider is asked
    assert during.link_id is not None
    gone = Disconnect(
        actor=person.actor, link_id=during.link_id, delete_data=False, at=person.engine.clock()
    )

    async def cut() -> None:
        await disconnect(person.engine.app, gone)

    person.provider.before = cut
    refusal = await person.refused(during)
    assert (type(refusal), refusal.code) == (Conflict, ErrorCode.LINK_NOT_ACTIVE)
    assert set(await person.links()) == {"DISCONNECTED"}
    assert await person.engine.count("credentials") == 0


async def test_a_link_that_is_disconnected_while_it_is_mended_stays_so(person: Person) -> None:
    link = await person.answer(await person.begin())
    mending = await person.begin(link_id=link.id)
    cmd = Disconnect(
        actor=person.actor, link_id=link.id, delete_data=True, at=person.engine.clock()
    )

    async def cut() -> None:
        await disconnect(person.engine.app, cmd)

    person.provider.before = cut
    refusal = await person.refused(mending)
    assert (type(refusal), refusal.code) == (Conflict, ErrorCode.LINK_NOT_ACTIVE)
    assert await person.links() == ["DISCONNECTED"]
    assert await person.engine.count("credentials") == 0

    person.provider.before = nothing
    again = await person.answer(await person.begin(link_id=link.id))
    assert (again.id, again.status) == (link.id, LinkStatus.ACTIVE)


async def test_of_too_many_that_wait_the_oldest_ends(person: Person) -> None:
    first = await person.begin()
    for _ in range(WAITING_MAX):
        person.engine.clock.turn(seconds=1)
        last = await person.begin()
    assert await person.links() == ["PENDING"] * WAITING_MAX
    assert await person.states() == WAITING_MAX
    assert (await person.refused(first)).code is ErrorCode.TOKEN_INVALID
    assert (await person.answer(last)).status is LinkStatus.ACTIVE
    assert len(await person.links()) == WAITING_MAX  # those that are linked are not among them
    await person.begin()
    assert (await person.links()).count("PENDING") == WAITING_MAX


async def test_a_login_that_cannot_be_opened_is_not_taken_for_a_new_one(person: Person) -> None:
    link = await person.engine.connect(provider="dialogue", publicToken="ann")
    await person.begin("dialogue", link_id=link.id)
    assert person.dialogue.offered[-1][1] == {"access": "of ann"}
    await person.engine.spy.execute("UPDATE credentials SET sealed = sealed || '\\x00'")
    with pytest.raises(Conflict, match="cannot be opened") as refused:
        await person.begin("dialogue", link_id=link.id)
    assert refused.value.field == ("input", "linkId")
    assert len(person.dialogue.offered) == 1
