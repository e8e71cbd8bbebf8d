"""What a selection comes to: sums of terms, each of which is multiplied by how long a list gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Condition: TypeAlias = tuple[str, bool]  # a variable, and what it has to be
Conditions: TypeAlias = tuple[Condition, ...]  # all of them


class CountsNeeded(Exception):
    """How many the viewer has of something has to be known first."""


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known as an operation is about to run: its variables, with their defaults, and how
    many the viewer has of what lists are of. `values` are of the sums that were worked out.
    """

    variables: Mapping[str, Any]
    counts: Mapping[str, int]
    values: dict[int, tuple[int, int]] = field(default_factory=dict)

    def includes(self, any_of: tuple[Conditions, ...]) -> bool:
        """A variable that is no boolean is none that runs, so it does not matter."""
        return any(all(self.variables.get(n, w) is w for n, w in each) for each in any_of)

    def count(self, own: str) -> int:
        """Raises CountsNeeded."""
        if own not in self.counts:
            raise CountsNeeded(own)
        return self.counts[own]


Factor: TypeAlias = int | Callable[[Known], int]


@dataclass(slots=True, kw_only=True)
class Term:
    """A field. `any_of`: it is there where one of these holds; None is always. `by` is what makes
    it as long as it is, as the client can say it. `weighs`, of a connection, is what each of its
    page costs at least, and None for other fields.
    """

    name: str
    factor: Factor
    below: "Sum | Dearest"
    any_of: tuple[Conditions, ...] | None
    weighs: int | None
    is_page: bool
    by: str

    def value(self, known: Known) -> int:
        if self.any_of is not None and not known.includes(self.any_of):
            return 0
        fixed, page = self.below.value(known)
        factor = self.times(known)
        if self.weighs is None:
            return factor * (fixed + page)
        return fixed + factor * max(page, self.weighs)

    def times(self, known: Known) -> int:
        return self.factor if isinstance(self.factor, int) else self.factor(known)


@dataclass(slots=True, kw_only=True)
class Sum:
    """Of one object, itself included where it has an id: what it costs, and what each of a page
    that is listed in it does."""

    weight: int
    terms: tuple[Term, ...] = ()

    def value(self, known: Known) -> tuple[int, int]:
        if not self.terms:
            return self.weight, 0
        found = known.values.get(id(self))
        if found is None:
            fixed, page = self.weight, 0
            for term in self.terms:
                if term.is_page:
                    page += term.value(known)
                else:
                    fixed += term.value(known)
            found = known.values[id(self)] = fixed, page
        return found

    def dearest(self, known: Known) -> Term | None:
        return max(self.terms, key=lambda term: term.value(known), default=None)


@dataclass(slots=True, kw_only=True)
class Dearest:
    """Of an object that is one of several types: the one that costs most."""

    choices: tuple[Sum, ...]

    def value(self, known: Known) -> tuple[int, int]:
        return max((choice.value(known) for choice in self.choices), key=sum, default=(0, 0))

    def dearest(self, known: Known) -> Term | None:
        most = max(self.choices, key=lambda choice: sum(choice.value(known)), default=None)
        return None if most is None else most.dearest(known)
