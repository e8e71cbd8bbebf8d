"""Plaid against a server that speaks its API: Link, Items, what a pull tells, and what goes wrong."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.providers.configuration import Client
from adapters.providers.plaid import Plaid
from adapters.providers.plaid.faults import CODES
from domain.errors import (
    CredentialsRejected,
    DomainError,
    ErrorCode,
    LinkAction,
    ProviderUnavailable,
)
from domain.providers import Notifying, Offering, Revoking
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.plaid import WEBHOOK, a_provider, pages_of, rows
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.plaid import PlaidServer, refused
from tests.providers.simulators.plaid_books import (
    Item,
    an_account,
    household,
)
from tests.providers.test_plaid_conformance import a_client, a_request


@pytest.fixture
def sim() -> PlaidServer:
    return PlaidServer(now=lambda: AT, page_max=10)


@pytest.fixture
def item(sim: PlaidServer) -> Item:
    return household(sim.item())


# ── Link ────────────────────────────────────────────────────────────────────


def test_without_a_client_it_is_listed_and_not_offered(sim: PlaidServer) -> None:
    unknown = Plaid(Client(base_url=sim.url), sim.inside())
    assert not unknown.info.enabled
    known = a_provider(sim)
    assert known.info.enabled
    assert isinstance(known, Offering)
    assert isinstance(known, Revoking)
    assert isinstance(known, Notifying)


async def test_a_link_token_is_for_nobody_by_name_and_says_where_webhooks_go(
    sim: PlaidServer,
) -> None:
    provider = a_provider(sim, public_url="https://money.example.com")
    token = await provider.link_token(user="0197-opaque", credentials=None, at=AT)
    assert token.token == "link-sandbox-af1a0311"
    assert token.expires_at == datetime(2026, 3, 17, 19, 30, tzinfo=UTC)
    [asked] = sim.link_tokens
    assert asked["user"] == {"client_user_id": "0197-opaque"}
    assert asked["products"] == ["transactions"]
    assert asked["required_if_supported_products"] == ["investments"]
    assert asked["webhook"] == WEBHOOK
    assert asked["transactions"] == {"days_requested": 730}
    assert sim.complaints == []


async def test_update_mode_names_the_item_and_no_product(sim: PlaidServer, item: Item) -> None:
    provider = a_provider(sim, public_url="http://127.0.0.1:8000")
    await provider.link_token(user="u", credentials=sim.credentials(item), at=AT)
    [asked] = sim.link_tokens
    assert asked["access_token"] == item.token
    assert not {"products", "webhook"} & asked.keys()
    assert sim.complaints == []


async def test_for_an_item_that_there_is_no_more_link_makes_a_new_one(
    sim: PlaidServer, item: Item
) -> None:
    gone = sim.credentials(item)
    await a_provider(sim).revoke(gone, AT)
    await a_provider(sim).link_token(user="u", credentials=gone, at=AT)
    assert ["products" in asked for asked in sim.link_tokens] == [False, True]


async def test_a_public_token_becomes_a_login(sim: PlaidServer, item: Item) -> None:
    item.consent_expiration_time = "2026-09-16T15:53:00Z"
    said = {"publicToken": sim.public_token(item)}
    login = await a_provider(sim).connect(said, AT)
    assert dict(login.credentials) == sim.credentials(item)
    assert (login.institution, login.upstream) == ("First Platypus Bank", item.id)
    assert login.expire_at == datetime(2026, 9, 16, 15, 53, tzinfo=UTC)
    assert item.token not in repr(login)
    with pytest.raises(CredentialsRejected):  # it is good once
        await a_provider(sim).connect(said, AT)
    assert sim.complaints == []


async def test_the_same_accounts_linked_again_are_the_same_login(sim: PlaidServer) -> None:
    def login(name: str, **said: Any) -> dict[str, str]:
        accounts = [an_account(f"{name}-{n}", "A", "depository", "checking", 1, mask=f"000{n}",
                               **said) for n in (1, 2)]  # fmt: skip
        return {"publicToken": sim.public_token(sim.item(name, accounts=accounts))}

    provider = a_provider(sim)
    one = await provider.connect(login("one"), AT)
    renamed = sim.item("renamed", accounts=[
        an_account("x", "New name", "depository", "checking", 5, mask="0002"),
        an_account("y", "B", "depository", "checking", 5, mask="0001")])  # fmt: skip
    again = await provider.connect({"publicToken": sim.public_token(renamed)}, AT)
    assert (again.identity, again.upstream) == (one.identity, "item-renamed")
    other_bank = sim.item("bank", accounts=renamed.accounts, institution_id="ins_3")
    third = await provider.connect({"publicToken": sim.public_token(other_bank)}, AT)
    fewer = sim.item("fewer", accounts=renamed.accounts[:1])
    fourth = await provider.connect({"publicToken": sim.public_token(fewer)}, AT)
    lasting = await provider.connect(login("lasting", persistent_account_id="p-1"), AT)
    assert len({one.identity, third.identity, fourth.identity, lasting.identity}) == 4


async def test_an_item_of_which_nothing_is_learnt_is_given_back(
    sim: PlaidServer, item: Item
) -> None:
    item.lacks["/accounts/get"] = "NO_ACCOUNTS"
    with pytest.raises(CredentialsRejected) as refusal:
        await a_provider(sim).connect({"publicToken": sim.public_token(item)}, AT)
    assert refusal.value.action is LinkAction.REAUTHORIZE
    assert sim.removed == [item.token]


async def test_the_name_of_an_institution_is_asked_for_where_the_item_has_none(
    sim: PlaidServer, item: Item
) -> None:
    item.institution_name = None
    login = await a_provider(sim).connect({"publicToken": sim.public_token(item)}, AT)
    assert login.institution == "Institution ins_109508"
    assert sim.complaints == []


async def test_an_item_is_removed_once_and_twice_is_no_refusal(
    sim: PlaidServer, item: Item
) -> None:
    credentials = sim.credentials(item)
    for _ in range(2):
        await a_provider(sim).revoke(credentials, AT)
    assert sim.removed == [item.token]


# ── what goes wrong ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        ("ITEM_LOGIN_REQUIRED", None, (ErrorCode.AUTHORIZATION_EXPIRED, LinkAction.REAUTHORIZE)),
        (
            "ITEM_LOGIN_REQUIRED",
            "OAUTH_USER_REVOKED",
            (ErrorCode.AUTHORIZATION_EXPIRED, LinkAction.REAUTHORIZE),
        ),
        ("ITEM_LOCKED", None, (ErrorCode.CREDENTIALS_REJECTED, LinkAction.CONTACT_INSTITUTION)),
        ("ACCESS_NOT_GRANTED", None, (ErrorCode.CREDENTIALS_REJECTED, LinkAction.REAUTHORIZE)),
        (
            "INSTITUTION_NO_LONGER_SUPPORTED",
            None,
            (ErrorCode.PROVIDER_UNAVAILABLE, LinkAction.CONTACT_INSTITUTION),
        ),
    ],
)
async def test_what_is_wrong_with_an_item_is_said_with_what_to_do(
    sim: PlaidServer, item: Item, code: str, reason: str | None, expected: Any
) -> None:
    words = "Please\x07 <b>log in</b> again https://evil.example/x"
    item.error = {
        "error_type": "ITEM_ERROR",
        "error_code": code,
        "error_code_reason": reason,
        "display_message": words,
    }
    with pytest.raises(DomainError) as refusal:
        await pages_of(sim, item)
    found: Any = refusal.value
    assert (found.code, found.action) == expected
    assert getattr(found, "withdrawn", False) is (reason == "OAUTH_USER_REVOKED")
    assert "(Please log in again)" in found.message
    assert item.token not in found.message


async def test_an_item_that_is_only_late_is_read_as_it_is(sim: PlaidServer, item: Item) -> None:
    item.error = {"error_type": "INSTITUTION_ERROR", "error_code": "INSTITUTION_DOWN"}
    item.lacks = {}
    with pytest.raises(ProviderUnavailable, match="down"):  # it is asked, and says so itself
        await pages_of(sim, item)
    item.error["error_code"] = "SOMETHING_NEW"
    item.error["error_type"] = "OAUTH_ERROR"
    with pytest.raises(ProviderUnavailable):
        await pages_of(sim, item)
    assert len(sim.asked("/item/get")) == 2


@pytest.mark.parametrize(
    ("status", "kind", "code", "tries"),
    [
        (429, "RATE_LIMIT_EXCEEDED", "ACCOUNTS_LIMIT", 4),
        (500, "API_ERROR", "INTERNAL_SERVER_ERROR", 4),
        (400, "API_ERROR", "PLANNED_MAINTENANCE", 4),
        (400, "INVALID_INPUT", "INVALID_API_KEYS", 1),
        (400, "A_NEW_TYPE", "A_NEW_CODE", 1),
    ],
)
async def test_some_errors_are_worth_another_try(
    sim: PlaidServer, item: Item, status: int, kind: str, code: str, tries: int
) -> None:
    sim.fault(refused(kind, code, status=status), path="/accounts/get", times=9)
    with pytest.raises(ProviderUnavailable) as refusal:
        await pages_of(sim, item)
    assert len(sim.asked("/accounts/get")) == tries
    assert code in refusal.value.message


async def test_a_token_is_exchanged_once_whatever_comes_of_it(sim: PlaidServer, item: Item) -> None:
    sim.fault(Trouble.BROKEN, path="/item/public_token/exchange")
    with pytest.raises(ProviderUnavailable):
        await a_provider(sim).connect({"publicToken": sim.public_token(item)}, AT)
    assert len(sim.asked("/item/public_token/exchange")) == 1


@pytest.mark.parametrize("trouble", [Trouble.LIMITED, Trouble.AWAY, Trouble.CUT, Trouble.ENDLESS])
async def test_trouble_on_the_way_is_gone_over_or_refused(
    sim: PlaidServer, item: Item, trouble: Trouble
) -> None:
    async with sim:
        reached = sim.outside(Clock())
        provider = Plaid(a_client(sim), reached)
        sim.fault(trouble, path="/transactions/sync", after=1)
        try:
            if trouble is Trouble.ENDLESS:
                with pytest.raises(ProviderUnavailable):
                    await pulled(provider, a_request(sim, item))
            else:
                assert len(rows(await pulled(provider, a_request(sim, item)))) == 34
        finally:
            await reached.aclose()


def test_what_is_no_login_of_plaid_is_refused(sim: PlaidServer, item: Item) -> None:
    request = replace(a_request(sim, item), credentials={"token": "x"})
    with pytest.raises(CredentialsRejected):
        a_provider(sim).pull(request)


def test_every_code_of_an_item_is_known() -> None:
    known = """ITEM_LOGIN_REQUIRED INVALID_CREDENTIALS ITEM_LOCKED MFA_NOT_SUPPORTED NO_ACCOUNTS
    ACCESS_NOT_GRANTED INSTITUTION_DOWN INSTITUTION_NOT_RESPONDING INSTITUTION_NO_LONGER_SUPPORTED
    PRODUCT_NOT_READY RATE_LIMIT_EXCEEDED USER_SETUP_REQUIRED ITEM_NOT_SUPPORTED"""
    assert set(known.split()) <= CODES.keys()
