"""Both pages in real Chromium: they do their work, and nothing leaves their origin."""

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp

from domain.identity import Role
from domain.passwords import LENGTH_MIN
from gateway.asgi import create_app
from gateway.documents import builtin
from gateway.processes import demo as person
from gateway.routes.graphiql import BUILT, GraphiQL
from tests.e2e.linking import checking
from tests.e2e.mailbox import Mailbox, token_of
from tests.e2e.stack import PASSWORD, Stack, served_here
from tests.e2e.test_registration import FORGOT, REGISTER
from tests.graphiql.conftest import Browse, email_of, in_production
from tests.graphiql.examples import EXAMPLES, title
from tests.servers import Postgres


async def careful(stack: Stack) -> tuple[str, str, str]:
    """Somebody with a second factor: address, password and a recovery code."""
    async with stack.somebody() as client:
        secret = (await client.do("mutation { enableTotp { secret } }"))["secret"]
        confirm = "mutation($code: String!) { confirmTotp(code: $code) { recoveryCodes } }"
        codes = (await client.do(confirm, code=pyotp.TOTP(secret).now()))["recoveryCodes"]
        return client.email, PASSWORD, codes[0]


def asked_for_the_code(found: dict[str, Any]) -> None:
    assert "authenticator" in found["careful"]["asked"]
    assert found["careful"]["codeFieldsLeft"] == 0


def nothing_went_wrong(found: dict[str, Any], url: str) -> None:
    asked = [*found["requests"], *found["sockets"], *found["workers"]]
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(url).netloc}
    assert found["violations"] == []
    assert found["errors"] == []


def panes_did_their_work(found: dict[str, Any]) -> None:
    assert found["examples"] == [title(path) for path in EXAMPLES]
    sent = json.loads(found["filtered"]["sent"])
    assert sent["variables"]["filter"]["statuses"] == ["SETTLED"]
    answer = found["filtered"]["answer"]
    assert answer["data"]["transactions"]["nodes"]
    sql = answer["extensions"]["sql"]
    assert '"extensions"' not in found["shown"]  # the panel has them
    cost = answer["extensions"]["cost"]
    told = found["reported"]
    assert told["cost"][:3] == [
        f"Requested\t{cost['requested']:,}",
        f"Actual\t{cost['actual']:,}",
        f"Limit\t{cost['limit']:,}",
    ]
    assert told["heading"].startswith(f"{len(sql)} statements, ")
    for one, text in zip(sql, told["statements"], strict=True):
        assert one["statement"].split() == text.split()[-len(one["statement"].split()) :]
        assert f"{one['durationMs']:.1f} ms" in text
    assert found["imported"]["answer"]["data"]["importStatement"]["errors"] == []
    assert found["imported"]["answer"]["data"]["importStatement"]["preview"]["accounts"]
    assert {"Viewer", "SignIn", "Dashboard"} <= {*found["published"]}
    sent = json.loads(found["byId"]["sent"])
    assert sent["documentId"]
    assert "query" not in sent
    assert found["byId"]["answer"]["data"]["viewer"]["email"] == person.EMAIL
    assert sent["documentId"] in found["reportedById"]["text"]
    assert "no headers to ask by" in found["subscribed"]


