"""Which passwords may be chosen, by NIST SP 800-63B-4 §3.1.1.2.

Length counts and composition does not: what is refused is short, among the most common, or names
its owner, and the refusal says which. What was chosen under another rule still signs in.
"""

from collections.abc import Container
from itertools import pairwise
from unicodedata import normalize

from domain.errors import ErrorCode, Field, InvalidInput

LENGTH_MIN = 15  # in Unicode code points, as the maximum
LENGTH_MIN_WITH_SECOND_FACTOR = 8
LENGTH_MAX = 256
BYTES_MAX = 4 * LENGTH_MAX  # in UTF-8
OWN_NAME_MIN = 4  # shorter ones stand in too many words
DIGITS_AND_MARKS = "0123456789 -_.,:;!?@#$%^&*+=~/'\"()[]{}<>|\\`"


def new_password(
    said: str,
    *,
    email: str,
    common: Container[str],
    second_factor: bool = False,
    field: Field,
) -> str:
    """The password, if its owner may have it.

    `common` holds lower-case passwords. `second_factor`: signing in takes one besides.

    Raises:
        InvalidInput: WEAK_PASSWORD, saying why.
    """
    reason = _length(said, LENGTH_MIN_WITH_SECOND_FACTOR if second_factor else LENGTH_MIN)
    if reason is None:
        plain = normalize("NFKC", said).casefold()
        reason = _owned(plain, email) or _common(plain, common)
    if reason:
        raise InvalidInput(reason, field=field, code=ErrorCode.WEAK_PASSWORD)
    return said


def is_long(said: str) -> bool:
    """Whether its length suffices without a second factor."""
    return _characters(said) >= LENGTH_MIN


def _length(said: str, least: int) -> str | None:
    try:
        said.encode()
    except UnicodeEncodeError:
        return "a password is text: this one holds half a character"
    # First, since bringing a long text into a normal form can take minutes.
    if len(said) > LENGTH_MAX:
        return f"a password has at most {LENGTH_MAX} characters"
    if _characters(said) < least:
        return f"a password has at least {least} characters"
    return None


def _characters(said: str) -> int:
    """Shorter in the form that is hashed, it is as easy to guess as that."""
    return min(len(said), len(normalize("NFKC", said)))


def _owned(plain: str, email: str) -> str | None:
    address = normalize("NFKC", email).casefold()
    name = address.partition("@")[0]
    if address in plain:
        return "a password does not hold your own address"
    if len(name) >= OWN_NAME_MIN and name in plain:
        return "a password does not hold your own name"
    return None


def _common(plain: str, common: Container[str]) -> str | None:
    if len({ord(b) - ord(a) for a, b in pairwise(plain)}) == 1:
        return "that is a row of characters, which is guessed early"
    unit = _unit(plain)
    if len(unit) < min(len(plain), LENGTH_MIN_WITH_SECOND_FACTOR):
        return "that is one short thing again and again, which is guessed early"
    if plain in common or unit in common:
        return "that is one of the most common passwords"
    core = plain.strip(DIGITS_AND_MARKS)
    if core in common:
        return "that is one of the most common passwords, with something around it"
    if any(core[:at] in common and core[at:] in common for at in range(1, len(core))):
        return "that is two of the most common passwords in one"
    return None


def _unit(plain: str) -> str:
    """What it repeats, the last time perhaps not to the end; itself, where it repeats nothing."""
    return next(plain[:n] for n in range(1, len(plain) + 1) if plain[n:] == plain[: len(plain) - n])
