"""A field that is loaded for many parents at a time, declared by the function that loads it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_type_hints

import strawberry
from aiodataloader import DataLoader

from schema.context import Abandoned, Context, Info, objects_in
from schema.paging import FIRST_MAX

Batch = Callable[..., Awaitable[Sequence[Any]]]
EDGES: dict[Callable[..., Any], Batch] = {}
"""Resolver to batch function: what a planner calls, by `loaded`, once a level in its place."""
PAUSE_S = 0.001  # enough for a few turns of everything else


def edge(batch: Batch, *, of: Any, long: bool = False) -> Any:
    """`batch(context, parents, *, …)` gives a list aligned with parents; `…` become arguments.

    One batch a field of the document, whatever its aliases: a field node has the same arguments
    under every parent. Nothing is remembered: a parent's id() may be another's after it was
    freed, and a future that two fields share is cancelled for both. `long`: a parent may have
    thousands, so others have their turn between two parents.
    """

    def resolver(self: Any, info: Info, **arguments: Any) -> Any:
        loaders, node = info.context.loaders, id(info.field_node)
        if (loader := loaders.get(node)) is None:
            loaders[node] = loader = _loader(batch, info.context, arguments)
        loading = loader.load(self)  # a future: no coroutine a parent
        return _in_turn(loading, info.context) if long else loading

    hints = get_type_hints(batch, include_extras=True)
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    keywords = [
        p.replace(annotation=hints[p.name])
        for p in inspect.signature(batch).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    ]
    this = inspect.Parameter("self", positional)
    information = inspect.Parameter("info", positional, annotation=Info)
    resolver.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [this, information, *keywords]
    )
    resolver.__annotations__ = {"info": Info, "return": of}
    resolver.__annotations__ |= {p.name: p.annotation for p in keywords}
    resolver.__module__ = batch.__module__  # where Strawberry looks up forward references
    resolver.__name__ = batch.__name__
    EDGES[resolver] = batch
    description = " ".join((inspect.getdoc(batch) or "").split()) or None
    return strawberry.field(resolver=resolver, description=description)


async def loaded(
    batch: Batch, context: Context, parents: Sequence[Any], arguments: dict[str, Any]
) -> list[Any]:
    """What `batch` finds, within the operation's budget.

    A page's `first` is held back for every parent before anything is read. Raises TooMuch.
    """
    each = min(max(arguments.get("first", 0), 0), FIRST_MAX)  # `batch` refuses others
    with context.budget.reserved(each * len(parents)):
        found = list(await batch(context, parents, **arguments))
    context.budget.spend_objects(sum(map(objects_in, found)))
    return found


async def _in_turn(loading: Awaitable[Any], context: Context) -> Any:
    """The executor goes through a list without a pause, and through all that are there at once."""
    found = await loading
    async with context.turn:
        await asyncio.sleep(PAUSE_S)
    return found


def _loader(batch: Batch, context: Context, arguments: dict[str, Any]) -> DataLoader[Any, Any]:
    async def load(parents: list[Any]) -> list[Any]:
        try:
            return await loaded(batch, context, parents, arguments)
        except asyncio.CancelledError:  # aiodataloader would leave its waiters waiting for ever
            raise Abandoned("the operation was given up") from None

    return DataLoader(load, cache=False, get_cache_key=id)
