"""Limits of its own that a document may be published with, and what a gateway makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the shell needs the names alone, and what reads documents is slow to import
    from gateway.operations.guard import Limits

OWN = ("cost", "tokens", "fields", "depth", "aliases", "root_fields", "directives", "fragments")


def allowing(limits: "Limits", own: Mapping[str, int]) -> "Limits":
    """`limits`, but for what the document has its own of."""
    return replace(limits, **{name: most for name, most in own.items() if name in OWN})


def most_generous(each: Sequence[Mapping[str, int]], usual: Mapping[str, int]) -> dict[str, int]:
    """Of all who published the same text, where that is not what is usual: what any of them may,
    it may. Names that only a later release knows are left out."""
    if not any(each):
        return {}
    best = {name: max(own.get(name, most) for own in each) for name, most in usual.items()}
    return {name: most for name, most in best.items() if most != usual[name]}
