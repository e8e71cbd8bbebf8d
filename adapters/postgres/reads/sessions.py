"""The viewer's sessions, and which generation of tokens is good."""

from collections.abc import Sequence

import asyncpg

from adapters.postgres.reads.statements import Statements
from domain.identity import OwnSession, SecurityConfig, SessionId

SESSIONS = """
SELECT s.id, s.created_at, s.last_used_at, s.expires_at, s.device, s.location, s.ip_address,
    s.providers_accessed, s.generation, now() AS at, c.global_token_version, c.grace_seconds,
    c.last_rotated_at, c.last_rotation_reason
FROM sessions s JOIN users u ON u.user_id = s.user_id CROSS JOIN security_config c
WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.expires_at > now()
    AND s.token_version >= u.token_version
ORDER BY s.last_used_at DESC, s.id DESC"""
CONFIG = """
SELECT global_token_version, grace_seconds, last_rotated_at, last_rotation_reason
FROM security_config"""


class SessionReads(Statements):
    async def sessions(self) -> Sequence[OwnSession]:
        rows = await self.fetch(SESSIONS, self._viewer)
        return [_session(row) for row in rows if row["at"] < _config(row).until(row["generation"])]

    async def security_config(self) -> SecurityConfig:
        [row] = await self.fetch(CONFIG)
        return _config(row)


def _config(row: asyncpg.Record) -> SecurityConfig:
    return SecurityConfig(
        global_token_version=row["global_token_version"],
        grace_seconds=row["grace_seconds"],
        last_rotated_at=row["last_rotated_at"],
        last_rotation_reason=row["last_rotation_reason"],
    )


def _session(row: asyncpg.Record) -> OwnSession:
    return OwnSession(
        id=SessionId(row["id"]),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        device=row["device"],
        location=row["location"],
        ip_address=row["ip_address"],
        providers_accessed=tuple(row["providers_accessed"]),
    )
