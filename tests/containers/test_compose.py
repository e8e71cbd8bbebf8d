"""docker-compose.yml: valid, pinned, closed, and in step with the settings."""

import ipaddress
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import LimitFigures, Settings
from tests.containers.compose import (
    FILE,
    ROOT,
    commented,
    document,
    environment,
    example,
    services,
    variables,
)

PASSWORDS = {"POSTGRES_PASSWORD", "OWNER_PASSWORD", "APP_PASSWORD", "REDIS_PASSWORD"}
# What a container does not choose: it runs no development, and no server of its own.
NOT_IN_CONTAINERS = {"DASHTAM_MODE", "DASHTAM_DEBUG", "DASHTAM_PG_BIN"}
ONE_SHOT = {"migrate", "keys", "rotate"}


def names_of_settings() -> set[str]:
    ours = {f"DASHTAM_{f.name.upper()}" for f in fields(Settings) if "parse" in f.metadata}
    return ours | {f"DASHTAM_LIMIT_{f.name.upper()}" for f in fields(LimitFigures)}


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    words = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False
    )


def test_it_is_valid_by_the_compose_specification_and_a_slip_is_not(tmp_path: Path) -> None:
    slip = tmp_path / "docker-compose.yml"
    slip.write_text(FILE.read_text().replace("    image: caddy", "    imagee: caddy"))

    assert checked(FILE).returncode == 0
    refused = checked(slip)
    assert refused.returncode != 0
    assert "imagee" in refused.stdout + refused.stderr


def test_every_image_is_pinned_to_one_release() -> None:
    images = {name: service["image"] for name, service in services().items()}
    ours = {name for name, image in images.items() if image == "dashtam:${IMAGE_TAG:-local}"}

    assert ours == {"gateway", "worker", *ONE_SHOT}
    for name in images.keys() - ours:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+[\d.]*", images[name]), images[name]


def test_our_image_is_built_once_and_never_fetched() -> None:
    """Built by two services at once, under one name, a first build fails."""
    ours = {n: s for n, s in services().items() if s["image"].startswith("dashtam:")}

    assert {name for name, service in ours.items() if "build" in service} == {"gateway"}
    assert {service["pull_policy"] for service in ours.values()} == {"never"}


def test_every_service_that_stays_says_how_it_is() -> None:
    for name, service in services().items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_only_caddy_has_ports_and_they_are_on_loopback() -> None:
    with_ports = {name for name, service in services().items() if "ports" in service}

    assert with_ports == {"caddy"}
    for port in services()["caddy"]["ports"]:
        assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:")


def test_only_caddy_is_in_front_and_the_data_has_no_way_out() -> None:
    networks = document()["networks"]
    on: dict[str, set[str]] = {name: set() for name in networks}
    for name, service in services().items():
        for network in service.get("networks", []):
            on[network].add(name)

    assert on["front"] == {"caddy"}
    assert on["inside"] == {"caddy", "gateway"}
    assert on["data"] == {"gateway", "worker", "migrate", "rotate", "postgres", "redis"}
    assert on["outside"] == {"gateway", "worker"}
    assert networks["data"]["internal"] is True
    assert networks["inside"]["internal"] is True
    assert services()["keys"]["network_mode"] == "none"


@pytest.mark.parametrize("name", sorted(services()))
def test_every_container_has_the_least_that_it_needs(name: str) -> None:
    service: dict[str, Any] = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "privileged" not in service
    assert "docker.sock" not in str(service)


def test_everything_starts_after_what_it_needs() -> None:
    asked = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in services().items()
    }

    assert asked["caddy"] == {"gateway": "service_healthy"}
    assert asked["migrate"] == {"postgres": "service_healthy"}
    for name in ("gateway", "worker"):
        assert asked[name] == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


def test_every_variable_has_a_default_or_is_demanded_and_stands_in_the_example() -> None:
    for name, (kind, rest) in variables(FILE.read_text()).items():
        if kind == "?":
            assert name in example(), f"{name} is demanded, and .env.example does not have it"
            assert rest == f"set {name} in .env"
        else:
            assert kind == "-", f"{name} has neither a default nor a message"
            assert name in commented(), f"{name} is missing in .env.example"
            if not name.startswith("DASHTAM_PUBLIC"):
                assert commented()[name] == rest


def test_every_setting_reaches_the_processes_and_no_unknown_name_does() -> None:
    for name in ("gateway", "worker", "migrate"):
        given = {n for n in services()[name]["environment"] if n.startswith("DASHTAM_")}
        without = NOT_IN_CONTAINERS | (set() if name == "migrate" else {"DASHTAM_MIGRATIONS_URL"})
        assert given == names_of_settings() - without


def test_the_passwords_of_the_owner_and_the_superuser_stay_with_who_needs_them() -> None:
    secrets = {name: f"secret-of-{name.lower()}" for name in PASSWORDS}
    seen = {
        name: {s for s in PASSWORDS if secrets[s] in str(environment(name, secrets))}
        for name in services()
    }

    assert seen["gateway"] == seen["worker"] == seen["rotate"] == {"APP_PASSWORD", "REDIS_PASSWORD"}
    assert seen["migrate"] == {"APP_PASSWORD", "REDIS_PASSWORD", "OWNER_PASSWORD"}
    assert seen["caddy"] == seen["keys"] == set()


def test_what_the_containers_are_given_is_good_for_production() -> None:
    secrets = dict.fromkeys(PASSWORDS, "0123456789abcdef")
    domain = {"SITE_ADDRESS": "money.example.com", "DASHTAM_LOG_LEVEL": "warning"}
    local = Settings.read(environment("gateway", secrets))
    public = Settings.read(environment("migrate", secrets | domain))

    assert not local.is_development
    assert local.public_url == "https://localhost"
    assert local.redis_url == "redis://:0123456789abcdef@redis:6379/0"
    assert local.trusted_proxies == (ipaddress.ip_network("172.31.250.0/28"),)
    assert public.public_url == "https://money.example.com"
    assert public.log_level == "warning"
    assert public.migrations_url is not None
    assert public.migrations_url.startswith("postgresql://dashtam_owner:")


def test_what_is_mounted_is_there_and_read_only() -> None:
    mounted = [
        volume.split(":")
        for service in services().values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert len(mounted) == 2
    for source, _, mode in mounted:
        assert (ROOT / source).is_file()
        assert mode == "ro"
    assert (ROOT / "deploy" / "roles.sh").stat().st_mode & 0o111


def test_the_caddyfile_names_only_what_its_container_has() -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    named = dict(re.findall(r"\{\$(\w+)(?::([^}]*))?\}", text))

    assert named == {"SITE_ADDRESS": "localhost", "GATEWAY": "gateway:8000"}
    assert set(services()["caddy"]["environment"]) == {"SITE_ADDRESS"}
    assert "header_up X-Forwarded-For {remote_host}" in text
    [health] = re.findall(r"http://127\.0\.0\.1:\d+", text)
    assert services()["caddy"]["healthcheck"]["test"][-1] == f"{health}/"


def test_the_roles_are_made_as_the_readme_makes_them() -> None:
    def statements(text: str) -> list[str]:
        found = re.findall(r"^(?:CREATE|GRANT|ALTER)\b[^;]*;", text, re.MULTILINE)
        return [re.sub(r"PASSWORD (?:'…'|:'\w+')", "PASSWORD", s) for s in found]

    ours = statements((ROOT / "deploy" / "roles.sh").read_text())

    assert ours == statements((ROOT / "README.md").read_text())
    assert len(ours) == 6
