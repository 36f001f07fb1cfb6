"""The terminal of the console: a line being typed, and what happens printed above it.

Lines are read by the standard library's readline. All printing is the main thread's, which other
threads interrupt with a signal: readline's state is nobody else's to touch.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import readline
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from types import FrameType

_CLEAR_BELOW = "\r\033[J"
_UP = "\033[{}A"
_SIGNAL = signal.SIGUSR1


class _Readline:
    """What GNU readline can and Python's module doesn't offer: draw the line again as it is."""

    def __init__(self) -> None:
        # AttributeError, ValueError: libedit, or a readline without these names.
        library = ctypes.CDLL(readline.__file__)
        self._redraw = library.rl_forced_update_display
        self._point = ctypes.c_int.in_dll(library, "rl_point")

    def redraw(self) -> None:
        """Draw prompt and line, the cursor where it was. Main thread only."""
        self._redraw()

    @property
    def point(self) -> int:
        """Where the cursor is in the line."""
        return self._point.value


class Screen:
    """One terminal. `opened()` surrounds its use; `above` may be called by any thread."""

    def __init__(self) -> None:
        self._queue: deque[str] = deque()
        self._prompt = ""
        self._reading = False  # a prompt is on the screen, or about to be
        self._typing = False  # it is there, and readline draws it again when asked to
        self._main = threading.main_thread().ident or 0
        self._readline: _Readline | None = None
        if "libedit" not in (readline.__doc__ or ""):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                self._readline = _Readline()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Take part in signals for the time of the block."""
        before = signal.signal(_SIGNAL, self._on_signal)
        set_hook = getattr(readline, "set_pre_input_hook", readline.set_startup_hook)
        set_hook(self._on_prompt)
        try:
            yield
        finally:
            set_hook(None)
            signal.signal(_SIGNAL, before)
            self._drain()

    def read(self, prompt: str) -> str:
        """Return the next line that is typed.

        Raises:
            EOFError: Ctrl-D. KeyboardInterrupt: Ctrl-C.
        """
        self._prompt = prompt
        self._reading = True
        try:
            return input(prompt)
        finally:
            self._typing = self._reading = False

    def above(self, text: str) -> None:
        """Print `text` above the line being typed, if there is one."""
        self._queue.append(text)
        signal.pthread_kill(self._main, _SIGNAL)

    def _on_prompt(self) -> None:
        self._typing = True
        self._drain()  # what came while readline was about to draw the prompt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._drain()

    def _drain(self) -> None:
        if self._reading and not self._typing:
            return  # nobody knows whether the prompt is drawn: `_on_prompt` comes back
        lines = []
        while self._queue:
            lines.append(self._queue.popleft())
        if not lines:
            return
        text = "\n".join(lines) + "\n"
        if not self._typing:
            _write(text)
        elif self._readline is not None:
            columns = shutil.get_terminal_size().columns
            rows = (len(self._prompt) + self._readline.point) // columns
            _write(f"{_UP.format(rows) if rows else ''}{_CLEAR_BELOW}{text}")
            self._readline.redraw()
        else:  # the cursor ends up behind the line; readline may believe it elsewhere
            _write(f"{_CLEAR_BELOW}{text}{self._prompt}{readline.get_line_buffer()}")


def _write(text: str) -> None:
    """Write past sys.stdout: a signal may have come while that was being written to."""
    data = text.encode(errors="replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
