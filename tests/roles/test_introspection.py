"""In production, administrators alone read the schema from the gateway."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from domain.identity import Role
from gateway.asgi import create_app
from gateway.settings import Mode
from tests.e2e.stack import Client, served_here
from tests.roles.conftest import Home

ASKED = '{ __schema { queryType { name } } __type(name: "User") { name } }'


@pytest.fixture(scope="module")
async def production(home: Home) -> AsyncIterator[str]:
    """Where another gateway answers, on the same database."""
    settings = replace(home.settings, mode=Mode.PRODUCTION)
    async with served_here(create_app(settings)) as url:
        yield url


@pytest.mark.parametrize("role", [None, Role.READONLY, Role.USER, Role.ADMIN], ids=str)
async def test_only_an_administrator_sees_the_schema_in_production(
    home: Home, production: str, role: Role | None
) -> None:
    async with (
        home.somebody(role) as client,
        httpx2.AsyncClient(base_url=production, timeout=40) as http,
    ):
        there = Client(http, token=client.token)
        answer = (await there.post(ASKED)).json()
        with_data = await there.post("{ __typename providers { slug } __schema { __typename } }")
        assert (await client.post(ASKED)).json()["data"]  # in development, everyone

    if role is Role.ADMIN:
        assert answer["data"] == {
            "__schema": {"queryType": {"name": "Query"}},
            "__type": {"name": "User"},
        }
        assert with_data.json()["data"]["__schema"]
    else:
        for said in (answer, with_data.json()):
            [error] = said["errors"]
            assert error["message"] == "Introspection is switched off."
            assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
            assert "data" not in said
