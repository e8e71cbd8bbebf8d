"""What `dashtam keys rotate` refuses, in a sentence."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.security.keyring import Keyring
from gateway.__main__ import main


@pytest.mark.parametrize(
    ("mode", "why"),
    [(None, "there is no keyring at"), (0o644, "chmod 600"), (0o600, "the database is away")],
)
def test_keys_are_not_rotated_without_a_keyring_of_our_own_and_a_database(
    tmp_path: Path, mode: int | None, why: str
) -> None:
    ring = tmp_path / "keyring.json"
    if mode is not None:
        Keyring.create(ring)
        ring.chmod(mode)
    environ = {
        "DASHTAM_DATABASE_URL": f"postgresql://dashtam_app@/dashtam?host={tmp_path}",
        "DASHTAM_KEYRING": str(ring),
        "DASHTAM_PUBLIC_URL": "https://money.example.com",
    }
    said = CliRunner().invoke(main, ["keys", "rotate"], env=environ)
    assert said.exit_code == 1
    assert why in said.output
    assert list(tmp_path.iterdir()) == ([] if mode is None else [ring])
