"""`dashtam keys rotate`."""

import time
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from adapters.security.keyring import KeyringError
from domain.identity import NOBODY, Actor, Role
from gateway.keys.rotating import NotAllRewrapped, Progress, Rotated, RotateKeys, rotate_keys
from gateway.settings import Settings, SettingsError
from gateway.shell.runs import console
from gateway.wiring.root import wire

SHOWN_MAX = 20
OPERATOR = Actor(user_id=NOBODY, role=Role.ADMIN)


async def rotate(settings: Settings, *, prune: bool) -> bool:
    """Whether everything that is sealed lies under the key in use.

    Raises SettingsError, Unavailable.
    """
    async with wire(settings) as wired:
        assert settings.keyring is not None  # noqa: S101 - `wire` looked
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("waiting until every process knows the new keys")

            def told(progress: Progress) -> None:
                doing = f"{progress.values:,} values, {progress.people:,} people gone through"
                bar.update(task, description=doing)

            cmd = RotateKeys(
                actor=OPERATOR,
                at=wired.app.now(),
                path=settings.keyring,
                pool=wired.pool,
                prune=prune,
                told=told,
            )
            try:
                rotated = await rotate_keys(wired.app, cmd)
            except KeyringError as error:
                raise SettingsError(str(error)) from error
            except NotAllRewrapped as failure:
                _say(failure.rotated, settings.keyring, prune=prune)
                _explain(failure)
                return False
        _say(rotated, settings.keyring, prune=prune)
    return True


def _say(rotated: Rotated, path: Path, *, prune: bool) -> None:
    keyring, count = rotated.keyring, rotated.rewrapped
    sealing, signing = keyring.sealing[0].id, keyring.signing[0].kid
    console.print(f"in use are {sealing}, which seals, and {signing}, which signs")
    per_s = f" ({count / rotated.took_s:,.0f} a second)" if count else ""
    console.print(f"{count:,} values brought under {sealing}{per_s}")
    old = len(keyring.sealing) + len(keyring.signing) - 2
    if rotated.removed:
        console.print(
            f"{rotated.removed} old keys removed from {path}: keep its copy of before for"
        )
        console.print("as long as you keep backups of before, since they open with no other")
    if old and time.time() < keyring.old_may_go_at:
        at = datetime.fromtimestamp(keyring.old_may_go_at, UTC)
        console.print(f"{old} old keys may be needed until {at:%H:%M} UTC; from then on")
        console.print("`dashtam keys rotate --prune` removes them")
    elif old and not prune:
        console.print(f"{old} old keys may go: `dashtam keys rotate --prune` removes them")


def _explain(failure: NotAllRewrapped) -> None:
    count = len(failure.shut)
    console.print(f"{count:,} values could not be brought under it:", style="red")
    for one in failure.shut[:SHOWN_MAX]:
        console.print(f"  {one}", style="red")
    if count > SHOWN_MAX:
        console.print(f"  and {count - SHOWN_MAX:,} more", style="red")
