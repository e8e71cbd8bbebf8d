"""What all that is asked of one host of a provider has in common, whoever asks."""

import asyncio

from adapters import telemetry
from adapters.providers.kit.breaker import Breaker
from adapters.providers.kit.retries import RetryBudget
from adapters.providers.kit.timing import Timing


class Host:
    """Whether it is well, how much of it may be asked again, and how many calls there are at once:
    one that hangs holds up no more than its own places."""

    def __init__(self, provider: str, in_flight_max: int, timing: Timing) -> None:
        self.breaker = Breaker(timing)
        self.retries = RetryBudget(timing)
        self.slots = asyncio.Semaphore(in_flight_max)
        telemetry.breakers[self.breaker] = provider
