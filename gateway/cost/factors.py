"""How long a list gets, by the arguments of its field and by what the viewer has."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from graphql import (
    FieldNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)

from gateway.cost.steps import Step
from gateway.cost.sums import Factor, Known
from schema.paging import FIRST_MAX
from schema.sizes import Size


def factor_of(step: Step, node: FieldNode) -> tuple[Factor, str]:
    """And by what a client makes it smaller."""
    if step.first is not None:
        return _first(_argument(node, "first"), step.first), "first"
    if step.size is None:
        return 1, ""
    return _sized(step.size, node)


def _first(value: ValueNode | None, default: int) -> Factor:
    """Within what resolvers take, who refuse what is beyond; what is no number never runs."""
    if isinstance(value, VariableNode):
        name = value.name.value
        return lambda known: _bounded(known.variables.get(name), default)
    if isinstance(value, IntValueNode):
        return _bounded(int(value.value), default)
    return _bounded(None, default)


def _bounded(said: Any, default: int) -> int:
    if said is None:
        said = default
    if not isinstance(said, int | float) or not isfinite(said):
        return 1
    return max(1, min(int(said), FIRST_MAX))


def _sized(size: Size, node: FieldNode) -> tuple[Factor, str]:
    most = FIRST_MAX if size.most is None else size.most
    if size.is_page:
        return 1, ""
    if size.ids is None:
        return (most, "") if size.own is None else (_owned(size.own), "")
    path = size.ids
    named = _named(_argument(node, path[0]), path[1:])
    by = ".".join(path)
    if isinstance(named, int):
        return (named if size.own is None else _fewer(size.own, lambda _: named)), by
    if size.own is None:
        return (lambda known: FIRST_MAX if (n := named(known)) is None else n), by
    return _fewer(size.own, named), by


def _owned(own: str) -> Factor:
    return lambda known: known.count(own)


def _fewer(own: str, named: Callable[[Known], int | None]) -> Factor:
    def factor(known: Known) -> int:
        count, asked = known.count(own), named(known)
        return count if asked is None else min(count, asked)

    return factor


def _named(value: ValueNode | None, path: Sequence[str]) -> int | Callable[[Known], int | None]:
    """How many ids are given; a lone one is a list of one."""
    match value:
        case VariableNode():
            name = value.name.value
            return lambda known: _counted(_at(known.variables.get(name), path))
        case ObjectValueNode() if path:
            inner = [f.value for f in value.fields if f.name.value == path[0]]
            return _named(inner[0], path[1:]) if inner else lambda _: None
        case ListValueNode() if not path:
            return min(len(value.values), FIRST_MAX)
        case None | NullValueNode():
            return lambda _: None
    return 1


def _at(said: Any, path: Sequence[str]) -> Any:
    for name in path:
        said = said.get(name) if isinstance(said, dict) else None
    return said


def _counted(said: Any) -> int | None:
    if said is None:
        return None
    return min(len(said), FIRST_MAX) if isinstance(said, list) else 1


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    for argument in node.arguments or ():
        if argument.name.value == name:
            return argument.value
    return None
