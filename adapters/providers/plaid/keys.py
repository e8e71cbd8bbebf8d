"""The public keys of Plaid's webhooks.

Which key a webhook names is read before it is believed, so that anybody can have us ask for keys.
What is kept of keys that there are is therefore apart from what is kept of those that there are
not, goes on being good for some hours while Plaid cannot be asked, and a key is asked for once,
however many wait for it.
"""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from adapters.providers.kit import Record, decimal_or_none, record_of
from adapters.providers.plaid.api import KEY, Api
from adapters.providers.plaid.faults import SLUG, UnknownKey
from domain.errors import ProviderUnavailable

ALGORITHM, CURVE = "ES256", "P-256"
KEPT, KEPT_UNASKED = timedelta(hours=12), timedelta(hours=24)
UNKNOWN_KEPT = timedelta(minutes=5)
UNKNOWN_MAX = 256


class Keys:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, tuple[datetime, ECKey]] = {}  # as of when; Plaid has few
        self._unknown: OrderedDict[str, datetime] = OrderedDict()
        self._asked: dict[str, asyncio.Task[ECKey | None]] = {}

    async def key(self, kid: str, at: datetime) -> ECKey | None:
        """None where there is none of that id. Raises ProviderUnavailable."""
        as_of, key = self._known.get(kid, (at, None))
        if key is not None and at - as_of < KEPT:
            return key
        if kid in self._unknown and at - self._unknown[kid] < UNKNOWN_KEPT:
            return None
        try:
            return await self._ask_once(kid, at)
        except ProviderUnavailable:
            if key is None or at - as_of >= KEPT_UNASKED:
                raise
            return key

    async def _ask_once(self, kid: str, at: datetime) -> ECKey | None:
        task = self._asked.get(kid)
        if task is None:
            task = self._asked[kid] = asyncio.create_task(self._ask(kid, at))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)  # others wait for it too

    async def _ask(self, kid: str, at: datetime) -> ECKey | None:
        try:
            answer = await self._api.ask(KEY, {"key_id": kid})
            key = _usable(record_of(answer.get("key"), SLUG), kid, at)
        except UnknownKey:
            key = None
        finally:
            del self._asked[kid]
        if key is not None:
            self._known[kid] = (at, key)
            return key
        self._known.pop(kid, None)
        self._unknown[kid] = at
        self._unknown.move_to_end(kid)
        if len(self._unknown) > UNKNOWN_MAX:
            self._unknown.popitem(last=False)
        return None


def _usable(record: Record, kid: str, at: datetime) -> ECKey | None:
    """A key for this use that has not expired. Raises ProviderUnavailable."""
    said = tuple(record.get(name) for name in ("kid", "kty", "crv", "alg", "use"))
    if said != (kid, "EC", CURVE, ALGORITHM, "sig"):
        return None
    numbers: dict[str, str | list[str]] = {
        name: str(record.get(name)) for name in ("kty", "crv", "x", "y")
    }
    try:
        expired_at = decimal_or_none(record, "expired_at")
        if expired_at is not None and expired_at <= int(at.timestamp()):
            return None
        return ECKey.import_key(numbers)
    except (JoseError, ValueError) as fault:
        raise ProviderUnavailable("Plaid answered with no key", provider=SLUG) from fault
