"""The sandbox keeps every provider's promises, in each of its scenarios that answer."""

from dataclasses import replace
from uuid import uuid4

import pytest

from adapters.providers.sandbox import Sandbox
from domain.sync import PullRequest, QuarantinedRow, RunId
from tests.builders import stated
from tests.providers.conformance import ALL, AT, Case, Conformance, pulled
from tests.providers.fakes import Clock


def a_request(scenario: str, seed: str = "demo") -> PullRequest:
    credentials = {"scenario": scenario, "seed": seed, "token": f"{scenario} {seed}"}
    return PullRequest(credentials=credentials, scopes=ALL, at=AT)


def a_case(scenario: str) -> Case:
    return Case(
        name=scenario,
        make=lambda: Sandbox(timing=Clock().timing),
        request=a_request(scenario),
        is_hostile=scenario == "hostile",
    )


async def test_a_pull_of_nothing_tells_nothing() -> None:
    request = replace(a_request("default"), scopes=frozenset())
    assert await pulled(Sandbox(timing=Clock().timing), request) == []


class TestSandbox(Conformance):
    @pytest.fixture(params=["default", "empty", "flaky", "hostile", "large"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        return a_case(request.param)


async def test_an_account_that_is_read_again_has_no_number_but_its_mask() -> None:
    unreadable = (await pulled(Sandbox(latency_s=0), a_request("hostile")))[0].unreadable
    [broken] = [row for row in unreadable if row.account_key == "broken"]
    row = QuarantinedRow(
        id=uuid4(),
        run_id=RunId(uuid4()),
        kind=broken.scope,
        reason=broken.reason,
        raw=broken.raw.replace('"twelve"', "12"),
    )
    [page] = Sandbox(latency_s=0).replay([row]).values()
    [account] = page.accounts
    assert (account.number, account.mask) == (None, "0045")
    assert stated(account).amount == 12
