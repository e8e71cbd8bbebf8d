"""SimpleFIN as a provider. See simplefin.org/protocol.html; version 2 is asked for, 1 understood.

setup token ──claimed once──> access URL ──in parts──> sealed credentials
GET /accounts, the newest window first ──> pages
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from adapters.providers.configuration import Configuration
from adapters.providers.kit import Blocked, Http, Outside, Policy, Said
from adapters.providers.kit.faults import Fault
from adapters.providers.simplefin.access import Access, Hosts, NotAllowed
from adapters.providers.simplefin.faults import sanitized
from adapters.providers.simplefin.pull import DAY, SLUG, Pull
from domain.errors import CredentialsRejected, DomainError, InvalidInput, ProviderUnavailable
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.sync import Login, Page, PullRequest, QuarantinedRow

HOSTS_MAX = 64  # of which each keeps its own breaker
URL_BYTES_MAX = 8_192

INFO = ProviderInfo(
    slug=SLUG,
    name="SimpleFIN",
    category=ProviderCategory.AGGREGATOR,
    auth_methods=(AuthMethod.SETUP_TOKEN,),
    capabilities=(Capability.ACCOUNTS, Capability.HOLDINGS, Capability.TRANSACTIONS),
    credential_fields=(
        CredentialField(name="setup_token", label="Setup token", secret=True, required=True),
    ),
    documentation_url="https://www.simplefin.org/protocol.html",
)

# A bridge asks the banks while it is asked. Each try is one of the few of a day.
_POLICY = Policy(call_s=60.0, tries_max=2, wait_first_s=2.0)
_CLAIMING = Policy(call_s=30.0, tries_max=1, bytes_max=URL_BYTES_MAX)
_FIELD = ("input", "using", "credentials")

# What stands before a server says of itself; everything else with 403 is the server's own word.
_GATEWAYS = ("cloudflare", "just a moment", "captcha", "checking your browser", "rate limit")
_COMPROMISED = (
    "SimpleFIN refused the setup token: it was used before, or there is none like it. If you have"
    " not used it yourself, somebody else may have: disable it at SimpleFIN, and create another"
)
_PERHAPS_CLAIMED = (
    "the setup token may have been used up by that: if it is refused next time, disable it at"
    " SimpleFIN, and create another"
)


class SimpleFin:
    """One for all servers that may be asked."""

    info = INFO

    def __init__(self, outside: Outside, configuration: Configuration) -> None:
        self._outside = outside
        self._hosts = Hosts(configuration.simplefin_hosts, outside.private)
        self._days = configuration.simplefin_window_days
        self._open: dict[str, Http] = {}

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Claim the setup token, which can be done once: nothing is asked after it that may fail.

        Raises InvalidInput where it leads where nothing may be asked, CredentialsRejected,
        ProviderUnavailable.
        """
        try:
            target = self._hosts.claim(credentials.get("setup_token", ""))
            claiming = self._outside.http(
                SLUG, target.base, policy=_CLAIMING, explain=_explain_claim, alone=True
            )
        except (NotAllowed, Blocked) as fault:
            raise InvalidInput(str(fault), field=_FIELD) from None
        async with claiming as http:
            try:
                said = await http.post_for_text(target.path, shown="/claim")
            except ProviderUnavailable as fault:
                if not fault.asked:
                    raise
                raise ProviderUnavailable(
                    f"{fault.message}; {_PERHAPS_CLAIMED}",
                    provider=SLUG,
                    retry_after_s=fault.retry_after_s,
                ) from fault
        try:
            access = self._hosts.access(said)
        except NotAllowed as fault:
            raise ProviderUnavailable(f"{fault}; {_PERHAPS_CLAIMED}", provider=SLUG) from None
        return Login(identity=access.identity, credentials=access.credentials)

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Raises CredentialsRejected, ProviderUnavailable."""
        try:
            access = Access.of(request.credentials)
        except KeyError:
            raise CredentialsRejected("this is no login of SimpleFIN", provider=SLUG) from None
        if not self._hosts.allows(access):
            # The operator has taken it back since it was linked.
            raise ProviderUnavailable("this SimpleFIN server may not be asked here", provider=SLUG)
        async with self._http(access.base) as http:
            pull = Pull(http, self._outside, access, request, days=self._days)
            async for page in pull.pages():
                yield page

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        """None: a row means nothing without its account's currency and kind, and what could not be
        read is told again by the next pull."""
        return {}

    @asynccontextmanager
    async def _http(self, base: str) -> AsyncIterator[Http]:
        """The one of this host, so that a server that is down does not stop the others. Of many
        hosts the later ones have none that lasts."""
        kept = self._open.get(base)
        if kept is not None:
            yield kept
            return
        try:
            http = self._outside.http(
                SLUG, base, policy=_POLICY, allowances=(DAY,), explain=_explain
            )
        except Blocked as fault:
            raise ProviderUnavailable(str(fault), provider=SLUG) from None
        if len(self._open) < HOSTS_MAX:
            self._open[base] = http
            yield http
            return
        async with http:
            yield http


def _explain(status: int, body: object) -> Said | Fault | DomainError | None:
    if status == 403:
        return None if _is_gateway(body) else Fault.WITHDRAWN
    if status == 402:
        return Said(Fault.UNPAID, _sentence(body))
    return None


def _explain_claim(status: int, body: object) -> Said | Fault | DomainError | None:
    if status == 403 and not _is_gateway(body):
        return CredentialsRejected(_COMPROMISED, provider=SLUG, field=_FIELD)
    return None


def _is_gateway(body: object) -> bool:
    said = body.casefold() if isinstance(body, str) else ""
    return any(word in said for word in _GATEWAYS)


def _sentence(body: object) -> str | None:
    errors = body.get("errors") if isinstance(body, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return sanitized(first) if isinstance(first, str) else None
