"""What the readiness of a process depends on."""

from gateway.routes.health import Health
from gateway.wiring.root import Wired


def health_of(wired: Wired) -> Health:
    """Of a gateway, or of a worker."""
    watched = [wired.policy.warning, wired.endings.warning]
    if wired.shared is not None:
        watched.append(wired.shared.warning)
    return Health(wired.pool, watched, asked=[wired.sealing.warnings])
