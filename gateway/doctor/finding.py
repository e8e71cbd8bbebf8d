"""What the doctor says about one thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is None where all is well; without `stops` it works, but not as well as it could."""

    what: str
    mend: str | None = None
    stops: bool = True

    @property
    def is_bad(self) -> bool:
        return self.mend is not None and self.stops

    @property
    def word(self) -> str:
        return "bad" if self.is_bad else "ok" if self.mend is None else "note"

    @property
    def color(self) -> str:
        return {"ok": "green", "note": "yellow", "bad": "red"}[self.word]
