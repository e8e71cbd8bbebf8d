"""Which way mail goes: by SMTP where a server is set, in development else into a folder."""

import structlog

from adapters.mail.files import MailFiles
from adapters.mail.letters import Letters
from adapters.mail.smtp import SmtpMail, server_of
from domain.ports import Mail
from gateway.settings import Settings, SettingsError

log = structlog.get_logger("dashtam.mail")

FOLDER = "mail"  # of the data directory


def mail_of(settings: Settings) -> Mail | None:
    """None where nothing can be mailed: then nobody registers, and the operator makes accounts.

    Raises:
        SettingsError: DASHTAM_SMTP_URL names no server.
    """
    letters = Letters(sender=settings.mail_from, base_url=settings.app_url or settings.public_url)
    if settings.smtp_url is not None:
        try:
            return SmtpMail(server_of(settings.smtp_url), letters)
        except ValueError as error:
            raise SettingsError(f"DASHTAM_SMTP_URL cannot be used: give {error}.") from None
    return MailFiles(settings.data_dir / FOLDER, letters) if settings.is_development else None


def say_where(mail: Mail | None) -> None:
    """At the start of whatever asks for mails, or sends them."""
    if mail is None:
        log.warning("mail.nowhere", reason="DASHTAM_SMTP_URL is not set: nobody can register")
