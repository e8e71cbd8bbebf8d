"""Tokens that nobody should have made, presented to a gateway that has a session for them."""

from datetime import UTC, datetime

import httpx2

from adapters.security.keyring import Keyring
from tests.e2e.stack import Client, Stack
from tests.security.corpus import CORPUS, Forger, claimed

VIEWER = {"query": "{ viewer { email } }"}
HEADER_BYTES_MAX = 16_384  # above which a server need not read a request to its end


async def test_no_token_of_the_corpus_opens_anything_over_http(
    stack: Stack, alice: Client, bob: Client
) -> None:
    assert stack.settings.keyring is not None
    key = Keyring.load(stack.settings.keyring).signing_now
    assert alice.token
    assert bob.token
    forger = Forger(token=alice.token, other=bob.token, key=key, now=datetime.now(UTC))

    # The same hands make good ones; and the session is known to the gateway from here on.
    assert await presented(alice, claimed()(forger)) == 200
    for name, forge in CORPUS.items():
        token = forge(forger)
        status = await presented(alice, token)
        too_long = {400, 431, None} if len(token) > HEADER_BYTES_MAX else set[int | None]()
        assert status in {401, *too_long}, name
    assert await presented(alice, alice.token) == 200


async def presented(client: Client, token: str) -> int | None:
    """The status; None where the connection was ended. What is not 200 tells nothing."""
    headers = {b"authorization": (b"Bearer " + token.encode()).rstrip()}
    try:
        answer = await client.http.post("/graphql", json=VIEWER, headers=headers)
    except httpx2.TransportError:
        return None
    assert (client.email in answer.text) == (answer.status_code == 200)
    return answer.status_code
