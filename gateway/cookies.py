"""What clients keep for us: the session's cookie, and by what a device is known again."""

from datetime import timedelta

from starlette.requests import HTTPConnection

from adapters.security.devices import LIFETIME as DEVICE_LIFETIME
from domain.identity import SESSION_LIFETIME

DEVICE = "dashtam-device"  # a header, of answers and requests
DEVICE_CHARS_MAX = 200

Header = tuple[str, str]


class Cookies:
    """`secure`: clients come by https, so they are `__Host-` ones."""

    def __init__(self, *, secure: bool) -> None:
        self.session = "__Host-dashtam" if secure else "dashtam"
        self.device = f"{self.session}-device"
        self._secure = secure

    def set_session(self, secret: str) -> Header:
        return self._set(self.session, secret, SESSION_LIFETIME)

    def clear_session(self) -> Header:
        return self._set(self.session, "", timedelta())

    def known_device(self, value: str, *, cookie: bool) -> Header:
        """For a client that keeps cookies, and for one that keeps tokens."""
        return self._set(self.device, value, DEVICE_LIFETIME) if cookie else (DEVICE, value)

    def device_of(self, connection: HTTPConnection) -> str | None:
        """By which a client that signed in before says so; whether it is, the sign-in asks."""
        said = connection.headers.get(DEVICE) or connection.cookies.get(self.device)
        return said[:DEVICE_CHARS_MAX] if said else None

    def _set(self, name: str, value: str, age: timedelta) -> Header:
        age_s, secure = int(age.total_seconds()), "; Secure" if self._secure else ""
        cookie = f"{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"
        return "set-cookie", cookie


def cookie_said(name: str, cookies: str) -> str:
    """One of a header's cookies, found quickly among any number of them, and not parsed."""
    return cookies.partition(f"{name}=")[2].partition(";")[0]
