"""The two pages that mails lead to, to the byte: one origin, one policy, nothing that asks."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from graphql import parse, validate
from starlette.applications import Starlette

from domain.passwords import LENGTH_MAX, LENGTH_MIN, LENGTH_MIN_WITH_SECOND_FACTOR
from gateway.documents.builtin import manifest
from gateway.routes.assets import PAGES
from gateway.routes.mailed_pages import OURS, RESET, VERIFY, routes
from schema.schema import schema
from tests.e2e.stack import served_here

TOKEN = "t" * 43
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
}


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[httpx2.AsyncClient]:
    """Nothing but the pages: whatever they would ask on the way is not there."""
    app = Starlette(routes=routes())
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url) as http:
        yield http


@pytest.mark.parametrize("path", [VERIFY, RESET])
async def test_a_page_is_the_same_whatever_token_it_is_opened_with(
    site: httpx2.AsyncClient, path: str
) -> None:
    answers = [
        await site.get(path),
        await site.get(path, params={"token": TOKEN}),
        await site.get(path, params={"token": "<script>alert(1)</script>"}),
    ]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert (await site.post(path)).status_code == 405
    assert (await site.head(path)).status_code == 200


@pytest.mark.parametrize("path", [VERIFY, RESET, *(f"/mailed/{name}" for name in sorted(OURS))])
async def test_everything_comes_under_one_policy_and_tells_nobody_where_it_came_from(
    site: httpx2.AsyncClient, path: str
) -> None:
    answer = await site.get(path)
    directives = answer.headers["content-security-policy"].split(";")

    assert dict(d.strip().split(" ", 1) for d in directives) == POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    again = await site.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["referrer-policy"]) == (304, "no-referrer")


@pytest.mark.parametrize("name", ["query.html", "query.js", "..%2fassets.py", "", "x"])
async def test_no_other_file_is_served(site: httpx2.AsyncClient, name: str) -> None:
    assert (await site.get(f"/mailed/{name}")).status_code == 404


@pytest.mark.parametrize("name", ["verify-email", "reset-password"])
async def test_a_page_says_in_its_language_what_each_part_is(name: str) -> None:
    page = (PAGES / f"{name}.html").read_text("utf-8")
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1
    assert 'role="alert"' in page
    assert 'role="status"' in page
    assert "<noscript>" in page
    assert {f"/mailed/{path.rpartition('/')[2]}" for path in asked} == set(asked)
    assert {path.rpartition("/")[2] for path in asked} <= OURS
    assert not re.search(r"<script(?! type=\"module\" src)| style=| on[a-z]+=", page)
    for field in re.findall(r"<input id=\"(\w+)\"", page):
        assert f'for="{field}"' in page or f'<label class="beside"><input id="{field}"' in page


def test_the_rules_on_the_page_are_the_rules() -> None:
    page = (PAGES / "reset-password.html").read_text("utf-8")

    assert f"At least {LENGTH_MIN} characters, and at most {LENGTH_MAX}" in page
    assert f"at least {LENGTH_MIN_WITH_SECOND_FACTOR} if you sign in with a second factor" in page


@pytest.mark.parametrize("name", ["verify-email", "reset-password"])
def test_what_a_page_asks_is_one_document_of_the_built_in_manifest(name: str) -> None:
    """So that it works where only published documents run."""
    script = (PAGES / f"{name}.js").read_text("utf-8")
    [hash_] = re.findall(r'documentId: "sha256:(\w+)"', script)
    [document] = [each for each in manifest() if each.sha256 == hash_]

    field = "".join(part.title() for part in name.split("-"))
    assert document.name == field
    assert validate(schema, parse(document.text)) == []
