"""The environment becomes one frozen record, or one sentence that says what to mend."""

import dataclasses
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.providers.kit import checked
from domain.errors import InvalidInput
from gateway.settings import Argon2, Documents, HttpProfile, Mode, Settings, SettingsError
from gateway.wiring.outside import private_of, returns_of

PRODUCTION = {
    "DASHTAM_DATABASE_URL": "postgresql://app:hunter2@db/dashtam",
    "DASHTAM_KEYRING": "/etc/dashtam/keyring.json",
}
DEVELOPMENT = {"DASHTAM_MODE": "development"}


def production(**more: str) -> Settings:
    return Settings.read(PRODUCTION | {f"DASHTAM_{name}": value for name, value in more.items()})


def development(**more: str) -> Settings:
    return Settings.read(DEVELOPMENT | {f"DASHTAM_{name}": value for name, value in more.items()})


def test_production_is_the_default_and_is_strict() -> None:
    settings = production()

    assert settings.mode is Mode.PRODUCTION
    assert (settings.graphiql, settings.debug) == (False, False)
    assert settings.documents is Documents.TRUSTED
    assert "sandbox" not in settings.providers
    assert settings.migrations_url == settings.database_url


def test_development_needs_nothing_and_keeps_to_this_machine() -> None:
    settings = development()

    assert (settings.graphiql, settings.debug, settings.host) == (True, True, "127.0.0.1")
    assert settings.documents is Documents.OPEN
    assert settings.providers[0] == "sandbox"
    assert settings.keyring == Path(".dashtam/keyring.json")
    assert settings.public_url == "http://127.0.0.1:8000"


def test_an_override_goes_before_the_environment_unless_it_is_none() -> None:
    settings = Settings.read(DEVELOPMENT | {"DASHTAM_PORT": "9000"}, port=9001, data_dir=None)

    assert (settings.port, settings.public_url) == (9001, "http://127.0.0.1:9001")
    assert settings.data_dir == Path(".dashtam")
    assert Settings.read({}, mode=Mode.DEVELOPMENT).graphiql


def test_an_app_is_returned_to_where_it_is_named_or_in_development() -> None:
    app, web = "com.example.app:/done", "https://app.example.com/done"
    named = production(ALLOWED_ORIGINS="https://app.example.com,com.example.app:/")

    assert named.allowed_origins == ("https://app.example.com", "com.example.app:")
    assert (returns_of(named).checked(app), returns_of(named).checked(web)) == (app, web)
    assert returns_of(Settings.read(DEVELOPMENT)).checked(app) == app
    own = production(APP_URL="https://app.example.com")
    assert returns_of(own).checked(web) == web
    with pytest.raises(InvalidInput):
        returns_of(own).checked(app)


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://LOCALHOST:80", "https://Box:443"])
def test_a_provider_of_ones_own_is_reached_in_development_however_it_is_written(url: str) -> None:
    settings = development(SCHWAB_BASE_URL=url)
    assert checked(settings.schwab_base_url, private_of(settings)).host == urlsplit(url).hostname
    assert private_of(production(SCHWAB_BASE_URL="https://api.example.com")) == frozenset()


def test_every_kind_of_value_is_read() -> None:
    settings = production(
        ALLOWED_ORIGINS="https://app.example.com, https://m.example.com:8443/",
        TRUSTED_PROXIES="10.0.0.0/8,::1",
        ARGON2="m=65536,t=3,p=4",
        HTTP_PROFILE="2026-08",
        GRAPHIQL="on",
        PROVIDERS="sandbox,file",
        LIMIT_COST="7",
        OPS_PORT="9100",
        REDIS_URL="unix:///run/redis.sock",
        DATABASE_URL="postgresql+asyncpg://app:x@/dashtam?host=/run/pg",
    )

    assert settings.allowed_origins == ("https://app.example.com", "https://m.example.com:8443")
    assert settings.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1"),
    )
    assert settings.argon2 == Argon2(65_536, 3, 4)
    assert settings.http_profile is HttpProfile.DRAFT_2026_08
    assert settings.graphiql is True
    assert settings.providers == ("sandbox", "file")
    assert (settings.limits.cost, settings.limits.depth, settings.ops_port) == (7, 15, 9100)
    assert settings.database_url == "postgresql://app:x@/dashtam?host=/run/pg"


