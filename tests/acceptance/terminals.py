"""What programs write to a terminal of theirs."""

from __future__ import annotations

import contextlib
import os
import pty
import threading

from deadlines import DEADLINE_S


class Terminal:
    """What a program has written to the terminal it runs on."""

    def __init__(self) -> None:
        self.shown = bytearray()
        self.ours, self.theirs = pty.openpty()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nobody has the other end any more
            while data := os.read(self.ours, 65_536):
                self.shown.extend(data)

    def lines(self) -> list[bytes]:
        """Return the lines that are whole."""
        return bytes(self.shown).split(b"\n")[:-1]

    def close(self) -> None:
        self._thread.join(DEADLINE_S)
        os.close(self.ours)
