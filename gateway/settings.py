"""The environment, read once at start into one frozen record; never read at import.

Every name is `DASHTAM_` and the field's name in capitals; a limit is `DASHTAM_LIMIT_` and the
limit's. An empty value counts as absent.
"""
# ruff: noqa: RUF009 - `_of` is dataclasses.field

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.complaints import complaints

PREFIX = "DASHTAM_"
# Read by the tests and tools of a checkout, not by the gateway.
NOT_OURS = re.compile(r"DASHTAM_(TEST_\w+|WITHOUT_(NODE|BROWSER))")
PROVIDERS = ("sandbox", "schwab", "alpaca", "simplefin", "plaid", "chase", "file", "manual")
LOG_LEVELS = ("debug", "info", "warning", "error")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Parse = Callable[[str], Any]  # raises ValueError, whose words say what is right


class SettingsError(Exception):
    """The environment cannot be used: one sentence that says which name, and what is right."""


class Mode(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Documents(StrEnum):
    """What may run: any text; any text, counted; published documents only."""

    OPEN = "open"
    LOG = "log"
    TRUSTED = "trusted"


class HttpProfile(StrEnum):
    """Which GraphQL over HTTP is answered: the one the audits test, or the newer draft."""

    DEFAULT = "default"
    DRAFT_2026_08 = "2026-08"


@dataclass(frozen=True, slots=True)
class Argon2:
    """The cost of a password hash; the default is OWASP's first recommendation."""

    memory_kib: int = 19_456
    iterations: int = 2
    parallelism: int = 1

    def __str__(self) -> str:
        return f"m={self.memory_kib},t={self.iterations},p={self.parallelism}"


def _one_of(names: Iterable[str]) -> Parse:
    known = tuple(names)

    def parse(text: str) -> str:
        if text not in known:
            nearest = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0)
            raise ValueError(f"one of {', '.join(known)}; the nearest is {str(nearest[0])!r}")
        return text

    return parse


def _member(kind: type[StrEnum]) -> Parse:
    known = _one_of(kind)
    return lambda text: kind(known(text))


def _list_of(item: Parse) -> Parse:
    return lambda text: tuple(item(part.strip()) for part in text.split(",") if part.strip())


