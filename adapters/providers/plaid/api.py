"""How Plaid is asked: JSON by POST, with the client's id and secret in it."""

from collections.abc import Mapping
from datetime import timedelta

from adapters.providers.configuration import Client
from adapters.providers.kit import Deadline, Http, Outside, Policy, Record, record_of
from adapters.providers.plaid.faults import SLUG, Lacking, explain
from domain.providers import Allowance

VERSION = "2020-09-14"
MINUTE = timedelta(minutes=1)
# "Rate Limit Exceeded" in its documentation. Plaid answers 429 without saying for how long.
OF_SYNC = Allowance(name="plaid-sync", calls=50, per=MINUTE)
OF_ALL_SYNCS = Allowance(name="plaid-syncs", calls=2_500, per=MINUTE, shared=True)
OF_ITEM = Allowance(name="plaid-item", calls=60, per=MINUTE)  # all other calls about one
OF_CLIENT = Allowance(name="plaid-client", calls=1_000, per=MINUTE, shared=True)
OF_KEYS = Allowance(name="plaid-keys", calls=30, per=MINUTE, shared=True)
# A long history takes more than a minute's share: it waits for its turn.
PACED = Policy(pace_s_max=60)
KEY_S_MAX = 8.0  # Plaid waits for ten until a webhook is taken
SYNC, KEY = "/transactions/sync", "/webhook_verification_key/get"


class Api:
    """Of what is asked about an Item, `item` names it for what is counted by it.

    Raises CredentialsRejected, ProviderUnavailable; see `faults` for what each of them is.
    """

    def __init__(self, client: Client, outside: Outside) -> None:
        self._client, self._timing = client, outside.timing
        self._http = _http(client, outside, OF_CLIENT)
        self._items = _http(client, outside, OF_ITEM, OF_CLIENT)
        self._syncs = _http(client, outside, OF_SYNC, OF_ALL_SYNCS, policy=PACED)
        self._keys = _http(client, outside, OF_KEYS)

    def deadline(self) -> Deadline:
        return self._http.deadline()

    async def sleep(self, seconds: float) -> None:
        await self._timing.sleep(seconds)

    async def ask(self, path: str, said: Mapping[str, object], *, once: bool = False) -> Record:
        """`once`: never again, whatever comes of it."""
        http, deadline = self._http, None
        if path == KEY:
            http, deadline = self._keys, self._keys.deadline(KEY_S_MAX)
        answer = await http.post(
            path, json=self._body(said), deadline=deadline, only_reads=not once
        )
        return record_of(answer, SLUG)

    async def read(self, path: str, *, item: str, deadline: Deadline, **said: object) -> Record:
        """What every Item answers. Of /transactions/sync, raises Mutated too."""
        try:
            return await self._read(path, item, deadline, said)
        except Lacking as lacking:
            raise lacking.said.fault.refusal(SLUG, said=lacking.said.words) from lacking

    async def product(
        self, path: str, *, item: str, deadline: Deadline, **said: object
    ) -> Record | None:
        """None where the Item lacks the product, by now or for ever."""
        try:
            return await self._read(path, item, deadline, said)
        except Lacking:
            return None

    async def _read(
        self, path: str, item: str, deadline: Deadline, said: Mapping[str, object]
    ) -> Record:
        http = self._syncs if path == SYNC else self._items
        answer = await http.post(
            path, json=self._body(said), deadline=deadline, budget_key=item, only_reads=True
        )
        return record_of(answer, SLUG)

    def _body(self, said: Mapping[str, object]) -> Mapping[str, object]:
        return {"client_id": self._client.id, "secret": self._client.secret, **said}


def _http(
    client: Client,
    outside: Outside,
    *allowances: Allowance,
    policy: Policy = Policy(),  # noqa: B008 - frozen
) -> Http:
    return outside.http(
        SLUG,
        client.base_url,
        headers={"plaid-version": VERSION},
        policy=policy,
        allowances=allowances,
        explain=explain,
    )
