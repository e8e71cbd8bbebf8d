"""Whether mail can be sent: nobody registers or replaces a forgotten password without."""

from collections.abc import AsyncIterator

from adapters.mail.smtp import SmtpMail
from domain.errors import Unavailable
from gateway.doctor.finding import Finding
from gateway.settings import Settings, SettingsError
from gateway.wiring.mail import FOLDER, mail_of


async def sent(settings: Settings) -> AsyncIterator[Finding]:
    try:
        mail = mail_of(settings)
    except SettingsError as error:
        yield Finding("mail", str(error))
        return
    if mail is None:
        yield Finding(
            "no mail is sent: nobody registers, or replaces a forgotten password",
            "set DASHTAM_SMTP_URL and DASHTAM_MAIL_FROM, or make people with `dashtam user create`",
            stops=False,
        )
    elif not isinstance(mail, SmtpMail):
        yield Finding(f"mails are written to {settings.data_dir / FOLDER}")
    else:
        yield await _greeted(mail, settings)


async def _greeted(mail: SmtpMail, settings: Settings) -> Finding:
    try:
        await mail.greet()
    except Unavailable as error:
        return Finding(f"{error}", "look at DASHTAM_SMTP_URL: its host, port, user and password")
    return Finding(f"the mail server takes mails from {settings.mail_from}")
