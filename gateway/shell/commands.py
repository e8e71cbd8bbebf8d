"""What the shell's commands have in common: how they fail, and where they look."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.processes.instance import ProcessesError
from gateway.settings import SettingsError

DATA_DIR = ".dashtam"
T = TypeVar("T")


class Failed(click.ClickException):
    """One sentence that says what to do, and a non-zero exit."""

    def show(self, file: Any = None) -> None:
        click.echo(f"dashtam: {self.format_message()}", err=True, file=file)


def saying_why(do: Callable[..., T]) -> Callable[..., T]:
    """A refusal ends in its sentence, not in a traceback."""

    @wraps(do)
    def run(*args: Any, **kwargs: Any) -> T:
        from domain.errors import DomainError, Unavailable  # noqa: PLC0415 - imports are slow
        from gateway.embedded import EmbeddedError  # noqa: PLC0415 - same

        try:
            return do(*args, **kwargs)
        except (SettingsError, ProcessesError, EmbeddedError) as error:
            raise Failed(str(error)) from None
        except DomainError as refusal:
            raise Failed(refusal.message) from None
        except Unavailable as error:
            raise Failed(f"{error}: is it running, and is its URL right?") from None

    return run


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DASHTAM_DATA_DIR",
    default=DATA_DIR,
    show_default=True,
    help="Where the development instance keeps everything.",
)
