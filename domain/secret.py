"""A text that may be used and never be shown."""

import hmac
from collections.abc import Iterator, Mapping
from typing import NoReturn, final

SHOWN = "***"


@final
class Secret:
    """A password, token, key or URL with one in it; only `reveal` gives it.

    repr, str, format and every log say `***`. What would write down or carry away its inside
    refuses: pickle, and JSON by json and msgspec. No dataclass, because encoders look into those.
    """

    __slots__ = ("__said",)

    def __init__(self, said: str) -> None:
        self.__said = said

    def reveal(self) -> str:
        """The text itself, for the one call that needs it; keep no name for it."""
        return self.__said

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __eq__(self, other: object) -> bool:
        """Takes as long wherever two differ."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self), _bytes(other))

    def __hash__(self) -> int:
        return hash((Secret, self.__said))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        """It cannot change, and dataclasses.asdict copies what it meets."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled")


@final
class Secrets(Mapping[str, str]):
    """Secrets by name, such as a provider's credentials: whoever uses one asks for it.

    The names are shown, and of the values nothing; neither is pickled or encoded.
    """

    __slots__ = ("__said",)

    def __init__(self, said: Mapping[str, str]) -> None:
        self.__said = dict(said)

    def __getitem__(self, name: str) -> str:
        return self.__said[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__said)

    def __len__(self) -> int:
        return len(self.__said)

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{name!r}: {SHOWN}' for name in self.__said)}}}"

    def __copy__(self) -> "Secrets":
        return self

    def __deepcopy__(self, memo: object) -> "Secrets":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets are not pickled")


def _bytes(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")
