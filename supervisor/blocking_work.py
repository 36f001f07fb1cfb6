"""Work that may take long, or for ever, in a thread that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


async def run_blocking(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what `function` returns, called in a thread of its own.

    Not asyncio.to_thread: its threads are joined when the process ends, so one import that blocks
    would keep a node from stopping.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(R, result))

    def work() -> None:
        result: R | None = None
        failure: Exception | None = None
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            failure = error
        except BaseException as error:  # SystemExit of a module that is imported, for one
            failure = RuntimeError(repr(error))
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name="zactor-blocking", daemon=True).start()
    return await future
