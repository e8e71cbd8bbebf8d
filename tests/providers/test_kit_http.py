"""A call waits, is tried again, gives up and is logged as the kit says, on a clock of its own."""

from decimal import Decimal

import httpx2
import pytest
import structlog
from structlog.testing import capture_logs

from adapters.providers.kit import Policy
from adapters.providers.kit.timing import back_off_s, retry_after_s
from adapters.providers.kit.wire import log
from domain.errors import (
    CredentialsRejected,
    DomainError,
    ErrorCode,
    ProviderUnavailable,
)
from tests.providers.fakes import Clock
from tests.providers.script import HTML, Script, an_http, ok


async def test_numbers_are_decimals_exactly_as_written() -> None:
    script = Script(ok('{"a": 1234567890123456.78, "b": 0.10, "c": 7, "d": 1e-8}'))

    assert await an_http(script, Clock()).get("/x") == {
        "a": Decimal("1234567890123456.78"),
        "b": Decimal("0.10"),
        "c": Decimal(7),
        "d": Decimal("1E-8"),
    }
    assert script.requests[0].url == "https://acme.invalid/v1/x"


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.Response(500, json={}),
        httpx2.Response(503, text=HTML),
        httpx2.Response(429, json={}),
        httpx2.Response(408, text=""),
        httpx2.Response(200, text=HTML),
        httpx2.Response(200, text='{"accounts": [{"id'),
        httpx2.Response(403, text=HTML, headers={"content-type": "text/html"}),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut off"),
    ],
    ids=["500", "503", "429", "408", "page", "truncated", "403 page", "refused", "slow", "cut"],
)
async def test_a_read_is_tried_again_after_what_may_pass(
    failure: httpx2.Response | Exception,
) -> None:
    clock, script = Clock(), Script(failure, ok('{"fine": true}'))

    assert await an_http(script, clock).get("/x") == {"fine": True}
    assert len(script.requests) == 2
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "failure", [httpx2.Response(500), httpx2.Response(200, text=HTML)], ids=str
)
async def test_it_gives_up_after_four_tries(failure: httpx2.Response) -> None:
    clock, script = Clock(), Script(failure)

    with pytest.raises(ProviderUnavailable) as caught:
        await an_http(script, clock).get("/x")
    assert caught.value.provider == "acme"
    assert len(script.requests) == 4
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_what_changes_something_is_sent_once() -> None:
    script = Script(httpx2.Response(503))

    with pytest.raises(ProviderUnavailable):
        await an_http(script, Clock()).post("/token", form={"grant": "x"})
    assert len(script.requests) == 1


async def test_a_post_that_only_reads_is_tried_again() -> None:
    script = Script(httpx2.Response(503), ok("[]"))

    assert await an_http(script, Clock()).post("/sync", json={"c": ""}, only_reads=True) == []
    assert script.requests[1].content == script.requests[0].content


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_not_tried_again(status: int) -> None:
    script = Script(httpx2.Response(status, json={"message": "forbidden"}))

    with pytest.raises(CredentialsRejected) as caught:
        await an_http(script, Clock()).get("/x")
    assert caught.value.code is ErrorCode.CREDENTIALS_REJECTED
    assert len(script.requests) == 1


async def test_a_providers_own_error_code_decides_first() -> None:
    def explain(status: int, body: object) -> DomainError | None:
        assert status == 400
        assert body == {"error": "ITEM_LOGIN_REQUIRED"}
        code = ErrorCode.AUTHORIZATION_EXPIRED
        return CredentialsRejected("log in again", provider="acme", code=code)

    script = Script(httpx2.Response(400, json={"error": "ITEM_LOGIN_REQUIRED"}))
    with pytest.raises(CredentialsRejected) as caught:
        await an_http(script, Clock(), explain=explain).get("/x")
    assert caught.value.code is ErrorCode.AUTHORIZATION_EXPIRED


