"""What signed-out requests about an address leave to the worker, and the tokens that it mails.

The request does for a known address what it does for an unknown one: it leaves a job of nobody's.
What differs is done by the worker, which nobody waits for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain.commands.mailing import MailedToken, opened_job, seal_job, send_token
from domain.errors import ErrorCode, Field, InvalidInput, NotFound, NotPermitted
from domain.identity import NOBODY, Actor, Role, User, UserId, new_id
from domain.mail import RESET_LIFETIME, VERIFY_LIFETIME, EmailToken, Purpose, Template
from domain.ports import App
from domain.secret import Secret
from domain.storage.work import Work

LIFETIMES = {Purpose.VERIFY: VERIFY_LIFETIME, Purpose.RESET: RESET_LIFETIME}
LETTERS = {Purpose.VERIFY: Template.VERIFY_EMAIL, Purpose.RESET: Template.RESET_PASSWORD}


def needs_mail(app: App) -> None:
    """Nobody is told to look into a mailbox that nothing will come into."""
    if app.mail is None:
        raise NotPermitted("this gateway sends no mail: its operator makes accounts and passwords")


def leave(app: App, work: Work, job: str, actor: Actor, said: Mapping[str, str]) -> None:
    """Leave a job for the worker, with where the request came from."""
    id = new_id()
    origin = {"ip_address": actor.ip_address, "trace_id": actor.trace_id}
    sealed = seal_job(app, NOBODY, id, {**said, **origin})
    work.later(job, key=str(id), payload={"id": str(id), "sealed": sealed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A job about an address: of `known`, or of nobody, and then `actor` is of a user to be."""

    id: UUID
    actor: Actor
    email: str
    known: User | None
    said: Mapping[str, str] = field(repr=False)
    at: datetime


async def left(app: App, payload: Mapping[str, str]) -> Left:
    """Raises Unsealable."""
    said = opened_job(app, NOBODY, payload)
    found = await app.doors.user_by_email(said["email"])
    return Left(
        id=UUID(payload["id"]),
        actor=Actor(
            user_id=UserId(new_id()) if found is None else found.user.id,
            role=Role.USER if found is None else found.user.role,
            ip_address=said["ip_address"],
            trace_id=said["trace_id"],
        ),
        email=said["email"],
        known=None if found is None else found.user,
        said=said,
        at=app.now(),
    )


async def mail_token(
    app: App, work: Work, job: Left, purpose: Purpose, *, password_hash: str | None = None
) -> None:
    """Make a token for the user of this unit of work; none where this job has done so before."""
    if await work.email_tokens.has(job.id):
        return
    secret = Secret(app.tokens.new_secret())
    token = EmailToken(
        user_id=job.actor.user_id,
        id=job.id,
        purpose=purpose,
        digest=app.tokens.digest(secret.reveal()),
        created_at=job.at,
        expires_at=job.at + LIFETIMES[purpose],
        password_hash=password_hash,
    )
    await work.email_tokens.add(token)
    mailed = MailedToken(
        user_id=token.user_id,
        template=LETTERS[purpose],
        token=secret,
        expires_at=token.expires_at,
        at=job.at,
    )
    send_token(app, work, mailed)


# ── redeeming them ──────────────────────────────────────────────────────────


async def actor_of_email_token(app: App, token: str, origin: Actor) -> Actor:
    """Whose token it is, in the place of `origin`; that, where it is not known."""
    found = await app.doors.user_by_email_token(app.tokens.digest(token))
    if found is None:
        return origin
    return replace(origin, user_id=found[0], role=found[1])


async def owner_of_token(work: Work, actor: Actor, field: Field, *, lock: bool = False) -> User:
    """Raises InvalidInput: TOKEN_INVALID."""
    if actor.user_id == NOBODY:
        raise _invalid(field)
    try:
        return await work.users.get(lock=lock)
    except NotFound:  # deleted meanwhile
        raise _invalid(field) from None


async def redeemable(
    work: Work, digest: bytes, purpose: Purpose, at: datetime, field: Field
) -> EmailToken:
    """Raises InvalidInput: TOKEN_INVALID, TOKEN_EXPIRED."""
    token = await work.email_tokens.by_digest(digest)
    if token is None or token.purpose is not purpose:
        raise _invalid(field)
    if token.expires_at <= at:
        raise InvalidInput(
            "this link has expired: ask for a new one", field=field, code=ErrorCode.TOKEN_EXPIRED
        )
    return token


def _invalid(field: Field) -> InvalidInput:
    return InvalidInput(
        "this link is not, or no longer, good", field=field, code=ErrorCode.TOKEN_INVALID
    )
