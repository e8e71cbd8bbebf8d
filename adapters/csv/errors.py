"""What of a file cannot be read."""


class CsvError(ValueError):
    """The whole file; `line` counts from 1."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


class Illegible(ValueError):
    """One record of it."""