def _whole(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else -1
        if not low <= number <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return number

    return parse


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _url(*schemes: str, example: str, bare: bool = False) -> Parse:
    """A URL of these schemes; `bare` is one of scheme, host and port only, without a last slash."""

    def parse(text: str) -> str:
        wrong = ValueError(f"a URL such as {example}")
        try:
            parts = urlsplit(text)
            bad = parts.scheme not in schemes or not (parts.netloc or parts.query or parts.path)
            bad |= parts.port == 0
        except ValueError:
            raise wrong from None
        beyond = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if bad or (bare and (beyond or not parts.hostname)):
            raise wrong
        return text.rstrip("/") if bare else text

    return parse


def _database(text: str) -> str:
    # SQLAlchemy's spelling of the same thing; each of our libraries gets its own from this one.
    plain = re.sub(r"^postgres(ql)?(\+asyncpg)?://", "postgresql://", text)
    return str(_url("postgresql", example="postgresql://user:password@host/dashtam")(plain))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("addresses or networks such as 10.0.0.0/8, separated by commas") from None


def _folder(text: str) -> Path:
    if re.match(r"\w[\w+.-]*://", text):
        raise ValueError(
            "a folder: nothing here speaks to an object store, but one can be mounted as a folder"
        )
    return Path(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?[\w-]+(\.[\w-]+)*(:\d+)?", text, re.ASCII):
        raise ValueError("host names such as bridge.simplefin.org or *.simplefin.org")
    return text.lower()


def _address(text: str) -> str:
    if not re.fullmatch(r"[^@\r\n]+@[^@\s]+", text):
        raise ValueError("an address such as dashtam@example.com")
    return text


def _argon2(text: str) -> Argon2:
    found = re.fullmatch(r"m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})", text, re.ASCII)
    cost = Argon2(*map(int, found.groups())) if found else Argon2(0, 0, 0)
    if cost.memory_kib < 8 * cost.parallelism or not cost.iterations or not cost.parallelism:
        raise ValueError(f"a cost such as {Argon2()}, memory in KiB")
    return cost


def _of(parse: Parse, default: Any = None, *, develop: Any = None, secret: bool = False) -> Any:
    """A field of Settings; `develop` is its default in development, where that differs."""
    return field(default=default, repr=not secret, metadata={"parse": parse, "develop": develop})


_web = _url("https", "http", example="https://money.example.com", bare=True)


def _origin(text: str) -> str:
    """Of a browser's page; or the scheme of an app, as com.example.app: (RFC 8252, 7.1)."""
    if re.fullmatch(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:/?", text):
        return text.rstrip("/")
    return str(_web(text))


_count = _whole(1, 1_000_000_000)
_port = _whole(1, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFigures:
    """Every figure of "Limits, cost and errors"; a rate is per the period given there."""

    points: int = _of(_count, 100_000)
    sign_in_account: int = _of(_count, 10)
    sign_in_address: int = _of(_count, 100)
    register: int = _of(_count, 10)
    verify: int = _of(_count, 10)
    reset: int = _of(_count, 10)
    refresh: int = _of(_count, 60)
    connect: int = _of(_count, 10)
    sync: int = _of(_count, 30)
    tokens: int = _of(_count, 2_000)
    fields: int = _of(_count, 1_000)
    depth: int = _of(_count, 15)
    aliases: int = _of(_count, 30)
    root_fields: int = _of(_count, 20)
    directives: int = _of(_count, 50)
    fragments: int = _of(_count, 60)
    introspection_depth: int = _of(_count, 16)
    cost: int = _of(_count, 50_000)
    body: int = _of(_count, 1_048_576)  # bytes
    operations: int = _of(_count, 256)  # in flight in one process
    sockets: int = _of(_count, 2_000)  # open in one process


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    mode: Mode = _of(_member(Mode), Mode.PRODUCTION)
    database_url: str | None = _of(_database, secret=True)  # the runtime role's
    migrations_url: str | None = _of(_database, secret=True)  # the owner's; else database_url
    pg_bin: Path | None = _of(Path)
    db_read_pool: int = _of(_whole(1, 1_000), 10)
    db_write_pool: int = _of(_whole(1, 1_000), 10)
    redis_url: str | None = _of(
        _url(
            *("redis", "rediss", "unix"),
            example="redis://host:6379/0",
        ),
        secret=True,
    )
    host: str = _of(str, "127.0.0.1")
    port: int = _of(_port, 8_000)
    ops_port: int | None = _of(_port)
    public_url: str = _of(_web, "")  # else http://127.0.0.1 and the port
    app_url: str | None = _of(_web)
    allowed_origins: tuple[str, ...] = _of(_list_of(_origin), ())
    trusted_proxies: tuple[Network, ...] = _of(_list_of(_network), ())
    data_dir: Path = _of(Path, Path(".dashtam"))
    keyring: Path | None = _of(Path)
    providers: tuple[str, ...] = _of(_list_of(_one_of(PROVIDERS)), PROVIDERS[1:], develop=PROVIDERS)
    rates_url: str | None = _of(_url("https", "http", example="https://rates.example.com/daily"))
    audit_checkpoints: Path | None = _of(_folder)  # else in the data directory
    documents: Documents = _of(_member(Documents), Documents.TRUSTED, develop=Documents.OPEN)
    http_profile: HttpProfile = _of(_member(HttpProfile), HttpProfile.DEFAULT)
    graphiql: bool = _of(_switch, False, develop=True)
    debug: bool = _of(_switch, False, develop=True)
    smtp_url: str | None = _of(
        _url("smtp", "smtps", example="smtps://user:password@host:465"), secret=True
    )
    mail_from: str = _of(_address, "dashtam@localhost")
    geoip_db: Path | None = _of(Path)
    argon2: Argon2 = _of(_argon2, Argon2())
    session_limit: int = _of(_whole(1, 1_000), 10)
    schwab_client_id: str | None = _of(str)
    schwab_client_secret: str | None = _of(str, secret=True)
    schwab_base_url: str = _of(_web, "https://api.schwabapi.com")
    alpaca_client_id: str | None = _of(str)
    alpaca_client_secret: str | None = _of(str, secret=True)
    alpaca_base_url: str = _of(_web, "https://api.alpaca.markets")
    simplefin_hosts: tuple[str, ...] = _of(_list_of(_host), ("*.simplefin.org",))
    simplefin_window_days: int = _of(_whole(1, 366), 60)
    plaid_client_id: str | None = _of(str)
    plaid_secret: str | None = _of(str, secret=True)
    plaid_base_url: str = _of(
        _web, "https://production.plaid.com", develop="https://sandbox.plaid.com"
    )
    log_level: str = _of(_one_of(LOG_LEVELS), "info")
    limits: LimitFigures = field(default_factory=LimitFigures)

    @classmethod
    def read(cls, environ: Mapping[str, str], **overrides: Any) -> "Settings":
        """The settings of this environment; an override that is not None goes before it.

        Raises:
            SettingsError: an unknown name, a bad value, or what the mode does not allow.
        """
        given = {name: text for name, text in environ.items() if name.startswith(PREFIX) and text}
        _refuse_unknown(given)
        known = {name: value for name, value in overrides.items() if value is not None}
        mode = known.get("mode") or _read(Settings, PREFIX, given, Mode.PRODUCTION).get("mode")
        values = _read(cls, PREFIX, given, mode or Mode.PRODUCTION) | known
        if "limits" not in known:
            figures = _read(LimitFigures, PREFIX + "LIMIT_", given, Mode.PRODUCTION)
            values["limits"] = LimitFigures(**figures)
        settings = _complete(cls(**values))
        for complaint in complaints(settings):
            raise SettingsError(complaint)
        return settings

    @property
    def is_development(self) -> bool:
        return self.mode is Mode.DEVELOPMENT

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints of the audit log are."""
        return self.audit_checkpoints or self.data_dir / "audit"


def _complete(s: Settings) -> Settings:
    """The settings, with what follows from other settings."""
    return replace(
        s,
        migrations_url=s.migrations_url or s.database_url,
        public_url=s.public_url or f"http://127.0.0.1:{s.port}",
        keyring=s.keyring or (s.data_dir / "keyring.json" if s.is_development else None),
    )


def _read(kind: type, prefix: str, given: Mapping[str, str], mode: Mode) -> dict[str, Any]:
    """What the environment says for the fields of `kind`, and the defaults of the mode."""
    values: dict[str, Any] = {}
    for setting in (f for f in fields(kind) if "parse" in f.metadata):
        name = prefix + setting.name.upper()
        if name in given:
            try:
                values[setting.name] = setting.metadata["parse"](given[name])
            except ValueError as error:
                shown = f"is {given[name]!r}" if setting.repr else "cannot be used"
                raise SettingsError(f"{name} {shown}: give {error}.") from None
        elif mode is Mode.DEVELOPMENT and setting.metadata["develop"] is not None:
            values[setting.name] = setting.metadata["develop"]
    return values


def _refuse_unknown(given: Mapping[str, str]) -> None:
    known = [PREFIX + f.name.upper() for f in fields(Settings) if "parse" in f.metadata]
    known += [PREFIX + "LIMIT_" + f.name.upper() for f in fields(LimitFigures)]
    for name in given:
        if name not in known and not NOT_OURS.fullmatch(name):
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SettingsError(f"{name} is not a setting: the nearest is {nearest}.")
