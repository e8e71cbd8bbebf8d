"""A WHERE, made of constant pieces."""


class Clauses:
    """What a statement asks, and its arguments, the viewer first.

    Only what restricts is said, so that the planner sees what the statement means; the text is
    the same for each set of restrictions, whatever their values. Pieces are ours, never input.
    """

    def __init__(self, *arguments: object) -> None:
        self.arguments = [*arguments]
        self._said: list[str] = []

    def argument(self, value: object) -> str:
        """`$n`, by which a piece names this value."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, piece: str, *values: object) -> None:
        """`{0}`, `{1}` in `piece` stand for the values."""
        self._said.append(piece.format(*map(self.argument, values)))

    def __str__(self) -> str:
        return "".join(f" AND {piece}" for piece in self._said)
