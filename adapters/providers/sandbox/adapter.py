"""The sandbox as a provider: asks its institution over HTTP as a real one would be asked."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from adapters.providers.kit import (
    Http,
    Malformed,
    NotJson,
    Policy,
    Timing,
    as_record,
    decode,
    record_of,
    text,
)
from adapters.providers.sandbox.institution import Institution
from adapters.providers.sandbox.mapping import (
    account_of,
    balance_of,
    holding_of,
    transaction_of,
)
from adapters.providers.sandbox.pull import Pull
from adapters.providers.sandbox.world import INSTITUTION, SCENARIOS
from domain.errors import CredentialsRejected, DomainError, ErrorCode, InvalidInput
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.secret import Secrets
from domain.sync import Login, Page, PullRequest, QuarantinedRow, SyncScope

SLUG = "sandbox"
SEED_DEFAULT, SEED_CHARS_MAX = "demo", 64
HOSTS_MAX = 256

INFO = ProviderInfo(
    slug=SLUG,
    name="Sandbox",
    category=ProviderCategory.BROKERAGE,
    auth_methods=(AuthMethod.NONE,),
    capabilities=(
        Capability.ACCOUNTS,
        Capability.HOLDINGS,
        Capability.TRANSACTIONS,
        Capability.BALANCE_HISTORY,
    ),
    credential_fields=(
        CredentialField(name="scenario", label="Scenario", secret=False, required=False),
        CredentialField(name="seed", label="Seed", secret=False, required=False),
    ),
)

_POLICY = Policy(wait_first_s=0.05, wait_one_s_max=1.0, wait_s_max=5.0)
_FIELD = ("input", "using", "credentials")


class Sandbox:
    """A provider whose data are a function of scenario, seed and the day of the request."""

    info = INFO

    def __init__(self, *, timing: Timing = Timing(), latency_s: float = 0.0) -> None:  # noqa: B008 - frozen
        self._timing = timing
        self._institution = Institution(latency_s=latency_s, sleep=timing.sleep)
        self._hosts: OrderedDict[tuple[str, str], Http] = OrderedDict()

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput, ProviderUnavailable."""
        unknown = set(credentials) - {"scenario", "seed"}
        if unknown:
            raise InvalidInput("the sandbox takes a scenario and a seed", field=_FIELD)
        scenario = credentials.get("scenario") or "default"
        seed = credentials.get("seed") or SEED_DEFAULT
        if scenario not in SCENARIOS:
            raise InvalidInput(f"a scenario is one of {', '.join(SCENARIOS)}", field=_FIELD)
        if len(seed) > SEED_CHARS_MAX or not seed.isascii() or not seed.isalnum():
            raise InvalidInput(
                f"a seed is at most {SEED_CHARS_MAX} letters and digits", field=_FIELD
            )
        login = {"scenario": scenario, "seed": seed}
        answer = await self._host(scenario, seed).post("/login", json=login, only_reads=True)
        return Login(
            identity=f"{scenario}:{seed}",
            credentials=Secrets({**login, "token": text(record_of(answer, SLUG), "token")}),
            institution=INSTITUTION,
        )

    async def revoke(self, credentials: Mapping[str, str], at: datetime) -> None:
        """Raises ProviderUnavailable."""
        host = self._host(credentials["scenario"], credentials["seed"])
        headers = {"authorization": f"Bearer {credentials['token']}"}
        await host.post("/revoke", headers=headers, only_reads=True)  # twice is once

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        said = request.credentials
        if not {"scenario", "seed", "token"} <= said.keys():
            raise CredentialsRejected("this is no login of the sandbox", provider=SLUG)
        return Pull(self._host(said["scenario"], said["seed"]), request).pages()

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {row.id: page for row in rows if (page := _read_again(row)) is not None}

    def _host(self, scenario: str, seed: str) -> Http:
        """One for each login, so that the breaker of one that is down does not stop the others."""
        host = self._hosts.pop((scenario, seed), None) or Http(
            SLUG,
            "https://sandbox.invalid",
            transport=self._institution,
            policy=_POLICY,
            timing=self._timing,
            explain=_explain,
        )
        self._hosts[scenario, seed] = host
        if len(self._hosts) > HOSTS_MAX:
            self._hosts.popitem(last=False)  # in-process: there is no socket to close
        return host


def _explain(status: int, body: object) -> DomainError | None:
    if status == 401 and isinstance(body, Mapping) and body.get("error") == "token_expired":
        return CredentialsRejected(
            "the sandbox's login has expired",
            provider=SLUG,
            code=ErrorCode.AUTHORIZATION_EXPIRED,
        )
    return None


def _read_again(row: QuarantinedRow) -> Page | None:
    try:
        record = as_record(decode(row.raw.encode()), "the record")
        whole = Decimal(1)
        match record.get("object"):
            case "account":
                return Page(step=SyncScope.ACCOUNTS, progress=whole, accounts=[account_of(record)])
            case "balance":
                return Page(step=SyncScope.ACCOUNTS, progress=whole, balances=[balance_of(record)])
            case "holding":
                return Page(step=SyncScope.HOLDINGS, progress=whole, holdings=[holding_of(record)])
            case "transaction":
                found = transaction_of(record)
                return Page(step=SyncScope.TRANSACTIONS, progress=whole, transactions=[found])
    except (Malformed, NotJson):
        return None
    return None
