"""The formula of a selection: its fields merged by response name, and multiplied by their lists."""

from typing import Any, TypeAlias

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)

from gateway.cost.factors import factor_of
from gateway.cost.steps import Step, Steps
from gateway.cost.sums import Conditions, Dearest, Sum, Term

Set: TypeAlias = tuple[SelectionSetNode, Conditions]
Found: TypeAlias = tuple[str, FieldNode, Conditions]  # the first is its response name
Spread: TypeAlias = tuple[str, Conditions]
ALWAYS: Conditions = ()


class Compiling:
    """Of one document, which is valid: no fragment spreads itself, and fields of one response name
    have the same arguments."""

    def __init__(self, steps: Steps, document: DocumentNode) -> None:
        self._steps = steps
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._spread: dict[tuple[str, str, Conditions], list[Found]] = {}
        self._mentioned: dict[str, frozenset[str]] = {}
        self._sums: dict[tuple[object, ...], Sum | Dearest] = {}

    def root(self, type_name: str, operation: OperationDefinitionNode) -> Sum:
        return self._of_object(type_name, ((operation.selection_set, ALWAYS),), weight=0)

    def _below(self, type_name: str, sets: tuple[Set, ...]) -> Sum | Dearest:
        key = (type_name, *((id(node), conditions) for node, conditions in sets))
        known = self._sums.get(key)
        if known is None:
            if type_name in self._steps.abstract:
                known = self._of_any(type_name, sets)
            else:
                known = self._of_object(type_name, sets, self._steps.weights.get(type_name, 0))
            self._sums[key] = known
        return known

    def _of_object(self, type_name: str, sets: tuple[Set, ...], weight: int) -> Sum:
        groups: dict[str, dict[tuple[int, Conditions], FieldNode]] = {}
        for node, conditions in sets:
            for name, field, when in self._collect(type_name, node, conditions, [], set()):
                groups.setdefault(name, {})[id(field), when] = field
        steps = self._steps.fields.get(type_name, {})
        terms = tuple(self._term(steps, group) for group in groups.values())
        return Sum(weight=weight, terms=terms)

    def _of_any(self, type_name: str, sets: tuple[Set, ...]) -> Dearest:
        """Of the types that are named, and as one of all others, what the abstract one has."""
        possible = self._steps.possible[type_name]
        named = frozenset().union(*(self._names(node) for node, _ in sets)) & possible
        others = possible - named
        if others and not self._steps.fields.get(type_name):
            named |= frozenset(sorted(others, key=lambda t: -self._steps.weights[t])[:1])
        else:
            named = possible
        return Dearest(
            choices=tuple(
                self._of_object(each, sets, self._steps.weights[each]) for each in sorted(named)
            )
        )

    def _term(self, steps: Any, group: dict[tuple[int, Conditions], FieldNode]) -> Term:
        field = next(iter(group.values()))
        step: Step = steps[field.name.value]
        sets = tuple(
            (each.selection_set, when)
            for (_, when), each in group.items()
            if each.selection_set is not None
        )
        factor, by = factor_of(step, field)
        when = tuple(dict.fromkeys(conditions for _, conditions in group))
        return Term(
            name=step.name,
            factor=factor,
            below=self._below(step.of, sets),
            any_of=None if ALWAYS in when else when,
            weighs=None if step.first is None or step.is_list else step.weighs,
            is_page=step.size is not None and step.size.is_page,
            by=by,
        )

    def _collect(
        self,
        of: str,
        node: SelectionSetNode,
        when: Conditions,
        into: list[Found],
        seen: set[Spread],
    ) -> list[Found]:
        """Those that can lead to an object with an id, where the object is of this type."""
        steps, possible = self._steps.fields.get(of, {}), self._steps.possible
        for each in node.selections:
            conditions = _conditions(when, each) if each.directives else when
            if conditions is None:
                continue
            if isinstance(each, FieldNode):
                if each.name.value in steps:
                    into.append(((each.alias or each.name).value, each, conditions))
            elif isinstance(each, InlineFragmentNode):
                on = each.type_condition
                if on is None or of in possible[on.name.value]:
                    self._collect(of, each.selection_set, conditions, into, seen)
            elif isinstance(each, FragmentSpreadNode):
                spread = each.name.value, conditions
                if spread not in seen:
                    seen.add(spread)
                    into += self._of_fragment(of, *spread)
        return into

    def _of_fragment(self, type_name: str, name: str, when: Conditions) -> list[Found]:
        key = (name, type_name, when)
        found = self._spread.get(key)
        if found is None:
            fragment, found = self._fragments[name], []
            if type_name in self._steps.possible[fragment.type_condition.name.value]:
                each = self._collect(type_name, fragment.selection_set, when, [], set())
                found = [*{(n, id(f), c): (n, f, c) for n, f, c in each}.values()]
            self._spread[key] = found
        return found

    def _names(self, node: SelectionSetNode) -> frozenset[str]:
        """The types on which something of it depends."""
        names: set[str] = set()
        for each in node.selections:
            if isinstance(each, InlineFragmentNode):
                if each.type_condition is not None:
                    names.add(each.type_condition.name.value)
                names |= self._names(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                names |= self._names_of(each.name.value)
        return frozenset(names)

    def _names_of(self, name: str) -> frozenset[str]:
        known = self._mentioned.get(name)
        if known is None:
            fragment = self._fragments[name]
            known = self._names(fragment.selection_set) | {fragment.type_condition.name.value}
            self._mentioned[name] = known
        return known


def _conditions(when: Conditions, node: SelectionNode) -> Conditions | None:
    """With those of its own; None where it is left out whatever the variables are."""
    for directive in node.directives or ():
        wanted = {"include": True, "skip": False}.get(directive.name.value)
        value = _argument(directive)
        if wanted is None or value is None:
            continue
        if isinstance(value, BooleanValueNode):
            if value.value is not wanted:
                return None
        elif isinstance(value, VariableNode) and (value.name.value, wanted) not in when:
            when = (*when, (value.name.value, wanted))
    return when


def _argument(directive: DirectiveNode) -> Any:
    return next((each.value for each in directive.arguments or ()), None)