async def test_graphiql_signs_in_asks_explains_remembers_and_subscribes(
    demo: Stack, browse: Browse, tmp_path: Path
) -> None:
    assert (BUILT / "index.html").exists(), "`./dashtam test` builds GraphiQL: run it once"

    url = demo.gateway.url
    statement = tmp_path / "statement.ofx"
    statement.write_bytes(checking("-7.00"))
    who = person.EMAIL, person.PASSWORD, str(statement), *await careful(demo)
    found = await browse("graphiql.mjs", f"{url}/graphiql", *who)

    nothing_went_wrong(found, url)
    asked_for_the_code(found)
    panes_did_their_work(found["panes"])
    assert found["title"] == "GraphiQL · Dashtam"
    assert "password" in found["refusal"]
    assert found["dashboard"]["data"]["viewer"]["email"] == person.EMAIL
    assert len(found["dashboard"]["data"]["accounts"]) >= 6
    assert found["documented"] == "netWorth"
    assert [entry.strip() for entry in found["history"]] == ["Dashboard"]
    kinds = [frame["type"] for frame in found["frames"]]
    assert kinds[:3] == ["connection_init", "connection_ack", "subscribe"]
    states = [f["payload"]["data"]["syncProgress"] for f in found["frames"] if f["type"] == "next"]
    assert {state["id"] for state in states} == {found["runId"]}
    assert states[-1]["status"] == "SUCCEEDED"
    assert kinds[-1] == "complete"
    assert found["left"] == 0
    assert found["nobody"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert len(found["workers"]) >= 3  # Monaco's, GraphQL's and JSON's


async def test_where_only_published_documents_run_the_schema_is_there_for_administrators(
    postgres: Postgres, browse: Browse, tmp_path: Path
) -> None:
    people = [email_of(role) for role in (Role.ADMIN, Role.USER)]
    [asked] = [each.id for each in builtin.manifest() if each.name == "IntrospectionQuery"]
    mine = "query Mine { viewer { id } }"
    async with in_production(postgres, tmp_path, "trusted", mine) as url:
        found = await browse("trusted.mjs", f"{url}/graphiql", asked, PASSWORD, *people)

    admin, user = found["people"]
    assert admin == {"code": None, "documented": "netWorth", "text": "DOCUMENT_REQUIRED"}
    assert user == {"code": "GRAPHQL_VALIDATION_FAILED", "text": "DOCUMENT_REQUIRED"}
    assert found["violations"] == []


async def test_the_plain_page_signs_in_and_asks(
    demo: Stack, browse: Browse, tmp_path: Path
) -> None:
    app = create_app(demo.settings)
    # Before the application's own: the page of a gateway for which nothing was built.
    app.router.routes[:0] = GraphiQL(person.EMAIL, built=tmp_path).routes()
    async with served_here(app) as url:
        found = await browse(
            "plain.mjs", f"{url}/graphiql", person.EMAIL, person.PASSWORD, *await careful(demo)
        )

    nothing_went_wrong(found, url)
    asked_for_the_code(found)
    assert found["title"] == "Queries · Dashtam"
    assert "GraphiQL was not built" in found["note"]
    assert "password" in found["refusal"]
    assert len(found["dashboard"]["data"]["accounts"]) >= 6
    assert len(found["some"]["data"]["transactions"]["nodes"]) == 3
    assert "JSON" in found["badVariables"]
    assert found["left"] == "Nothing was asked yet."
    assert found["refusedAtLast"] == ""


async def test_the_pages_that_mails_lead_to_work_by_keyboard_and_keep_the_token_to_themselves(
    demo: Stack, browse: Browse
) -> None:
    email, password = f"{secrets.token_hex(6)}@example.com", "a sentence that was made up just now"
    mailbox = Mailbox(demo.settings.data_dir, email)
    async with demo.nobody() as nobody:
        await nobody.do(REGISTER, email=email, password=PASSWORD)
        verify = token_of(await mailbox.newest(1))
        await nobody.do(FORGOT, email=email)
        reset = token_of(await mailbox.newest(2))
        url = demo.gateway.url
        links = f"{url}/verify-email?token={verify}", f"{url}/reset-password?token={reset}"
        found = await browse("mailed.mjs", *links, "too short", password)
        payload = await nobody.sign_in(email, password)

    nothing_went_wrong(found, url)
    assert (found["incomplete"][:25], found["buttons"]) == ("This link is not complete", 0)
    assert found["verifyTitle"] == "Confirm your address · Dashtam"
    assert [found["verifyAddress"], found["resetAddress"]] == [link.split("?")[0] for link in links]
    assert found["verified"] == "Your address is confirmed. You can sign in now."
    assert found["focused"] == "done"
    assert str(LENGTH_MIN) in found["described"]
    assert found["weak"] == f"A password has at least {LENGTH_MIN} characters."
    assert found["focusedAgain"] == "password"
    assert found["shown"] == "text"
    assert found["reset"].startswith("Your password was changed")
    assert found["again"].startswith("This link does not work any more")
    assert found["again"].endswith("where you sign in that you forgot your password.")
    assert {*found["told"]} == {""}
    asked = [address for address in found["requests"] if "token=" in address]
    assert asked == [links[0], links[1], links[1]]  # by whoever opened them, and nothing else
    assert payload["errors"] == []
