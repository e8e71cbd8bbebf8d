"""From a document to what its operations cost: compiled once, worked out for each that runs.

What is selected twice under one response name is answered once, and so it is priced once: fields
are merged as the executor merges them. A fragment is looked through once for each type, however
often it is spread, so that the work is bounded by the fields that the guard has counted.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    OperationDefinitionNode,
    value_from_ast_untyped,
)

from gateway.cost.compiling import Compiling
from gateway.cost.steps import steps_of
from gateway.cost.sums import Known, Sum, Term

EAGER = 4  # operations of a document that are compiled as it is read; others as they first run


class Cost:
    """Of a valid document's operations."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._compiling = Compiling(steps_of(schema), document)
        self._operations = {
            (each.name.value if each.name else None): each
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        }
        self._formulas: dict[str | None, Sum] = {}
        self._defaults = {name: _defaults(each) for name, each in self._operations.items()}
        for name in [*self._operations][:EAGER]:
            self._formula(name)

    def price(
        self, name: str | None, variables: Mapping[str, Any] | None, counts: Mapping[str, int]
    ) -> int:
        """Of the operation of this name, or the only one, with the variables as they were sent.

        Raises:
            CountsNeeded: one of its lists is as long as what the viewer has, and `counts` does not
                say how many that are.
        """
        name = self._name(name)
        return sum(self._formula(name).value(self._known(name, variables, counts)))

    def dearest(
        self, name: str | None, variables: Mapping[str, Any] | None, counts: Mapping[str, int]
    ) -> str:
        """Which path costs most, and what makes it cheaper. Raises CountsNeeded."""
        name = self._name(name)
        known = self._known(name, variables, counts)
        path: list[Term] = []
        sums: Any = self._formula(name)
        while (term := sums.dearest(known)) is not None and term.value(known):
            path.append(term)
            sums = term.below
        where = ".".join(term.name for term in path)
        return f"The dearest is {where}: {_advice(path, known)}."

    def _name(self, name: str | None) -> str | None:
        return next(iter(self._operations)) if name is None else name

    def _formula(self, name: str | None) -> Sum:
        formula = self._formulas.get(name)
        if formula is None:
            operation = self._operations[name]
            root = self._schema.get_root_type(operation.operation)
            formula = Sum(weight=0) if root is None else self._compiling.root(root.name, operation)
            self._formulas[name] = formula
        return formula

    def _known(
        self, name: str | None, variables: Mapping[str, Any] | None, counts: Mapping[str, int]
    ) -> Known:
        return Known(variables=self._defaults[name] | dict(variables or {}), counts=counts)


def _advice(path: list[Term], known: Known) -> str:
    """The longest list is what there is most to save on."""
    longest = max(path, key=lambda term: term.times(known))
    times = longest.times(known)
    if not longest.by:
        return f"{longest.name} has up to {times}; leave out some of what is asked of each"
    what = "a smaller `first`" if longest.by == "first" else f"fewer by `{longest.by}`"
    return f"ask {longest.name} for {what}, which is {times} now, or for less of each"


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        each.variable.name.value: value_from_ast_untyped(each.default_value)
        for each in operation.variable_definitions or ()
        if each.default_value is not None
    }
