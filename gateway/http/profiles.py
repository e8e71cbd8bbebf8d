"""Which status and media type answer what: GraphQL over HTTP as it is audited, or its newer draft.

The audits of graphql-http are of the draft of 2025. That of August 2026 tells errors apart by more
statuses, and gives them to clients that know `application/json` alone as well, for whom only what
succeeded is relabelled; so nobody satisfies both.

|                                              | default, under response+json / json | 2026-08 |
|----------------------------------------------|-------------------------------------|---------|
| no JSON, no UTF-8, no text (NUL)             | 400 / 400                           | 400     |
| JSON that is no request                      | 400 / 400                           | 422     |
| a document that does not parse               | 400 / 200                           | 400     |
| that does not validate, is too complex, or   |                                     |         |
| is not there; which operation is not said    | 400 / 200                           | 422     |
| variables that do not coerce                 | 400 / 200                           | 422     |
| data beside errors                           | 200 / 200                           | 294     |

An event stream is 200 whatever is said of a document: its protocol has that in the stream. Both
answer 405 to a mutation by GET, as either says, and 422 to one by QUERY, as the draft of that
method wants it: QUERY itself is allowed (RFC 10008).
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.http.negotiation import EVENTS, LEGACY, RESPONSE
from gateway.operations.faults import Fault, Malformed
from gateway.settings import HttpProfile

UNREADABLE = frozenset({"GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT"})
PARTIAL_SUCCESS = 294


class Said(NamedTuple):
    """How an answer is sent."""

    media: str
    status: int


class Profile:
    """As it is audited."""

    def to_fault(self, fault: Fault, media: str | None) -> Said:
        """`media` is None where nothing that the client takes is spoken here."""
        return Said(media or LEGACY, fault.status)

    def to_refusal(self, code: str, media: str) -> Said:
        """Of a document, before it ran."""
        ok = media == EVENTS or (media == LEGACY and code != "BAD_USER_INPUT")
        return Said(media, 200 if ok else 400)

    def to_variables(self, media: str) -> Said:
        """That do not coerce."""
        return Said(media, 400 if media == RESPONSE else 200)

    def to_bug(self, media: str) -> Said:
        return Said(media, 500)

    def to_result(self, media: str, *, has_errors: bool) -> Said:
        return Said(media, 200)


class Draft(Profile):
    """As the draft of August 2026 has it."""

    def to_fault(self, fault: Fault, media: str | None) -> Said:
        return Said(RESPONSE, 422 if isinstance(fault, Malformed) else fault.status)

    def to_refusal(self, code: str, media: str) -> Said:
        if media == EVENTS:
            return Said(media, 200)
        return Said(RESPONSE, 400 if code in UNREADABLE else 422)

    def to_variables(self, media: str) -> Said:
        return Said(media, 200) if media == EVENTS else Said(RESPONSE, 422)

    def to_bug(self, media: str) -> Said:
        return Said(RESPONSE, 500)

    def to_result(self, media: str, *, has_errors: bool) -> Said:
        return Said(media, PARTIAL_SUCCESS if has_errors and media != EVENTS else 200)


AUDITED = Profile()
PROFILES: Mapping[HttpProfile, Profile] = {
    HttpProfile.DEFAULT: AUDITED,
    HttpProfile.DRAFT_2026_08: Draft(),
}
