"""What keeps a production process from starting that its settings do not show: what the database
is, and what was made for development.
"""

from typing import Any

import asyncpg

from domain.ports import Passwords
from domain.storage.doors import Doors
from gateway.migrate import MAJOR_MIN
from gateway.processes import demo
from gateway.settings import Settings, SettingsError

ROLE = """
SELECT current_user AS name, rolsuper OR rolbypassrls AS mighty,
    EXISTS (
        SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relnamespace = 'public'::regnamespace
    ) OR EXISTS (
        SELECT FROM pg_namespace WHERE nspowner = pg_roles.oid AND nspname = 'public'
    ) AS owns,
    has_schema_privilege('public', 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_class
        WHERE relname = 'users' AND relnamespace = 'public'::regnamespace
            AND NOT has_table_privilege(pg_class.oid, 'SELECT')
    ) AS reads
FROM pg_roles WHERE rolname = current_user
"""


async def check_role(pool: asyncpg.Pool) -> None:
    """Raises SettingsError: a role that row-level security does not bind, or an old server."""
    async with pool.acquire() as connection:
        major = connection.get_server_version().major
        role = await connection.fetchrow(ROLE)
    if major < MAJOR_MIN:
        raise SettingsError(f"PostgreSQL {MAJOR_MIN} or newer is needed, and this is {major}.")
    if (mend := not_the_runtime_role(role)) is not None:
        raise SettingsError(f"The database role is {role['name']}: {mend}.")


async def check_nothing_of_development(
    settings: Settings, doors: Doors, passwords: Passwords
) -> None:
    """Raises SettingsError: keys or a user that were made for development."""
    if settings.keyring is not None and (settings.keyring.parent / "up.lock").exists():
        raise SettingsError(
            f"{settings.keyring} is a development instance's: make one for production with "
            "`dashtam keys create FILE`."
        )
    known = await doors.user_by_email(demo.EMAIL)
    if known is not None and await passwords.verify(demo.PASSWORD, known.password_hash):
        raise SettingsError(
            f"This database has {demo.EMAIL}, whose password everybody knows: sign in under "
            "`dashtam up` and change it, or delete the user."
        )


def not_the_runtime_role(role: Any) -> str | None:
    """Why this row of ROLE is not the runtime role's, and what to do."""
    must = "DASHTAM_DATABASE_URL must be the runtime role's, dashtam_app"
    if role["mighty"]:
        return f"{must}, not a superuser's: it sees through row-level security"
    if role["owns"]:
        return f"{must}, not the owner's: that is for DASHTAM_MIGRATIONS_URL"
    return None if role["reads"] else f"{must}: this one may not read our tables"
