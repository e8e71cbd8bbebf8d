"""Mail: queued in the transaction that causes it, sent by the worker.

A job holds no secret in clear: what must not be read in the database is sealed for that one job.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.errors import Unavailable
from domain.identity import NOBODY, Actor, Role, User, UserId, new_id
from domain.mail import MAIL_KEPT_TRYING, Letter, Template, Undeliverable
from domain.ports import App
from domain.sealing import Place, bound_to
from domain.secret import Secret
from domain.storage.work import Work

MAIL = "mail"  # the job's name


def notify(work: Work, user: User, template: Template, *, at: datetime, **values: str) -> None:
    """Mail `user` what happened `at`, once this commits. No value is a secret."""
    _queue(work, Queued(template, at, values, None), key=new_id())


def send_token(app: App, work: Work, mailed: "MailedToken") -> None:
    """Mail a token to the user of this unit of work, unless it has expired by then."""
    key = new_id()
    said = {"token": mailed.token.reveal(), "expires_at": mailed.expires_at.isoformat()}
    sealed = seal_job(app, mailed.user_id, key, said)
    _queue(work, Queued(mailed.template, mailed.at, {}, sealed), key=key)


def say_goodbye(app: App, work: Work, email: str, *, at: datetime, **values: str) -> None:
    """Tell an address that its account is gone; the job is nobody's, since the user is gone."""
    key = new_id()
    sealed = seal_job(app, NOBODY, key, {"to": email, "values": values})
    _queue(work, Queued(Template.ACCOUNT_DELETED, at, {}, sealed), key=key, of=NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailedToken:
    user_id: UserId
    template: Template
    token: Secret
    expires_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    template: Template
    at: datetime
    values: Mapping[str, str]
    sealed: str | None


def _queue(work: Work, mail: Queued, *, key: UUID, of: UserId | None = None) -> None:
    payload = {
        "id": str(key),
        "template": mail.template.value,
        "at": mail.at.isoformat(),
        "values": json.dumps(dict(mail.values)),
    }
    if mail.sealed is not None:
        payload["sealed"] = mail.sealed
    work.later(MAIL, key=str(key), payload=payload, of=of)


def seal_job(app: App, user_id: UserId, id: UUID, said: Mapping[str, Any]) -> str:
    """What a job may carry of this: it opens for that job of that user only."""
    place = bound_to(Place.JOB, user_id, id)
    return b64encode(app.vault.seal(json.dumps(said).encode(), context=place)).decode()


def opened_job(app: App, user_id: UserId, payload: Mapping[str, str]) -> Mapping[str, Any]:
    """Raises Unsealable."""
    place = bound_to(Place.JOB, user_id, UUID(payload["id"]))
    said: dict[str, Any] = json.loads(app.vault.open(b64decode(payload["sealed"]), context=place))
    return said


async def send(app: App, user_id: UserId, payload: Mapping[str, str]) -> None:
    """Send what one of the above queued: at least once, as a crash may come before it is noted.

    Raises:
        NotFound: the user is gone.
        Unavailable: not now.
        Undeliverable: never; too old, expired, refused for good, or there is no mail server.
    """
    if app.mail is None:
        raise Undeliverable("there is no mail server: set DASHTAM_SMTP_URL")
    at = datetime.fromisoformat(payload["at"])
    said = opened_job(app, user_id, payload) if "sealed" in payload else {}
    expires_at = said.get("expires_at")
    if expires_at is not None and datetime.fromisoformat(expires_at) <= app.now():
        raise Undeliverable("the token in it has expired")
    letter = Letter(
        id=UUID(payload["id"]),
        to=said["to"] if "to" in said else await _address(app, user_id),
        template=Template(payload["template"]),
        at=at,
        values=json.loads(payload["values"]) | said.get("values", {}),
        token=Secret(said["token"]) if "token" in said else None,
    )
    try:
        await app.mail.send(letter)
    except Unavailable as error:
        if app.now() - at > MAIL_KEPT_TRYING:
            raise Undeliverable("no mail server took it for a day") from error
        raise


async def _address(app: App, user_id: UserId) -> str:
    """Where the user gets mail now; nobody asked for it, so the audit log has no entry."""
    async with app.store.begin(Actor(user_id=user_id, role=Role.USER), None) as work:
        return (await work.users.get()).email
