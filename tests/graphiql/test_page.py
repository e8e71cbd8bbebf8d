"""What /graphiql serves, to the byte: one origin, one policy, and files of a closed list."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from adapters.security.keyring import Keyring
from gateway.asgi import create_app
from gateway.processes import demo
from gateway.routes.assets import PAGES
from gateway.routes.graphiql import OURS, GraphiQL
from gateway.settings import Settings
from tests.e2e.stack import environment, served_here
from tests.servers import Database, Postgres

SECRET = "nothing outside of the page's own folder"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves, and beside it what nobody may read."""
    folder = tmp_path_factory.mktemp("static") / "graphiql"
    (folder / "assets" / "deeper").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>built</title>")
    (folder / "assets" / "index-B0x_-1.js").write_text("export {}")
    (folder / "assets" / "editor.worker-D2.js").write_text("export {}")
    (folder / "assets" / "codicon-C3.ttf").write_bytes(b"\0\1\0\0")
    for name in ("../secret.js", ".stamp", "LICENSES.md", "assets/map.json", "assets/deeper/x.js"):
        (folder / name).write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
async def site(built: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=GraphiQL("me@example.com", built).routes())
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url) as http:
        yield http


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """A gateway for which nothing was built."""
    nowhere = tmp_path_factory.mktemp("static") / "graphiql"
    app = Starlette(routes=GraphiQL(None, nowhere).routes())
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url) as http:
        yield http


def policy(answer: httpx2.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split(";")
    return {name: words for name, _, words in (d.strip().partition(" ") for d in directives)}


NOTHING_ELSE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/"])
async def test_the_page_comes_under_a_policy_that_knows_one_origin(
    site: httpx2.AsyncClient, path: str
) -> None:
    answer = await site.get(path)

    assert answer.text == "<!doctype html><title>built</title>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(answer) == NOTHING_ELSE | {
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "worker-src": "'self'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("name", ["", *sorted(OURS)])
async def test_a_name_that_stays_is_asked_for_again_and_sent_once(
    site: httpx2.AsyncClient, name: str
) -> None:
    first = await site.get(f"/graphiql/{name}")
    etag = first.headers["etag"]
    again = await site.get(f"/graphiql/{name}", headers={"if-none-match": f'"old", W/{etag}'})

    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("index-B0x_-1.js", "text/javascript; charset=utf-8"),
        ("editor.worker-D2.js", "text/javascript; charset=utf-8"),
        ("codicon-C3.ttf", "font/ttf"),
    ],
)
async def test_a_name_with_a_hash_in_it_is_kept_for_ever_and_a_worker_has_the_policy_too(
    site: httpx2.AsyncClient, built: Path, name: str, media: str
) -> None:
    answer = await site.get(f"/graphiql/assets/{name}")

    assert answer.content == (built / "assets" / name).read_bytes()
    assert answer.headers["content-type"] == media
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert policy(answer)["script-src"] == "'self'"
    assert policy(answer)["connect-src"] == "'self'"


@pytest.mark.parametrize(
    "target",
    [
        "/graphiql/../secret.js",
        "/graphiql/assets/../../secret.js",
        "/graphiql/assets/../index.html",
        "/graphiql/assets/..%2f..%2fsecret.js",
        "/graphiql/assets/%2e%2e/%2e%2e/secret.js",
        "/graphiql/assets/..%5c..%5csecret.js",
        "/graphiql/assets/....//....//secret.js",
        "/graphiql/assets//secret.js",
        "/graphiql//secret.js",
        "/graphiql//etc/passwd",
        "/graphiql/assets//etc/passwd",
        "/graphiql/assets/index-B0x_-1.js%00.js",
        "/graphiql/assets/index-B0x_-1.js/",
        "/graphiql/assets/deeper/x.js",
        "/graphiql/assets/map.json",
        "/graphiql/assets",
        "/graphiql/assets/",
        "/graphiql/.stamp",
        "/graphiql/LICENSES.md",
        "/graphiql/query.html",
        "/graphiql/%c3%28.js",
        "/graphiql/assets/" + "a" * 5_000 + ".js",
        "//graphiql",
    ],
)
async def test_nothing_else_is_served_however_it_is_asked_for(
    site: httpx2.AsyncClient, target: str
) -> None:
    status, body = await raw(site, target)

    assert status == 404
    assert body == b"Not Found"


async def raw(site: httpx2.AsyncClient, target: str) -> tuple[int, bytes]:
    """The answer to a target that no client would send as it is."""
    reader, writer = await asyncio.open_connection(site.base_url.host, site.base_url.port)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def test_the_bare_address_leads_to_the_page(site: httpx2.AsyncClient) -> None:
    answer = await site.get("/", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (302, "/graphiql")


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/start.json", "/graphiql/query.js"])
async def test_the_page_is_only_read(site: httpx2.AsyncClient, path: str) -> None:
    posted = await site.post(path, data={"password": "x"})
    head = await site.head(path)

    assert posted.status_code == 405
    assert (head.status_code, head.content) == (200, b"")


async def test_both_pages_open_with_the_query_that_up_prints(
    site: httpx2.AsyncClient, plain: httpx2.AsyncClient
) -> None:
    answer = await site.get("/graphiql/start.json")

    assert answer.json() == {
        "query": demo.query(),
        "email": "me@example.com",
        "reports": False,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert (await plain.get("/graphiql/start.json")).json()["email"] is None


async def test_where_nothing_was_built_a_plain_page_says_how_to_get_graphiql(
    plain: httpx2.AsyncClient,
) -> None:
    answer = await plain.get("/graphiql")

    assert answer.status_code == 200
    assert policy(answer) == NOTHING_ELSE | {"style-src": "'self'", "img-src": "'self'"}
    assert re.search(r"install Node\.js 20\.19 or newer with npm", answer.text)
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)
    linked = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert {name.removeprefix("/graphiql/") for name in linked} <= OURS
    for name in linked:
        assert (await plain.get(name)).status_code == 200


async def test_a_page_that_is_built_meanwhile_is_served_without_a_restart(tmp_path: Path) -> None:
    built = tmp_path / "graphiql"
    app = Starlette(routes=GraphiQL(None, built).routes())
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url) as http:
        before = await http.get("/graphiql")
        built.mkdir()
        (built / "index.html").write_text("built")
        after = await http.get("/graphiql", headers={"if-none-match": before.headers["etag"]})

    assert before.content == (PAGES / "query.html").read_bytes()
    assert after.text == "built"


@pytest.mark.parametrize(
    ("mode", "said", "status"),
    [
        ("production", "", 404),
        ("production", "true", 200),
        ("development", "", 200),
        ("development", "false", 404),
    ],
)
async def test_production_has_the_page_only_where_the_setting_says_so(
    postgres: Postgres, database: Database, tmp_path: Path, mode: str, said: str, status: int
) -> None:
    keys = tmp_path / "keys.json"
    Keyring.create(keys)
    environ = environment(
        database,
        tmp_path,
        8_000,
        DASHTAM_MODE=mode,
        DASHTAM_GRAPHIQL=said,
        DASHTAM_KEYRING=str(keys),
        DASHTAM_ARGON2="m=19456,t=2,p=1",
    )
    app = create_app(Settings.read(environ))
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url) as http:
        answers = [await http.get(f"/graphiql{rest}") for rest in ("", "/query.js", "/start.json")]
        answers.append(await http.get("/healthz"))

    assert [answer.status_code for answer in answers] == [status, status, status, 200]
    if status == 200:
        suggested = demo.EMAIL if mode == "development" else None
        assert answers[2].json()["email"] == suggested
