"""The audit log: whether it goes on from its last checkpoint, as it does not in an older backup."""

from typing import Any

from adapters.postgres import audit
from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring, KeyringError
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.verifying import RESTORED
from gateway.doctor.finding import Finding
from gateway.settings import Settings, SettingsError


async def goes_on(connection: Any, settings: Settings) -> Finding | None:
    """None where there is nothing to compare: `dashtam audit verify` looks at all of it."""
    if settings.keyring is None:
        return None
    try:
        checkpoints = Checkpoints(settings.checkpoints, AuditKeys(Keyring.load(settings.keyring)))
        last = checkpoints.newest()
    except KeyringError:
        return None  # which `keys.readable` says
    except SettingsError as error:
        return Finding("the audit log's checkpoints", str(error))
    if last is None:
        return None
    link = (await audit.hashes(connection, [last.position])).get(last.position)
    if link is not None and link["hash"] == last.hash:
        return Finding("the audit log goes on from its last checkpoint")
    return Finding(
        f"the audit log is not that of its checkpoints in {checkpoints.folder}",
        f"run `dashtam audit verify`; {RESTORED}",
    )