@pytest.mark.parametrize("status", [301, 302, 400, 404, 410])
async def test_an_answer_that_no_second_try_would_change_is_not_tried_again(status: int) -> None:
    script = Script(httpx2.Response(status, headers={"location": "https://elsewhere.invalid"}))

    with pytest.raises(ProviderUnavailable):
        await an_http(script, Clock()).get("/x")
    assert len(script.requests) == 1


async def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    clock = Clock()
    when = "Tue, 17 Mar 2026 00:17:00 GMT"  # the clock stands at 00:16:40 and then at 00:16:47
    script = Script(
        httpx2.Response(429, headers={"retry-after": "7"}),
        httpx2.Response(503, headers={"retry-after": when}),
        ok(),
    )

    assert await an_http(script, clock).get("/x") == {}
    assert clock.slept == [7.0, 13.0]


async def test_a_wait_too_long_to_sit_out_is_told_instead() -> None:
    clock, script = Clock(), Script(httpx2.Response(429, headers={"retry-after": "3600"}))

    with pytest.raises(ProviderUnavailable) as caught:
        await an_http(script, clock).get("/x")
    assert caught.value.retry_after_s == 3600
    assert clock.slept == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 30 * 86_400),
        ({"retry-after": "999999999"}, 30 * 86_400),
        ({"x-reset": "99999999999"}, 30 * 86_400),
        ({"retry-after": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 2027 23:59:59 +99999999999999"}, None),
    ],
)
async def test_a_wait_without_sense_is_none_or_a_month(
    said: dict[str, str], told: int | None
) -> None:
    script = Script(httpx2.Response(429, headers=said))
    once = Policy(tries_max=1)
    with pytest.raises(ProviderUnavailable) as caught:
        await an_http(script, Clock(), policy=once, reset_header="x-reset").get("/x")
    assert caught.value.retry_after_s == told


async def test_the_waits_of_a_call_are_bounded_together() -> None:
    clock = Clock()
    script = Script(httpx2.Response(429, headers={"retry-after": "20"}))

    with pytest.raises(ProviderUnavailable) as caught:
        await an_http(script, clock).get("/x")
    assert clock.slept == [20.0, 20.0]
    assert caught.value.retry_after_s == 20


async def test_a_pull_has_a_deadline_over_all_its_calls() -> None:
    clock = Clock()
    http = an_http(Script(httpx2.Response(503)), clock)
    deadline = http.deadline(1.2)

    with pytest.raises(ProviderUnavailable):
        await http.get("/x", deadline=deadline)
    assert clock.slept == [0.5]  # the second wait would have passed the deadline
    clock.seconds += 5
    with pytest.raises(ProviderUnavailable, match="time"):
        await http.get("/x", deadline=deadline)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 3 ", 3.0),
        ("Mon, 16 Mar 2026 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
        ("9" * 30, None),
    ],
)
def test_retry_after_says_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, Clock().timing) == seconds


def test_the_back_off_doubles_to_its_cap_with_full_jitter() -> None:
    whole = [back_off_s(n, first_s=0.5, max_s=3.0, timing=Clock().timing) for n in range(1, 6)]
    assert whole == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert back_off_s(3, first_s=0.5, max_s=3.0, timing=Clock(chance=0.25).timing) == 0.5
    assert back_off_s(900, first_s=0.5, max_s=3.0, timing=Clock().timing) == 3.0


async def test_a_call_is_logged_without_its_query_or_headers() -> None:
    structlog.reset_defaults()
    vars(log).pop("bind", None)  # which a test that configures logging may have made for good
    http = an_http(Script(ok()), Clock())
    with capture_logs() as logs:
        await http.get("/x", params={"token": "s3cret"}, headers={"authorization": "s3cret"})

    [line] = logs
    assert line == {
        "event": "provider.answered",
        "log_level": "info",
        "provider": "acme",
        "path": "/v1/x",
        "status": 200,
        "attempt": 1,
        "ms": 0,
    }