def test_an_empty_value_counts_as_absent() -> None:
    assert production(REDIS_URL="", PORT="").redis_url is None


def test_the_names_of_tests_and_tools_do_not_stop_the_start() -> None:
    settings = development(TEST_ANYTHING="1", WITHOUT_NODE="1")

    assert settings.mode is Mode.DEVELOPMENT


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("DATABSE_URL", "DASHTAM_DATABASE_URL"),
        ("LIMIT_DEPHT", "DASHTAM_LIMIT_DEPTH"),
        ("SCHWAB_SECRET", "DASHTAM_SCHWAB_CLIENT_SECRET"),
        ("LIMITS", "DASHTAM_LIMIT_"),
    ],
)
def test_an_unknown_name_stops_the_start_and_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=rf"^DASHTAM_{name} is not a setting: .*{nearest}"):
        development(**{name: "x"})


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("MODE", "prod", "'production'"),
        ("DOCUMENTS", "opne", "'open'"),
        ("PROVIDERS", "schwab,alpacca", "'alpaca'"),
        ("PORT", "http", "a whole number from 1 to 65535"),
        ("PORT", "70000", "a whole number from 1 to 65535"),
        ("PORT", "\u0668\u0660", "a whole number"),
        ("OPS_PORT", "8000", "is the gateway's own port: give it another"),
        ("LIMIT_COST", "0", "a whole number from 1"),
        ("LIMIT_COST", "1e3", "a whole number from 1"),
        ("DEBUG", "maybe", "true or false"),
        (
            "AUDIT_CHECKPOINTS",
            "s3://bucket/audit",
            "a folder: nothing here speaks to an object store",
        ),
        ("DATABASE_URL", "mysql://x/y", "postgresql://user:password@host/dashtam"),
        ("REDIS_URL", "localhost:6379", "redis://host:6379/0"),
        ("REDIS_URL", "redis+sentinel://host:26379/0", "redis://host:6379/0"),
        ("APP_URL", "https://app.example.com/inner", "a URL such as"),
        ("ALLOWED_ORIGINS", "*", "a URL such as"),
        ("ALLOWED_ORIGINS", "example:/", "a URL such as"),
        ("PUBLIC_URL", "https://user:pw@example.com", "a URL such as"),
        ("TRUSTED_PROXIES", "10.0.0.0/99", "networks such as"),
        ("SIMPLEFIN_HOSTS", "https://bridge.simplefin.org", "host names"),
        ("MAIL_FROM", "nobody", "an address"),
        ("ARGON2", "cheap", "m=19456,t=2,p=1"),
        ("HTTP_PROFILE", "latest", "one of default, 2026-08"),
    ],
)
def test_a_bad_value_stops_the_start_and_says_what_is_right(
    name: str, value: str, advice: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        development(**{name: value})

    assert str(refused.value).startswith(f"DASHTAM_{name} ")
    assert advice in str(refused.value)


def test_development_may_call_providers_on_this_machine_and_listens_only_there() -> None:
    settings = development(PLAID_BASE_URL="http://127.0.0.1:9000", ARGON2="m=8,t=1,p=1")

    assert settings.plaid_base_url == "http://127.0.0.1:9000"
    with pytest.raises(SettingsError, match="PLAID_BASE_URL"):
        development(PLAID_BASE_URL="http://plaid.example.com")
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1 only"):
        development(HOST="0.0.0.0")


def test_secrets_are_neither_in_the_repr_nor_in_a_complaint() -> None:
    settings = production(
        SCHWAB_CLIENT_ID="ours",
        SCHWAB_CLIENT_SECRET="hunter2",
        ALPACA_CLIENT_ID="ours",
        ALPACA_CLIENT_SECRET="hunter2",
        PLAID_CLIENT_ID="ours",
        PLAID_SECRET="hunter2",
        REDIS_URL="redis://:hunter2@cache:6379/0",
        SMTP_URL="smtps://me:hunter2@mail.example.com:465",
        MAIL_FROM="money@example.com",
        MIGRATIONS_URL="postgresql://owner:hunter2@db/dashtam",
    )

    assert settings.plaid_secret == "hunter2"
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        production(REDIS_URL="http://:hunter2@cache")
    assert "hunter2" not in str(refused.value)


def test_settings_do_not_change() -> None:
    settings = development()

    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]  # that is the point
