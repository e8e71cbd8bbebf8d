"""Coming back from a provider to the running gateway."""

import secrets

from tests.e2e.stack import Stack


async def test_what_a_browser_brings_back_is_neither_repeated_nor_written_down(
    stack: Stack,
) -> None:
    said = {"state": secrets.token_urlsafe(32), "code": f"c0de{secrets.token_hex(8)}"}
    said["error_description"] = f"<b>planted-{secrets.token_hex(8)}</b>"
    async with stack.somebody() as client:
        await client.sign_in(client.email, delivery="COOKIE")
        answer = await client.http.get("/oauth/schwab/callback", params=said)
        styles = await client.http.get("/mailed/mailed.css")

    assert answer.status_code == 400
    assert "Nothing is under way" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert '<link rel="stylesheet" href="/mailed/mailed.css">' in answer.text
    assert styles.status_code == 200
    logged = stack.gateway.log.read_text()
    for secret in said.values():
        assert secret not in answer.text
        assert secret not in logged
