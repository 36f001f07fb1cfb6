"""Abandoned: an actor that was taken down while code of its went on, and what can be said of that.

Python can end no thread and no task that doesn't want to. So the actor goes, its name is free, and
what remains is told, until it comes to its end.
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from typing import Any, Protocol

from zactor.kernel.actors.user_errors import AbandonedAction
from zactor.kernel.runtime.actor_thread import ActorThread
from zactor.kernel.runtime.dispatcher import Dispatcher, SharedLoop, TurnTaker


class AbandonedCell(TurnTaker, Protocol):
    """What is read of an actor that is about to go."""

    type: str
    action: str
    dispatcher: Dispatcher
    task: asyncio.Task[Any] | None


class Abandoned:
    """One such actor; made before it is down."""

    def __init__(self, cell: AbandonedCell, node: str) -> None:
        self._node = node
        self._cell = cell
        self._name, self._uid, self._type = cell.name, cell.uid, cell.type
        self._dispatcher: Dispatcher = cell.dispatcher
        self._task = cell.task
        action, self._where = self._dispatcher.place_of(cell)
        self._action = cell.action or action
        self._since = time.monotonic()

    def goes_on(self) -> bool:
        """Whether code of it still runs, or is awaited."""
        if isinstance(self._dispatcher, ActorThread):
            thread = self._dispatcher.thread
            return thread is not None and thread.is_alive()
        if self._task is not None:
            return not self._task.done()
        return self._dispatcher.is_busy_with(self._cell)

    @property
    def held(self) -> SharedLoop | None:
        """The loop that it holds from others, if it does."""
        if self._task is None and isinstance(self._dispatcher, SharedLoop):
            return self._dispatcher
        return None

    def words(self) -> str:
        """What remains, for people."""
        if not self.goes_on():
            return f"it had no turn in which to end: something holds the actors of {self._node}"
        if isinstance(self._dispatcher, ActorThread) and self._task is not None:
            return ""  # the thread ends with its loop, and what is awaited there with both
        where = f" ({self._where})" if self._where else ""
        what = f"its {self._action or 'code'}{where}"
        if isinstance(self._dispatcher, ActorThread):
            return f"{what} goes on in its thread until it returns"
        if self._task is not None:
            return f"{what} takes no cancellation and goes on"
        return f"{what} goes on, and holds all actors of {self._node} until it returns"

    def interrupt(self) -> None:
        """Have its own thread end with the next line of Python code that it comes to."""
        if not isinstance(self._dispatcher, ActorThread) or self._task is not None:
            return  # others have their turns there too; or a loop, which is left behind
        thread = self._dispatcher.thread
        if thread is not None and thread.is_alive():
            ident = thread.ident or 0
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(AbandonedAction)
            )

    def report(self) -> dict[str, Any]:
        """As an actor's own report."""
        return {
            "name": self._name,
            "uid": self._uid,
            "type": self._type,
            "phase": "abandoned",
            "mailbox": 0,
            "handled": 0,
            "busy_s": time.monotonic() - self._since,
            "action": self._action,
            "where": self._where,
        }
