"""The keyring of a process that runs while others rotate its keys."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from adapters.security.keyring import Keyring, KeyringError

LOOK_EVERY_S = 1.0

log = structlog.get_logger("dashtam.keys")


class ReloadingKeyring:
    """The keyring of a file, read again once it has changed.

    Whoever seals, opens, signs or reads asks for it, and the file is looked at once a second at
    most, however many ask and whatever they present. A key that was added is known before it is
    in use, one that was removed is forgotten within that second. What cannot be read, or has
    nothing to do with what was read before, changes nothing.
    """

    def __init__(
        self, path: Path, keyring: Keyring, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._keyring, self._clock = path, keyring, clock
        self._seen: object = None
        self._look_at = clock()  # at once: it may have changed since it was read

    def current(self) -> Keyring:
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._look()
        return self._keyring

    def _look(self) -> None:
        seen = self._stat()
        if seen == self._seen:
            return
        try:
            keyring = Keyring.load(self._path)
        except KeyringError:
            log.exception("keys.unreadable")
            return
        self._seen = seen
        if keyring.mac != self._keyring.mac:
            log.error("keys.of_another_keyring")
        elif keyring != self._keyring:
            self._keyring = keyring
            log.info("keys.read_again", count=len(keyring.sealing))

    def _stat(self) -> object:
        try:
            found = self._path.stat()
        except OSError as error:
            return error.errno
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
