"""What an HTTP answer of a provider means: its content, or one of the canonical refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from adapters.providers.kit.decoding import NotJson, decode
from adapters.providers.kit.faults import Fault, Said
from adapters.providers.kit.timing import Timing, retry_after_s
from domain.errors import DomainError

# Given the status and the decoded body (the beginning of its text, where it is no JSON): a
# provider's own refusal. One that is said as a Fault is asked again where its table says so; a
# DomainError never is.
Explain: TypeAlias = Callable[[int, object], Said | Fault | DomainError | None]

PAYMENT_REQUIRED = 402  # statuses that mean the same at every provider
UNAUTHORIZED, FORBIDDEN = 401, 403
TOO_MANY = 429
PASSING = (408, 425)
EPOCH_DIGITS_MAX = 11
WAIT_S_MAX = 30 * 86_400.0  # whatever is said: seconds until the year 9999 are more than is stored
TOLD_BYTES_MAX = 4_096  # of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Failed(Exception):
    """No usable answer; `fault` says whether another try may bring one.

    `unhealthy` is what a breaker counts; being asked to wait (429) is not. `again` false is for
    what would only repeat itself.
    """

    def __init__(
        self,
        reason: str,
        *,
        fault: Fault = Fault.DOWN,
        unhealthy: bool = True,
        again: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.fault = reason, fault
        self.unhealthy = unhealthy
        self.again = again and fault.is_retryable
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a provider's answers are understood. `reset_header` is the name of one that holds the
    time from which on it may be asked again, in seconds since 1970, for one without Retry-After.
    """

    provider: str
    timing: Timing
    explain: Explain | None = None
    reset_header: str | None = None

    def json(self, answer: Answer) -> object:
        """The answer's JSON, its numbers Decimal.

        Raises:
            Failed: timeouts of gateways, 429, 5xx, HTML or truncated JSON.
            CredentialsRejected: 401 and 403. A 403 page of HTML is a gateway's, not the provider's
                word about the login, and is Failed.
            ProviderUnavailable: any other status, which no second try would change.
        """
        body = _decoded(answer)
        if not 200 <= answer.status < 300:
            self._refuse(answer, _told(answer, body))
        if isinstance(body, NotJson):
            raise Failed("answered without usable JSON", retry_after_s=self._wait_s(answer))
        return body

    def content(self, answer: Answer) -> bytes:
        """The answer as it is. Raises as `json`."""
        if not 200 <= answer.status < 300:
            body = _decoded(answer)
            self._refuse(answer, _told(answer, body))
        return answer.body

    def text(self, answer: Answer) -> str:
        """The answer as the text that it is. Raises as `json`."""
        try:
            return self.content(answer).decode()
        except UnicodeDecodeError:
            raise Failed("answered without usable text") from None

    def _refuse(self, answer: Answer, body: object) -> None:
        wait_s = self._wait_s(answer)
        said = None if self.explain is None else self.explain(answer.status, body)
        if isinstance(said, DomainError):
            raise said
        if isinstance(said, Fault):
            said = Said(said)
        if said is None:
            fault = _fault_of(answer)
            said = Said(fault, None if fault is Fault.REJECTED else f"HTTP {answer.status}")
        if said.fault.is_retryable:
            raise Failed(
                said.fault.words + (f" ({said.words})" if said.words else ""),
                fault=said.fault,
                unhealthy=said.fault is Fault.DOWN,
                retry_after_s=wait_s,
            )
        raise said.fault.refusal(self.provider, said=said.words)

    def _wait_s(self, answer: Answer) -> float | None:
        said_s = retry_after_s(answer.headers.get("retry-after"), self.timing)
        if said_s is None and self.reset_header is not None:
            at = answer.headers.get(self.reset_header, "").strip()
            if at.isascii() and at.isdigit() and len(at) <= EPOCH_DIGITS_MAX:
                said_s = max(float(at) - self.timing.now().timestamp(), 0.0)
        return None if said_s is None else min(said_s, WAIT_S_MAX)


def _fault_of(answer: Answer) -> Fault:
    """What a status means where the provider says nothing better."""
    status = answer.status
    if status == TOO_MANY or (status == FORBIDDEN and _is_html(answer)):
        return Fault.BUSY  # a page is of what stands before the provider, and not of the login
    if status >= 500 or status in PASSING:
        return Fault.DOWN
    if status in (UNAUTHORIZED, FORBIDDEN):
        return Fault.REJECTED
    return Fault.UNPAID if status == PAYMENT_REQUIRED else Fault.MISTAKEN


def _decoded(answer: Answer) -> object:
    try:
        return decode(answer.body)
    except NotJson as fault:
        return fault


def _told(answer: Answer, body: object) -> object:
    if isinstance(body, NotJson):
        return answer.body[:TOLD_BYTES_MAX].decode("utf-8", "replace")
    return body


def _is_html(answer: Answer) -> bool:
    declared = answer.headers.get("content-type", "").lower()
    return "html" in declared or answer.body.lstrip()[:1] == b"<"
