"""Why a file, or a field of one, was refused."""


class OfxError(ValueError):
    """The file as a whole is refused; nothing of it was read.

    `reason` is for the owner's eyes, `line` is 1-based (1 where the fault has no place).
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(f"{reason} (line {line})")
        self.reason = reason
        self.line = line


class Illegible(ValueError):
    """One field cannot be read; its record becomes an `Unreadable` and the others go on."""
