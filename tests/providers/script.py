"""A provider's HTTP side, scripted."""

from collections.abc import Callable, Sequence

import httpx2

from adapters.memory.budgets import MemoryBudgets
from adapters.providers import kit
from adapters.providers.kit.answers import Explain
from domain.providers import Allowance
from tests.providers.fakes import Clock

HTML = "<html><title>Just a moment...</title></html>"


class Script:
    """Gives these answers in turn, the last one for ever, and counts the calls."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def an_http(
    answers: Callable[[httpx2.Request], httpx2.Response],
    clock: Clock,
    *,
    policy: kit.Policy | None = None,
    allowances: Sequence[Allowance] = (),
    explain: Explain | None = None,
    reset_header: str | None = None,
) -> kit.Http:
    return kit.Http(
        "acme",
        "https://acme.invalid/v1",
        transport=httpx2.MockTransport(answers),
        timing=clock.timing,
        policy=policy or kit.Policy(),
        budgets=MemoryBudgets(),
        allowances=allowances,
        explain=explain,
        reset_header=reset_header,
    )


def ok(text: str = "{}") -> httpx2.Response:
    return httpx2.Response(200, text=text)
