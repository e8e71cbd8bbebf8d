"""The viewer's own row."""

from adapters.postgres.reads.statements import Statements
from domain.errors import Unauthenticated
from domain.identity import Role, User, UserId
from domain.money import Currency
from domain.storage.reads import Counts

USER = """
SELECT user_id, email, email_verified, role, created_at, base_currency, time_zone, session_limit,
    token_version, totp_enabled, last_sign_in_at, password_changed_at
FROM users WHERE user_id = $1"""
VERSION = "SELECT data_version FROM users WHERE user_id = $1"
COUNTS = """
SELECT (SELECT count(*) FROM links WHERE user_id = $1),
    (SELECT count(*) FROM accounts WHERE user_id = $1),
    (SELECT coalesce(max(fed), 0) FROM (
        SELECT count(*) AS fed FROM link_accounts WHERE user_id = $1 GROUP BY link_id) AS each)"""

ROLES = dict(Role.__members__)


class IdentityReads(Statements):
    async def viewer(self) -> User:
        """Read once a snapshot. Raises Unauthenticated where there is no such user any more."""
        return await self.once("viewer", self._read_viewer)

    async def data_version(self) -> int:
        """Raises Unauthenticated as `viewer` does."""
        said = await self.entered()
        return await self.once("data version", self._read_version) if said is None else said

    async def counts(self) -> Counts:
        links, accounts, accounts_of_link = (await self.fetch(COUNTS, self._viewer))[0]
        return Counts(links=links, accounts=accounts, accounts_of_link=accounts_of_link)

    async def _read_version(self) -> int:
        """Where nothing was said, by a pooler that passes no messages on."""
        rows = await self.fetch(VERSION, self._viewer)
        if not rows:
            raise Unauthenticated("there is no such user any more")
        return int(rows[0][0])

    async def _read_viewer(self) -> User:
        rows = await self.fetch(USER, self._viewer)
        if not rows:
            raise Unauthenticated("there is no such user any more")
        id, email, verified, role, created_at, currency, zone, limit, *more = rows[0]
        tokens, totp_enabled, last_sign_in_at, password_changed_at = more
        return User(
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
