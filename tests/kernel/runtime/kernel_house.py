"""A kernel's loop with its keeper, and an actors' loop beside it that may have it as its guest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from deadlines import DEADLINE_S, join

from zactor.kernel.loops import GuestLoop
from zactor.kernel.runtime.baton import Baton
from zactor.kernel.runtime.dispatcher import SharedLoop

T = TypeVar("T")


class House:
    def __init__(self) -> None:
        self.kernel = GuestLoop()
        self.baton = Baton(self.kernel)
        self.error: BaseException | None = None
        self._over = threading.Event()
        self.keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self.keeper.start()
        self.shared = self.move_in()

    def move_in(self) -> SharedLoop:
        """Start an actors' loop, as a node's new life does."""
        shared = SharedLoop()
        shared.baton = self.baton
        shared.start()
        return shared

    def _keep(self) -> None:
        async def main() -> None:
            self.end = asyncio.Event()
            await self.end.wait()

        try:
            with asyncio.Runner(loop_factory=lambda: self.kernel) as runner:
                runner.get_loop()
                self.baton.run(main())
        except BaseException as error:
            self.error = error

    def is_guest(self) -> bool:
        """Whether the actors' thread runs the kernel's loop."""
        return self.baton.owner is not None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the kernel's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.kernel).result(DEADLINE_S)

    def close(self) -> None:
        assert self.shared.close(DEADLINE_S)
        if self.keeper.is_alive():
            self.kernel.call_soon_threadsafe(self.end.set)
        join(self.keeper)


class Held:
    """An action that goes on until it is let go."""

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        self.is_on = threading.Event()
        self._go = threading.Event()
        self._first = first

    def __call__(self) -> None:
        self._first()
        self.is_on.set()
        assert self._go.wait(DEADLINE_S)

    def begin(self, shared: SharedLoop) -> Held:
        shared.post(self)
        assert self.is_on.wait(DEADLINE_S)
        return self

    def end(self) -> None:
        self._go.set()


async def who() -> str:
    """The thread that runs this."""
    await asyncio.sleep(0)
    return threading.current_thread().name
