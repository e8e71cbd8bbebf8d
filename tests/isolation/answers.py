"""Looking through an answer for what is not its asker's: words, figures, addresses and ids."""

import base64
import re
from binascii import Error
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from domain.identity import Role
from tests.isolation.books import Books
from tests.isolation.drawing import UUIDS
from tests.isolation.people import Person
from tests.isolation.planted import MAIL_WORD, WORD, Marks

ENCODED = re.compile(r'"([A-Za-z0-9+/_-]{16,400}={0,2})"')
GLOBAL = re.compile(r"^(\w+):([0-9a-f-]{36})$")
# What a command was about, as the log has it: of a stranger's id no more than that it was said.
RESOURCE = re.compile(r'resource":"\w+:([0-9a-f-]{36})"')
ADDRESS = re.compile(r"10\.\d{1,3}\.\d{1,3}\.\d{1,3}")
# Where an administrator is shown what is of others: their addresses, and what the log says.
ADMINISTRATION = ("Query.admin", "Mutation.setRole")
A_USER = re.compile(r'"User_email":"[^"]*"|^User:.*$', re.MULTILINE)  # by `node`, which finds them


class Leak(AssertionError):
    """Something of one person was given to another, or changed by another."""


class Seen:
    """Every id that was ever given to anyone, and whose it is."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._owners: dict[UUID, UUID] = {}
        self.digits: dict[str, UUID] = {}  # of all who ever were

    def planted(self, user_id: UUID, marks: Marks) -> None:
        self.digits[marks.digits] = user_id

    async def check(self, text: str, *, at: str, to: Person | None) -> None:
        """Raises Leak. `to` is None signed out, and then nothing of anybody may be there."""
        if to is not None:
            text = RESOURCE.sub(lambda one: "" if UUID(one[1]) in to.said else one[0], text)
        whole = "\n".join((text, *decoded(text)))
        is_admin = to is not None and to.role is Role.ADMIN
        administers = is_admin and at in ADMINISTRATION
        whole = A_USER.sub("", whole) if is_admin else whole
        mine = set() if to is None else {to.marks.word}
        _only(mine, map(str.lower, WORD.findall(whole)), at, "a word")
        if not administers:
            mine = set() if to is None else {to.marks.mail_word}
            _only(mine, map(str.lower, MAIL_WORD.findall(whole)), at, "an address")
            mine = set() if to is None else {to.marks.ip, *to.visitors}
            _only(mine, ADDRESS.findall(whole), at, "an IP")
        for digits, whose in self.digits.items():
            if digits in whole and (to is None or whose != to.user_id):
                raise Leak(f"{at} gave an amount of another: {digits}")
        await self._check_ids(whole, at=at, to=to, administers=administers)

    async def _check_ids(
        self, whole: str, *, at: str, to: Person | None, administers: bool
    ) -> None:
        found = {UUID(id) for id in UUIDS.findall(whole)}
        if new := found - self._owners.keys():
            self._owners |= await self._books.owners([*new])
        if administers:
            return
        for id in found:
            owner = self._owners.get(id)
            if owner is not None and (to is None or owner != to.user_id):
                raise Leak(f"{at} gave an id of another: {id}")


def _only(mine: set[str], found: Iterable[str], at: str, what: str) -> None:
    if foreign := {*found} - mine:
        raise Leak(f"{at} gave {what} of another: {foreign}")


def ids_in(text: str) -> set[UUID]:
    """Said as they are, or in ids and cursors."""
    return {UUID(id) for id in UUIDS.findall("\n".join((text, *decoded(text))))}


def decoded(text: str) -> Iterator[str]:
    """What ids and cursors in it say."""
    return filter(None, (_plain(one) for one in {*ENCODED.findall(text)}))


@lru_cache(maxsize=50_000)
def _plain(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, b"-_" if {*"-_"} & {*encoded} else None).decode()
    except (ValueError, Error):
        return ""


def global_ids(text: str) -> Iterator[tuple[str, str]]:
    """Kind and id, of each that is in an answer."""
    for one in {*ENCODED.findall(text)}:
        if (found := GLOBAL.match(_plain(one))) is not None:
            yield found[1], one


def cursors(said: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """By the name of their list."""
    if isinstance(said, list):
        for one in said:
            yield from cursors(one, name)
    elif isinstance(said, dict):
        for key, value in said.items():
            if key in ("cursor", "endCursor", "startCursor") and isinstance(value, str):
                yield name, value
            else:
                inner = name if key in ("edges", "pageInfo") else key.rpartition("_")[2]
                yield from cursors(value, inner)


def codes(said: dict[str, Any]) -> Sequence[str]:
    return [error["extensions"]["code"] for error in said.get("errors", ())]
