"""Asking Alpaca: as whom, how often, and what its refusals mean."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from adapters.providers.kit import Explain, Fault, Http, Policy, Said
from adapters.providers.kit.oauth import explains
from domain.errors import CredentialsRejected, DomainError, LinkAction
from domain.providers import Allowance

PROVIDER = "alpaca"
ALLOWANCES = (Allowance(name=PROVIDER, calls=200, per=timedelta(minutes=1)),)  # of one account
PAUSE_S_MAX = 60.0  # until the allowance is there again
POLICY = Policy(
    pull_s=3_600.0,  # a trader's years take a while
    wait_one_s_max=PAUSE_S_MAX,
    wait_s_max=2 * PAUSE_S_MAX,
    pace_s_max=PAUSE_S_MAX,
)
RESET_HEADER = "x-ratelimit-reset"

# By Alpaca's code, which begins with the status; and by its words, of answers without a code.
FAULTS: Mapping[int | str, Fault] = {
    40010000: Fault.MISTAKEN,
    40010001: Fault.MISTAKEN,
    40110000: Fault.REJECTED,  # request is not authorized
    40310000: Fault.FORBIDDEN,
    40410000: Fault.MISTAKEN,
    42210000: Fault.MISTAKEN,
    "unauthorized": Fault.REJECTED,
    "forbidden.": Fault.REJECTED,
}

_of_oauth: Explain = explains(PROVIDER)


def explain(status: int, body: object) -> Said | Fault | DomainError | None:
    """`{"code": 40110000, "message": "request is not authorized"}`, or words without a code; of
    the token endpoint `{"error": …}`."""
    if not isinstance(body, Mapping):
        return None
    code, words = body.get("code"), body.get("message")
    if isinstance(code, Decimal):
        fault = FAULTS.get(int(code)) if code.is_finite() else None
        return None if fault is None else Said(fault, str(code))
    fault = FAULTS.get(words) if type(words) is str else None
    return Said(fault) if fault is not None else _of_oauth(status, body)


class Asking:
    """One login at one of Alpaca's hosts. `account` is the id of the account that it is of."""

    def __init__(self, http: Http, credentials: Mapping[str, str], *, account: str) -> None:
        self.account = account
        self._http = http
        self._deadline = http.deadline()
        self._is_token = "token" in credentials
        if self._is_token:
            self._headers = {"authorization": f"Bearer {credentials['token']}"}
        else:
            self._headers = {
                "apca-api-key-id": credentials["api_key"],
                "apca-api-secret-key": credentials["api_secret"],
            }

    async def get(self, path: str, **params: str | int) -> object:
        """Raises CredentialsRejected, ProviderUnavailable."""
        try:
            return await self._http.get(
                path,
                params=params,
                headers=self._headers,
                deadline=self._deadline,
                budget_key=self.account,
            )
        except CredentialsRejected as refusal:
            if self._is_token and refusal.action is not LinkAction.REAUTHORIZE:
                # It does not end by itself and nothing renews it: its owner has to give another.
                raise Fault.EXPIRED.refusal(PROVIDER) from refusal
            raise
