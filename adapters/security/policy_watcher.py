"""What the database says of the policy, brought into this process while it runs."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from casbin.persist.watcher import Watcher

from domain.errors import Unavailable

LOOK_EVERY_S = 5.0  # the longest that a rule could last if the news of its end were lost

log = structlog.get_logger("dashtam.policy")

Lines = Sequence[tuple[str, ...]]


class PolicyWatcher(Watcher):  # type: ignore[misc]  # Casbin is untyped
    """Casbin's watcher, the other way round: its callback is given the lines, since reading them
    waits and Casbin does not. Whoever changes the policy tells it with the change, by a trigger,
    so that there is nothing for `update` to say.

    `problem` says what is wrong with the policy in the database, where something is; until it is
    mended, the policy before it holds.
    """

    def __init__(self, read: Callable[[], Awaitable[Lines]]) -> None:
        self._read = read
        self._told: Callable[[Lines], None] = lambda _: None
        self._known: Lines | None = None
        self.problem: str | None = None

    def warning(self) -> str | None:
        return self.problem

    def set_update_callback(self, func: Callable[[Lines], None]) -> None:
        """`func` may raise ValueError, for lines that are no policy."""
        self._told = func

    def update(self) -> None:
        """Nothing: our enforcers change no rule."""

    def close(self) -> None:
        """Nothing is open."""

    async def look(self) -> bool:
        """Read the policy, and pass it on where it is another than the last time.

        False where nobody could look: the database is away.
        """
        try:
            lines = await self._read()
            if lines != self._known:
                self._known = lines
                self._told(lines)
                log.info("policy.loaded", count=len(lines))
                self.problem = None
        except Unavailable:
            return False
        except ValueError as error:
            self._keep("is malformed", error)
        except Exception as error:  # noqa: BLE001 - without it, the next change would be missed
            self._known = None
            self._keep("cannot be read", error)
        return True

    def _keep(self, why: str, error: Exception) -> None:
        before = self.problem
        self.problem = f"the policy in the database {why}: the one before it holds"
        if self.problem != before:
            log.error("policy.kept", reason=str(error), exc_info=error)
