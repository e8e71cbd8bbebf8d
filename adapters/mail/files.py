"""Mail as files, in development: `<time>-<template>-<id>.eml`, which any mail program opens."""

import asyncio
import os
from pathlib import Path

from adapters.mail.letters import Letters
from domain.errors import Unavailable
from domain.mail import Letter


class MailFiles:
    def __init__(self, folder: Path, letters: Letters) -> None:
        self._folder, self._letters = folder, letters

    async def send(self, letter: Letter) -> None:
        """Raises Unavailable where the disk does not take it, Undeliverable."""
        message = self._letters.message(letter)
        name = f"{letter.at:%Y%m%dT%H%M%S.%fZ}-{letter.template.value}-{letter.id.hex[-8:]}.eml"
        try:
            await asyncio.to_thread(self._write, name, message.as_bytes())
        except OSError as error:
            raise Unavailable("the folder of mails cannot be written to") from error

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all, and for nobody else to read: links are in it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / name)
