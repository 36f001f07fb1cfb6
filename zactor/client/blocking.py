"""How a class of coroutines gets its blocking twin: the same methods, without an event loop.

The awaiting object is told to block: then its coroutines wait inside, and never suspend.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Concatenate, Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class Blocking(Generic[S]):
    """Base of a twin; `awaiting` is the object that blocks for it."""

    def __init__(self, awaiting: S) -> None:
        """`awaiting` has been told to block."""
        self.awaiting = awaiting


def blocking(
    method: Callable[Concatenate[S, P], Coroutine[object, None, T]],
) -> Callable[Concatenate[Blocking[S], P], T]:
    """Return the twin's method: it returns when the coroutine of `method` is done."""

    def call(self: Blocking[S], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finish(method(self.awaiting, *args, **kwargs))

    return functools.update_wrapper(call, method)


def finish(coroutine: Coroutine[object, None, T]) -> T:
    """Return what a coroutine returns that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    coroutine.close()
    raise AssertionError("a coroutine of a blocking object suspended")


def wait_for(future: Future[T]) -> T:
    """Return the result; whatever interrupts the waiting (Ctrl-C) ends the request too."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def iterate(stream: AsyncIterator[T]) -> Iterator[T]:
    """Yield what a stream yields that never suspends."""

    async def step() -> T:
        return await anext(stream)

    while True:
        try:
            item = finish(step())
        except StopAsyncIteration:
            return
        yield item
