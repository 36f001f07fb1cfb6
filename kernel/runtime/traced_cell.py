"""Traced cell: an actor each of whose marked messages is handled in a span.

So that what it says meanwhile is marked in its turn: see kernel/wire/traced.py.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractContextManager
from types import CoroutineType
from typing import Any, Protocol

from zactor.kernel.runtime.cell import Cell, CellHost
from zactor.kernel.runtime.envelope import ArrivedSignal, Envelope
from zactor.kernel.wire.payload import VALUE_MARK
from zactor.kernel.wire.traced import context_of, within


class Span(Protocol):
    """What one action does for who caused it."""

    def entered(self) -> AbstractContextManager[None]:
        """Be in it for the time of a block, in this thread or task."""
        ...

    def end(self, failed: str = "") -> None:
        """It is over; `failed` says what went wrong, if anything did."""
        ...


class Tracer(Protocol):
    """Who keeps the spans. Threads: any."""

    def begin(self, name: str, context: bytes) -> Span:
        """Begin a span that was caused by the one of `context`."""
        ...


class RelayTracer:
    """Keeps no spans, but what is done for one is done within it, and what is said then bears it.

    For the process of an actor: its node keeps the span of the action.
    """

    def begin(self, name: str, context: bytes) -> Span:
        """See Tracer."""
        return _RelaySpan(context)


class _RelaySpan:
    def __init__(self, context: bytes) -> None:
        self._context = context

    def entered(self) -> AbstractContextManager[None]:
        return within(self._context)

    def end(self, failed: str = "") -> None:
        pass


class TracedHost(CellHost, Protocol):
    """What a traced cell needs of its runtime."""

    @property
    def tracer(self) -> Tracer:
        """Who keeps the spans."""
        ...


class TracedCell(Cell):
    """See the module."""

    host: TracedHost
    __slots__ = ()

    def start(self, message: Envelope | ArrivedSignal) -> Any:
        """See Cell."""
        shared = message if isinstance(message, ArrivedSignal) else message.shared_payload
        context = b"" if shared is None else _context_in(shared.payload)
        if not context:
            return super().start(message)
        span = self.host.tracer.begin(f"{self.name}.{message.action}", context)
        raised = self.raised
        with span.entered():
            result = super().start(message)
        if type(result) is CoroutineType:
            return _awaited(span, result)
        span.end("it raised" if self.raised != raised else "")
        return result


def _context_in(payload: bytes) -> bytes:
    is_to_groups = payload.startswith(VALUE_MARK)
    return context_of(payload, len(VALUE_MARK) if is_to_groups else 0)


async def _awaited(span: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    failed = "it was cancelled"
    try:
        with span.entered():
            result = await coroutine
        failed = ""
        return result
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
        raise
    finally:
        span.end(failed)
