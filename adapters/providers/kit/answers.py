"""What an HTTP answer of a provider means: JSON, or one of the canonical refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from adapters.providers.kit.decoding import NotJson, decode
from adapters.providers.kit.timing import Timing, retry_after_s
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable

# Given the status and the decoded body (None where it is no JSON): a provider's own refusal.
Explain: TypeAlias = Callable[[int, object], DomainError | None]

_ATTEMPTABLE = (408, 425, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Failed(Exception):
    """No usable answer, which another try may bring.

    `unhealthy` is what a breaker counts; being asked to wait (429) is not.
    """

    def __init__(
        self,
        reason: str,
        *,
        unhealthy: bool = True,
        again: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unhealthy = unhealthy
        self.again = again
        self.retry_after_s = retry_after_s


def understood(answer: Answer, provider: str, explain: Explain | None, timing: Timing) -> object:
    """The answer's JSON.

    Raises:
        Failed: timeouts of gateways, 429, 5xx, HTML or truncated JSON.
        CredentialsRejected: 401 and 403. A 403 page of HTML is a gateway's, not the provider's
            word about the login, and is Failed.
        ProviderUnavailable: any other status, which no second try would change.
    """
    body = _decoded(answer)
    wait_s = retry_after_s(answer.headers.get("retry-after"), timing)
    if 200 <= answer.status < 300:
        if isinstance(body, NotJson):
            raise Failed("answered without usable JSON", retry_after_s=wait_s)
        return body
    known = None if isinstance(body, NotJson) else body
    if explain is not None and (refusal := explain(answer.status, known)) is not None:
        raise refusal
    if answer.status in _ATTEMPTABLE or answer.status >= 500:
        raise Failed(
            f"answered {answer.status}", unhealthy=answer.status != 429, retry_after_s=wait_s
        )
    if answer.status == 403 and _is_html(answer):
        raise Failed("answered 403 with a page", unhealthy=False, retry_after_s=wait_s)
    if answer.status in (401, 403):
        raise CredentialsRejected(f"{provider} refused the credentials", provider=provider)
    raise ProviderUnavailable(f"{provider} answered {answer.status}", provider=provider)


def _decoded(answer: Answer) -> object:
    try:
        return decode(answer.body)
    except NotJson as fault:
        return fault


def _is_html(answer: Answer) -> bool:
    declared = answer.headers.get("content-type", "").lower()
    return "html" in declared or answer.body.lstrip()[:1] == b"<"
