"""Secrets of every kind go through every flow, and are found nowhere afterwards."""

import asyncio
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pyotp
import pytest
from redis.asyncio import Redis

from adapters.security.keyring import Keyring
from domain.imports import IN_REQUEST_BYTES_MAX
from tests.e2e.canaries import Canaries, Refusals, dumped, remembered, written
from tests.e2e.linking import CONNECT, SYNC, connect, sync, upload
from tests.e2e.mailbox import LINK, text_of
from tests.e2e.stack import SIGN_IN, Client, Stack, a_stack, dashtam, environment
from tests.engine.files import account, bank, january
from tests.mail import servers as mail
from tests.servers import Postgres
from tests.telemetry.collector import Collector, collecting

ERRORS = "errors { __typename code message field }"
REGISTER = f"mutation($input: RegisterInput!) {{ register(input: $input) {{ {ERRORS} }} }}"
VERIFY = f"mutation($token: String!) {{ verifyEmail(token: $token) {{ {ERRORS} }} }}"
REFRESH = f"""mutation($token: String!) {{ refreshSession(refreshToken: $token) {{
  accessToken refreshToken {ERRORS} }} }}"""
ENABLE = f"mutation {{ enableTotp {{ secret uri {ERRORS} }} }}"
CONFIRM = f"mutation($code: String!) {{ confirmTotp(code: $code) {{ recoveryCodes {ERRORS} }} }}"
CHANGE = (
    f"mutation($input: ChangePasswordInput!) {{ changePassword(input: $input) {{ {ERRORS} }} }}"
)
FORGOT = f"mutation($email: String!) {{ requestPasswordReset(email: $email) {{ {ERRORS} }} }}"
RESET = f"mutation($input: ResetPasswordInput!) {{ resetPassword(input: $input) {{ {ERRORS} }} }}"
DELETE = f"mutation($password: String!) {{ deleteViewer(password: $password) {{ {ERRORS} }} }}"
READ = "{ viewer { email } links { id lastRun { error { message } } } accounts { name mask } }"


