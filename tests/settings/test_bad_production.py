"""Bad production configurations, each of which is refused at the start with its reason."""

from typing import Any

import pytest
from click.testing import CliRunner

from gateway.__main__ import main

GOOD = {
    "DASHTAM_MODE": "production",
    "DASHTAM_DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:1/dashtam",  # nobody is there
    "DASHTAM_KEYRING": "/nowhere/keyring.json",
    "DASHTAM_PUBLIC_URL": "https://money.example.com",
}


def refused(*words: str, **environ: str | None) -> str:
    """What `dashtam …` says as it ends at once."""
    given: dict[str, Any] = GOOD | {f"DASHTAM_{name}": text for name, text in environ.items()}
    said = CliRunner().invoke(main, words, env=given, catch_exceptions=False)
    assert said.exit_code == 1
    assert "Traceback" not in said.output
    [sentence] = said.output.splitlines()
    return sentence.removeprefix("dashtam: ")


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"DATABASE_URL": None}, "needs a database: set DASHTAM_DATABASE_URL"),
        ({"KEYRING": None}, "needs its own keys: set DASHTAM_KEYRING"),
        ({"MODE": "prod"}, "one of development, production; the nearest is 'production'."),
        ({"DATABSE_URL": "x"}, "is not a setting: the nearest is DASHTAM_DATABASE_URL"),
        ({"PORT": "70000"}, "DASHTAM_PORT is '70000': give a whole number from 1 to 65535"),
        ({"OPS_PORT": "8000"}, "DASHTAM_OPS_PORT is the gateway's own port"),
        # shown or done as in development
        ({"DEBUG": "1"}, "no debug output: unset DASHTAM_DEBUG"),
        ({"DOCUMENTS": "open"}, "DASHTAM_DOCUMENTS=open is for development"),
        # in clear
        ({"PUBLIC_URL": "http://money.example.com"}, "DASHTAM_PUBLIC_URL must be https"),
        ({"PUBLIC_URL": None, "HOST": "0.0.0.0"}, "DASHTAM_HOST lets other machines in"),
        ({"APP_URL": "http://app.example.com"}, "DASHTAM_APP_URL must be https"),
        ({"ALLOWED_ORIGINS": "http://app.example.com"}, "http://app.example.com: in production"),
        ({"DATABASE_URL": "postgresql://app:hunter2@8.8.8.8/x?sslmode=disable"}, "in clear"),
        ({"REDIS_URL": "redis://:hunter2@8.8.8.8:6379/0"}, "in clear: give rediss://"),
        # open to everybody
        ({"ALLOWED_ORIGINS": "*"}, "DASHTAM_ALLOWED_ORIGINS is '*'"),
        ({"ALLOWED_ORIGINS": "null"}, "DASHTAM_ALLOWED_ORIGINS is 'null'"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,0.0.0.0/0"}, "DASHTAM_TRUSTED_PROXIES has 0.0.0.0/0"),
        ({"TRUSTED_PROXIES": "128.0.0.0/1"}, "DASHTAM_TRUSTED_PROXIES has 128.0.0.0/1"),
        ({"TRUSTED_PROXIES": "::/0"}, "DASHTAM_TRUSTED_PROXIES has ::/0"),
        ({"SIMPLEFIN_HOSTS": "*.com"}, "DASHTAM_SIMPLEFIN_HOSTS has *.com"),
        (
            {"SIMPLEFIN_HOSTS": "b.example.com:8443"},
            "has b.example.com:8443: in production give it without a port",
        ),
        # passwords
        ({"ARGON2": "m=64,t=1,p=1"}, "DASHTAM_ARGON2 is too cheap"),
        ({"ARGON2": "m=36,t=999,p=1"}, "DASHTAM_ARGON2 is too cheap"),
        ({"ARGON2": "m=9999999,t=1,p=1"}, "DASHTAM_ARGON2 takes 9999999 KiB"),
        ({"DATABASE_URL": "postgresql://app:app@db/dashtam"}, "DATABASE_URL has a password that"),
        ({"MIGRATIONS_URL": "postgresql://o:postgres@db/d"}, "MIGRATIONS_URL has a password that"),
        ({"REDIS_URL": "redis://:redis@cache:6379/0"}, "REDIS_URL has a password that everybody"),
        ({"REDIS_URL": "http://cache:6379"}, "DASHTAM_REDIS_URL cannot be used"),
        ({"LIMIT_SIGN_IN_ACCOUNT": "1000"}, "DASHTAM_LIMIT_SIGN_IN_ACCOUNT is at most 100"),
        ({"LIMIT_COST": "200000"}, "DASHTAM_LIMIT_COST is more than DASHTAM_LIMIT_POINTS"),
        ({"LIMIT_POINTS": "100000000", "REDIS_URL": "redis://c"}, "DASHTAM_LIMIT_POINTS is at"),
        ({"SMTP_URL": "smtps://mail.example.com"}, "DASHTAM_MAIL_FROM must be an address of your"),
        # where money and tokens go
        ({"SCHWAB_BASE_URL": "http://api.schwabapi.com"}, "DASHTAM_SCHWAB_BASE_URL must be https"),
        ({"PLAID_BASE_URL": "https://127.0.0.1:9000"}, "DASHTAM_PLAID_BASE_URL must be https and"),
        ({"ALPACA_BASE_URL": "https://169.254.169.254"}, "DASHTAM_ALPACA_BASE_URL must be https"),
        ({"RATES_URL": "https://[::1]/rates"}, "DASHTAM_RATES_URL must be https and public"),
        ({"PLAID_CLIENT_ID": "us"}, "of no use without DASHTAM_PLAID_SECRET"),
        ({"SCHWAB_CLIENT_SECRET": "hunter2"}, "of no use without DASHTAM_SCHWAB_CLIENT_ID"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_refuses(command: str, environ: dict[str, str | None], why: str) -> None:
    sentence = refused(command, **environ)

    assert why in sentence
    assert "hunter2" not in sentence


def test_several_processes_do_not_start_without_what_they_share() -> None:
    sentence = refused("serve", "--workers", "2")

    assert sentence.startswith("Several gateway processes share their limits in Redis")
