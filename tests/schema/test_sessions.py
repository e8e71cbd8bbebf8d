"""Signing in and out, by tokens and by cookie."""

from typing import Any

from domain.identity import Actor, Role
from schema.identity import STANDS_ALONE
from schema.schema import schema
from tests.schema.builders import NOW
from tests.schema.world import PASSWORD, Answer, World, gid

ERRORS = "errors { __typename code message field }"

SIGN_IN = """mutation ($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken expiresInSeconds viewer { id email } %s } }""".replace("%s", ERRORS)
REFRESH = """mutation ($token: String!) { refreshSession(refreshToken: $token) {
  accessToken refreshToken viewer { email } %s } }""".replace("%s", ERRORS)


async def sign_in(world: World, **said: Any) -> Answer:
    input = {"email": world.ann.email, "password": PASSWORD} | said
    return await world.ask(SIGN_IN, {"input": input}, viewer=None)


async def test_signing_in_gives_tokens_and_refreshing_their_successors(world: World) -> None:
    answer = await sign_in(world)
    first = answer.data["signIn"]
    second = await world.ask(REFRESH, {"token": first["refreshToken"]}, viewer=None)

    assert answer.errors == first["errors"] == []
    assert first["viewer"] == {"id": gid("Viewer", world.ann.id), "email": world.ann.email}
    assert first["accessToken"]
    assert first["expiresInSeconds"] == 900
    assert (answer.context.set_cookie, answer.context.clear_cookie) == (None, False)
    assert second.data["refreshSession"]["viewer"] == {"email": world.ann.email}
    assert second.data["refreshSession"]["refreshToken"] != first["refreshToken"]
    [session] = world.store.sessions.values()
    assert (session.ip_address, session.device) == ("192.0.2.1", "a test")


async def test_a_cookie_session_keeps_its_secret_out_of_the_payload(world: World) -> None:
    answer = await sign_in(world, delivery="COOKIE")

    payload = answer.data["signIn"]
    assert payload["accessToken"] is payload["refreshToken"] is None
    assert payload["expiresInSeconds"] is None
    assert payload["viewer"]["email"] == world.ann.email
    assert answer.context.set_cookie == "secret 1"
    assert "secret 1" not in repr(answer.context)


async def test_an_unknown_address_and_a_wrong_password_look_the_same(world: World) -> None:
    wrong = await sign_in(world, password="no")
    unknown = await sign_in(world, email="nobody@example.com")
    malformed = await sign_in(world, email="nonsense")

    payload = wrong.data["signIn"]
    assert payload["viewer"] is payload["accessToken"] is None
    assert payload["errors"][0]["__typename"] == "NotPermitted"
    assert payload["errors"][0]["code"] == "SIGN_IN_FAILED"
    assert wrong.data == unknown.data == malformed.data


async def test_too_many_attempts_say_when_to_come_back(world: World) -> None:
    for _ in range(10):
        await sign_in(world, password="no")
    answer = await world.ask(
        SIGN_IN.replace("message", "message ... on RateLimited { retryAfterSeconds }"),
        {"input": {"email": world.ann.email, "password": PASSWORD}},
        viewer=None,
    )

    [error] = answer.data["signIn"]["errors"]
    assert error["__typename"] == "RateLimited"
    assert error["retryAfterSeconds"] == 30


async def test_signing_out_ends_the_session_and_clears_the_cookie(world: World) -> None:
    await sign_in(world)
    [session] = world.store.sessions.values()
    actor = Actor(user_id=world.ann.id, role=Role.USER, session_id=session.id)

    answer = await world.ask("mutation { signOut { signedOut errors { code } } }", viewer=actor)

    assert answer.data["signOut"] == {"signedOut": True, "errors": []}
    assert answer.context.clear_cookie
    assert world.store.sessions[session.id].ended_at == NOW


async def test_a_refresh_token_that_is_unknown_is_refused(world: World) -> None:
    answer = await world.ask(REFRESH, {"token": "x"}, viewer=None)

    [error] = answer.data["refreshSession"]["errors"]
    assert (error["code"], error["field"]) == ("TOKEN_INVALID", ["refreshToken"])


def test_the_identity_mutations_stand_alone() -> None:
    mutations = schema.mutation_type
    assert mutations is not None

    alone = {n for n, f in mutations.fields.items() if "Stands alone" in (f.description or "")}
    assert alone == STANDS_ALONE