@dataclass(slots=True, kw_only=True)
class Planted:
    stack: Stack
    canaries: Canaries
    refusals: Refusals
    post: mail.Taken
    collector: Collector
    redis: Redis
    passwords: dict[str, str] = field(default_factory=dict)  # by address, as the codes
    recovery: dict[str, str] = field(default_factory=dict)

    def a_password(self, what: str = "password") -> str:
        return self.canaries.plant(
            what, f"pässword & {secrets.token_hex(8)}/{secrets.token_hex(4)}"
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with self.stack.nobody() as client:
            client.http.event_hooks = {"response": [self.refusals.keep]}
            yield client

    async def mailed(self, email: str, to: str) -> str:
        """The token of the mail whose link goes there."""
        async with asyncio.timeout(30):
            while not (found := self._links(email, to)):  # noqa: ASYNC110 - of a server
                await asyncio.sleep(0.05)
        return self.canaries.plant("mailed token", found[-1].partition("token=")[2])

    def _links(self, email: str, to: str) -> list[str]:
        mails = [letter for letter in self.post.mails if letter["To"] == email]
        links = [link for letter in mails for link in LINK.findall(text_of(letter))]
        return [link for link in links if f"/{to}?token=" in link]

    async def sign_in(self, client: Client, email: str, password: str, **said: str) -> list[str]:
        """The codes of the refusals; whatever else the answer holds is a canary."""
        payload = await client.do(SIGN_IN, input={"email": email, "password": password, **said})
        self._keep(client, payload["accessToken"], payload["refreshToken"])
        return [error["code"] for error in payload["errors"]]

    async def refresh(self, client: Client, token: str | None) -> None:
        payload = await client.do(REFRESH, token=token)
        self._keep(client, payload["accessToken"], payload["refreshToken"])

    def _keep(self, client: Client, access: str | None, refresh: str | None) -> None:
        if access is not None and refresh is not None:
            client.token = self.canaries.plant("access token", access)
            self.canaries.plant("its signature", access.rpartition(".")[2])
            client.refresh_token = self.canaries.plant("refresh token", refresh)
        for cookie in client.http.cookies.jar:
            self.canaries.plant(f"cookie {cookie.name}", cookie.value or "")


@pytest.fixture
async def planted(postgres: Postgres, redis_url: str, tmp_path: Path) -> AsyncIterator[Planted]:
    """Gateway and worker that talk to everything that they can talk to."""
    served, _ = mail.certified(tmp_path)
    login = f"{quote(mail.USER, safe='')}:{quote(mail.PASSWORD, safe='')}"
    folder = tmp_path / "data"
    folder.mkdir()
    async with (
        postgres.fresh_database() as database,
        mail.a_mail_server(tls=served, auth=True) as post,
        Redis.from_url(redis_url) as redis,
    ):
        with collecting() as collector:
            asked = {
                "DASHTAM_LOG_LEVEL": "debug",
                "DASHTAM_LIMIT_SIGN_IN_ACCOUNT": "100",
                "DASHTAM_REDIS_URL": redis_url,
                "DASHTAM_SMTP_URL": f"smtp://{login}@127.0.0.1:{post.port}",
                "SSL_CERT_FILE": str(tmp_path / "server.pem"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                "OTEL_METRIC_EXPORT_INTERVAL": "300",
            }
            async with a_stack(database, folder, **asked) as stack:
                found = Planted(
                    stack=stack,
                    canaries=Canaries(),
                    refusals=Refusals(),
                    post=post,
                    collector=collector,
                    redis=redis,
                )
                found.canaries.plant("SMTP password", mail.PASSWORD)
                for url in (database.app_url, database.owner_url):
                    found.canaries.plant("database password", urlsplit(url).password or "")
                yield found


async def test_sixty_four_secrets_are_found_nowhere(planted: Planted) -> None:
    canaries, stack = planted.canaries, planted.stack
    _plant_keys(planted)
    said: list[bytes] = []
    async with planted.client() as ann, planted.client() as bob:
        for client in (ann, bob):
            await _become_somebody(planted, client)
            await _link_and_import(planted, client)
            await _take_another_factor(planted, client)
            await _mistake(planted, client)
        output = await dashtam(
            *("keys", "rotate"),
            environ=environment(stack.database, stack.folder, stack.gateway.port),
            folder=stack.folder,
        )
        said.append((output.out + output.err).encode())
        _plant_keys(planted)
        await sync(ann, force=True)
        await _change_passwords(planted, ann)
        await _meet_bugs(planted, bob)
    assert len(canaries.secrets) >= 64, sorted(canaries.secrets)
    assert planted.refusals.count >= 20
    await planted.collector.find(lambda span: span.resource["dashtam.role"] == "worker")

    db = await asyncpg.connect(stack.database.superuser_url)
    tables = await dumped(db)
    await db.close()
    places = {
        **tables,
        **written(stack.folder, but={"keyring.json"}),  # logs, checkpoints, and what else is there
        "traces and metrics": b"\n".join(planted.collector.bodies),
        "Redis": await remembered(planted.redis),
        "answers": bytes(planted.refusals.content),
        "the shell": b"\n".join(said),
    }
    # Where nothing was looked at, nothing would be found: each place has what it should have.
    shown = ("table public.audit_log", "table public.credentials", "traces and metrics", "Redis")
    assert all(places[name] for name in (*shown, "answers", "the shell"))
    logs = [text for name, text in places.items() if name.startswith("file serve-")]
    assert any(b"http.answered" in text for text in logs)
    assert "\n".join(canaries.found(places)) == ""


def test_a_canary_is_found_in_every_form_that_is_looked_for() -> None:
    """In one that was planted by us, so that the silence above means something."""
    canaries = Canaries()
    secret = canaries.plant("password", 'pässword & "7f3a"/+')
    code = canaries.plant("code", "123456")
    around = [f"{'x' * n}{secret}yy".encode() for n in range(4)]
    forms = [
        secret.encode(),
        quote(secret).encode(),
        *(text.hex().encode() for text in around),
        *(text.hex().upper().encode() for text in around),
        *(b64encode(text) for text in around),
        *(urlsafe_b64encode(text) for text in around),
    ]
    for form in forms:
        assert canaries.found({"here": form}) == ["password #0 in here"], form
    assert canaries.found({"here": f'{{"code": "{code}"}}'.encode()}) == ["code #1 in here"]
    assert canaries.found({"here": b"2026-11-22T05:00:00.123456+00 11234567"}) == []


def _plant_keys(planted: Planted) -> None:
    assert planted.stack.settings.keyring is not None
    keyring = Keyring.load(planted.stack.settings.keyring)
    planted.canaries.plant("sealing key", keyring.sealing[0].key)
    planted.canaries.plant("signing key", keyring.signing[0].seed)
    planted.canaries.plant("MAC key", keyring.mac)


async def _become_somebody(planted: Planted, client: Client) -> None:
    email = f"person-{secrets.token_hex(6)}@example.com"
    client.email, password = email, planted.a_password()
    planted.passwords[email] = password
    await client.do(REGISTER, input={"email": email, "password": "short 7f3a"})
    await client.do(REGISTER, input={"email": email, "password": password})
    token = await planted.mailed(email, "verify-email")
    await planted.sign_in(client, email, password)  # too early
    await client.do(
        VERIFY, token=planted.canaries.plant("guessed token", secrets.token_urlsafe(32))
    )
    await client.do(VERIFY, token=token)
    await planted.sign_in(client, email, planted.a_password("wrong password"))
    await planted.sign_in(client, email, password, delivery="COOKIE")
    await client.ask(READ)
    client.http.cookies.clear()
    assert await planted.sign_in(client, email, password) == []
    await planted.refresh(client, client.refresh_token)


async def _link_and_import(planted: Planted, client: Client) -> None:
    plant, hex_ = planted.canaries.plant, secrets.token_hex
    for seed in ("not-a-seed", plant("provider credential", f"seed{hex_(8)}")):
        await connect(client, using={"credentials": [{"name": "seed", "value": seed}]})
    unknown = [{"name": "token", "value": plant("unknown credential", hex_(16))}]
    await connect(client, using={"credentials": unknown})
    await sync(client)
    for size in (0, IN_REQUEST_BYTES_MAX):  # at once, and by the worker from where it waits
        number = plant("account number", f"{secrets.randbelow(10**18):018}")
        told = plant("file content", f"told{hex_(12)}")
        file = bank(account(january(2, 3), number=number)).decode()
        file = file.replace("<TRNUID>1", f"<TRNUID>{told}")
        await upload(client, file.encode() + b" " * size)
    await upload(client, b"OFXHEADER:100\n" + plant("unreadable file", hex_(16)).encode())
    await sync(client, force=True)


async def _take_another_factor(planted: Planted, client: Client) -> None:
    plant, now = planted.canaries.plant, datetime.now(UTC)
    password = planted.passwords[client.email]
    seed = plant("TOTP seed", (await client.do(ENABLE))["secret"])
    codes = [plant("code", pyotp.TOTP(seed).at(now + timedelta(seconds=30 * n))) for n in (0, 1)]
    await client.do(CONFIRM, code="000000")
    for code in (await client.do(CONFIRM, code=codes[0]))["recoveryCodes"]:
        planted.recovery[client.email] = plant("recovery code", code)
    async with planted.client() as phone:
        await planted.sign_in(phone, client.email, password)
        await planted.sign_in(phone, client.email, password, code=codes[0])
        assert await planted.sign_in(phone, client.email, password, code=codes[1]) == []


async def _mistake(planted: Planted, client: Client) -> None:
    """Secrets where they do not belong: in headers, variables, ids and addresses."""
    forged = planted.canaries.plant("forged token", secrets.token_urlsafe(32))
    await client.post(READ, authorization=f"Bearer {forged}")
    await client.post(READ, authorization=f"Basic {forged}", cookie=f"dashtam={forged}")
    await client.post("query($id: ID!) { account(id: $id) { name } }", {"id": forged})
    await client.post("query($first: Int) { viewer { email } }", {"first": forged})
    await client.post(SIGN_IN, {"input": {"email": client.email, "password": [forged]}})
    await client.http.get("/graphql", params={"documentId": forged, "token": forged})
    await client.http.get(f"/{forged}")
    await client.http.post("/graphql", content=f'{{"query": "{forged}'.encode())
    await client.do(SYNC, input={"linkId": forged})
    await client.do(CONNECT, input={"provider": forged, "using": {"nothing": True}})
    async with planted.client() as stranger:
        await planted.sign_in(stranger, client.email, forged)
        await planted.sign_in(stranger, forged, forged)
        await planted.refresh(stranger, forged)
        await stranger.do(RESET, input={"token": forged, "newPassword": forged})


async def _change_passwords(planted: Planted, client: Client) -> None:
    was, new = planted.passwords[client.email], planted.a_password("new password")
    await client.do(CHANGE, input={"currentPassword": new, "newPassword": new})
    await client.do(CHANGE, input={"currentPassword": was, "newPassword": "password1"})
    done = await client.do(CHANGE, input={"currentPassword": was, "newPassword": new})
    assert done["errors"] == []
    await client.do(FORGOT, email=client.email)
    given = {
        "token": await planted.mailed(client.email, "reset-password"),
        "newPassword": "short",
    }
    again = planted.a_password("password after a reset")
    async with planted.client() as anyone:
        await anyone.do(RESET, input=given)
        assert (await anyone.do(RESET, input={**given, "newPassword": again}))["errors"] == []
        await anyone.do(RESET, input={**given, "newPassword": again})
    code = planted.recovery[client.email]
    assert await planted.sign_in(client, client.email, again, code=code) == []
    await client.do(DELETE, password=was)
    assert (await client.do(DELETE, password=again))["errors"] == []


async def _meet_bugs(planted: Planted, client: Client) -> None:
    """Bugs of ours whose exceptions quote what we were about to store, or a statement."""
    db = await asyncpg.connect(planted.stack.database.superuser_url)
    try:
        await db.execute("""
            CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'about to store %', NEW;
            END $$""")
        for table in ("credentials", "sessions", "import_files"):
            trigger = f"CREATE TRIGGER quote BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"
            await db.execute(f"{trigger} EXECUTE FUNCTION quote()")
        seed = planted.canaries.plant("provider credential", f"seed{secrets.token_hex(8)}")
        credentials = [{"name": "seed", "value": seed}]
        said = {"provider": "sandbox", "using": {"credentials": credentials}}
        bugs = [await client.errors(CONNECT, input=said)]
        bugs.append(await client.errors(REFRESH, token=client.refresh_token))
        number = planted.canaries.plant("account number", f"{secrets.randbelow(10**18):018}")
        answer = await upload(client, bank(account(january(2), number=number)))
        bugs.append(answer.json()["errors"])
        assert all(bug["extensions"]["code"] == "INTERNAL" for [bug] in bugs)
        for table in ("credentials", "sessions", "import_files"):
            await db.execute(f"DROP TRIGGER quote ON {table}")
    finally:
        await db.close()
