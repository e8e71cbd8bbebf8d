"""The sandbox keeps every provider's promises, in each of its scenarios that answer."""

from dataclasses import replace

import pytest

from adapters.providers.sandbox import Sandbox
from domain.sync import PullRequest
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
