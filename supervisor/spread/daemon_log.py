"""The event log of a daemon, `-l y`: a file named like it, a line for what happened to it.

The letters are those of Spread's own log, which is binary: B(egin), A(live), M(embership),
C(onnect), D(isconnect). Each is followed by the time in s since 1970 and what it is about.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from zactor.kernel.errors import ConfigError

log = structlog.get_logger()

_ALIVE_S = 10.0


class DaemonLog:
    """One file, appended to. Kernel's loop only."""

    def __init__(self, path: Path, daemon: str) -> None:
        """Begin.

        Raises:
            ConfigError: the file can't be written.
        """
        self._path = path
        try:
            self._file = path.open("a", buffering=1)
        except OSError as error:
            raise ConfigError(f"-l y: {path}: {error.strerror}") from None
        self._loop = asyncio.get_running_loop()
        self._is_full = False
        self.write("B", daemon)
        self._timer = self._loop.call_later(_ALIVE_S, self._tell_alive)

    def write(self, letter: str, what: str = "") -> None:
        """Add a line; where there is no room for it that is said once, and the daemon goes on."""
        try:
            self._file.write(f"{letter} {time.time():.6f} {what}".rstrip() + "\n")
            self._is_full = False
        except OSError as error:
            if not self._is_full:
                self._is_full = True
                log.error("daemon_log_full", path=str(self._path), why=str(error))

    def close(self) -> None:
        """No more lines."""
        self._timer.cancel()
        self._file.close()

    def _tell_alive(self) -> None:
        self.write("A")
        self._timer = self._loop.call_later(_ALIVE_S, self._tell_alive)
