"""What goes wrong at a SimpleFIN server, and whose trouble it is."""

from collections.abc import Mapping

import pytest

from adapters.providers.simplefin.faults import sanitized
from domain.errors import (
    CredentialsRejected,
    ErrorCode,
    LinkAction,
    ProviderUnavailable,
)
from domain.sync import SyncScope
from tests.providers.conformance import AT, pulled
from tests.providers.simplefin import a_provider, a_request, a_server, failures
from tests.providers.simulators.base import Trouble

TODAY = AT.date()


async def test_access_that_was_revoked_is_withdrawn_and_a_gateways_page_is_not() -> None:
    sim = a_server()
    sim.fault(Trouble.FORBIDDEN_PAGE, times=9)
    with pytest.raises(ProviderUnavailable):
        await pulled(a_provider(sim), a_request(sim))
    sim.mend()

    sim.revoked = True
    with pytest.raises(CredentialsRejected) as refused:
        await pulled(a_provider(sim), a_request(sim))
    assert refused.value.withdrawn
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert refused.value.action is LinkAction.REAUTHORIZE


async def test_what_is_not_paid_for_says_so() -> None:
    sim = a_server(unpaid=True)
    with pytest.raises(ProviderUnavailable, match="Payment required") as refused:
        await pulled(a_provider(sim), a_request(sim))
    assert refused.value.action is LinkAction.PAY_PROVIDER


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ({"code": "con.auth", "conn_id": "CON-millbank.example", "msg": "Sign in"},
         {"ACT-checking": "Mill Bank needs you to sign in again", "ACT-card": "Mill Bank"}),
        ({"code": "con.unheard", "conn_id": "CON-millbank.example", "msg": "Down"},
         {"ACT-checking": "could not be read (Down)", "ACT-card": "Down"}),
        ({"code": "con.auth", "conn_id": "CON-gone", "message": "Sign in"}, {"CON-gone": "Sign in"}),
        ({"code": "act.failed", "account_id": "ACT-loan", "msg": "Try later"},
         {"ACT-loan": "Try later"}),
        ({"code": "act.missingdata", "account_id": "ACT-card", "msg": "Some lack"},
         {"ACT-card": "did not give all of its transactions (Some lack)"}),
        ({"code": "gen.", "msg": "Half down"}, {"SimpleFIN": "Half down"}),
        ({"code": "???", "msg": "New"}, {"SimpleFIN": "New"}),
    ],
)  # fmt: skip
async def test_an_error_beside_good_data_is_of_whom_it_names(
    error: dict[str, str], failed: Mapping[str, str]
) -> None:
    sim = a_server(errlist=[error])
    pages = await pulled(a_provider(sim, roomy=True), a_request(sim))

    told = failures(pages)
    assert told.keys() == failed.keys()
    assert all(part in told[key] for key, part in failed.items())
    assert not pages[0].accounts_complete
    assert len(pages[0].accounts) == 5
    assert not {*pages[1].holdings_complete} & failed.keys()
    assert sum(bool(page.failed) for page in pages) == 1
    recent = next(page for page in pages if page.step is SyncScope.TRANSACTIONS)
    assert not recent.pending.keys() & failed.keys()


@pytest.mark.parametrize(
    ("sentence", "failed"),
    [
        ("Connection to Mill Bank may need attention", {"ACT-checking", "ACT-card"}),
        ("Home Mortgage could not be updated", {"ACT-loan"}),
        ("Windmill Banking is down", {"SimpleFIN"}),
        ("You must reauthenticate.", {"SimpleFIN"}),
    ],
)
async def test_a_sentence_of_version_1_is_of_whom_it_names(sentence: str, failed: set[str]) -> None:
    sim = a_server(errors=[sentence], versions=frozenset({1}))
    pages = await pulled(a_provider(sim), a_request(sim))
    assert failures(pages).keys() == failed
    assert all(sentence in reason for reason in failures(pages).values())


async def test_the_servers_own_authentication_error_is_one_though_it_answers_200() -> None:
    sim = a_server(errlist=[{"code": "gen.auth", "msg": "No credentials"}])
    with pytest.raises(CredentialsRejected) as refused:
        await pulled(a_provider(sim), a_request(sim))
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert not refused.value.withdrawn


def test_what_a_server_says_is_shown_as_one_short_line_without_markup() -> None:
    said = "<script>alert(1)</script>Hello\x00\r\n \u202eworld <img src=x onerror=y" + "x" * 500
    assert sanitized(said) == "alert(1) Hello world"
    assert len(sanitized("word " * 200)) <= 203


async def test_an_account_that_cannot_be_read_in_an_older_window_is_told_once() -> None:
    sim = a_server()
    sim.mutate(lambda body: body.replace(b'"812.50"', b'"much"'), times=9, after=1)
    pages = await pulled(a_provider(sim), a_request(sim))

    assert failures(pages).keys() == {"ACT-checking"}
    lost = [row for page in pages for row in page.unreadable]
    assert [row.account_key for row in lost] == ["ACT-checking"]
    assert "T-old" in lost[0].raw
