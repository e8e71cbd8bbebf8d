"""Jobs that are not syncs: what a request left for the worker to do."""

from collections.abc import Awaitable, Callable, Mapping

from domain.identity import UserId
from domain.ports import App

Chore = Callable[[App, UserId, Mapping[str, str]], Awaitable[None]]
"""Given whose identity it works in, and its payload. Raises Unavailable to be tried again."""

CHORES: Mapping[str, Chore] = {}
