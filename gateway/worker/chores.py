"""Jobs that are not syncs: what a request left for the worker to do."""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from domain.commands import mailing
from domain.commands.password_reset import PASSWORD_RESET, receive_password_reset
from domain.commands.registration import REGISTRATION, receive_registration
from domain.commands.signing_in import FAILED, record_failed
from domain.errors import Unavailable
from domain.identity import UserId
from domain.mail import Undeliverable
from domain.ports import App

log = structlog.get_logger("dashtam.chores")

Chore = Callable[[App, UserId, Mapping[str, str]], Awaitable[None]]
"""Given whose identity it works in, and its payload. Raises Unavailable to be tried again, for a
day at most, at intervals that grow."""


async def mail(app: App, user_id: UserId, payload: Mapping[str, str]) -> None:
    try:
        await mailing.send(app, user_id, payload)
    except Undeliverable as refusal:
        log.warning("mail.given_up", template=payload["template"], reason=refusal.reason)
    except Unavailable as error:
        log.warning("mail.delayed", template=payload["template"], reason=str(error))
        raise
    else:
        log.info("mail.sent", template=payload["template"])


CHORES: Mapping[str, Chore] = {
    REGISTRATION: receive_registration,
    PASSWORD_RESET: receive_password_reset,
    mailing.MAIL: mail,
    FAILED: record_failed,
}
