"""The viewer's own row."""

from adapters.postgres.reads.statements import Statements
from domain.errors import Unauthenticated
from domain.identity import Role, User, UserId
from domain.money import Currency

USER = """
SELECT user_id, email, email_verified, role, created_at, base_currency, time_zone, session_limit,
    token_version, totp_enabled, last_sign_in_at, password_changed_at, data_version
FROM users WHERE user_id = $1"""

ROLES = dict(Role.__members__)


class IdentityReads(Statements):
    async def viewer(self) -> User:
        """Read once a snapshot. Raises Unauthenticated where there is no such user any more."""
        user, _ = await self.once("viewer", self._read_viewer)
        return user

    async def data_version(self) -> int:
        """Of the same row as `viewer`."""
        _, version = await self.once("viewer", self._read_viewer)
        return version

    async def _read_viewer(self) -> tuple[User, int]:
        rows = await self.fetch(USER, self._viewer)
        if not rows:
            raise Unauthenticated("there is no such user any more")
        id, email, verified, role, created_at, currency, zone, limit, *more, version = rows[0]
        tokens, totp_enabled, last_sign_in_at, password_changed_at = more
        user = User(
            id=UserId(id),
            email=email,
            email_verified=verified,
            role=ROLES[role],
            created_at=created_at,
            base_currency=Currency(currency),
            time_zone=zone,
            session_limit=limit,
            totp_enabled=totp_enabled,
            token_version=tokens,
            last_sign_in_at=last_sign_in_at,
            password_changed_at=password_changed_at,
        )
        return user, version
