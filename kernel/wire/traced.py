"""Traced payloads: arguments with the span that they come from, where their caller is in one.

`T`, then the context of the span as W3C Trace Context writes it, then the payload as it would be
without. So a message outside of any span has no byte more, and whoever knows nothing of traces
passes a payload on, or decodes it, as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final

from zactor.kernel import limits
from zactor.kernel.wire.bulky import Buffer

TRACE_MARK: Final = b"T"
_CONTEXT = re.compile(rb"T(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})")
TRACED_AT: Final = 56  # where the payload itself begins
_within: ContextVar[bytes] = ContextVar("within", default=b"")  # context of a span kept elsewhere


def traced(payload: bytes, context: bytes, buffers: Sequence[Buffer] = ()) -> bytes:
    """Return a payload that comes from the span of this context, or as it is if it's that long.

    Args: buffers: that travel beside it.
    """
    beside = sum(memoryview(buffer).nbytes for buffer in buffers)
    if TRACED_AT + len(payload) + beside > limits.MESSAGE_BYTES_MAX:
        return payload
    return TRACE_MARK + context + payload


def marked(payload: bytes, buffers: Sequence[Buffer] = ()) -> bytes:
    """Return a payload with the span that this thread or task is in, where it is in one."""
    context = current_context()
    return traced(payload, context, buffers) if context else payload


def untraced(payload: bytes) -> bytes:
    """Return a payload without the context that it may bear."""
    return payload[TRACED_AT:] if payload[:1] == TRACE_MARK else payload


def context_of(payload: bytes, at: int = 0) -> bytes:
    """Return the context in a payload, which begins there; b"": there is none."""
    if payload[at : at + 1] != TRACE_MARK:
        return b""
    found = _CONTEXT.match(payload, at)
    return b"" if found is None else found[1]


def current_context() -> bytes:
    """Return the context of the span that this thread or task is in; b"": none.

    It is OpenTelemetry's, where that was ever imported, or else that of `within`.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return _within.get()
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return _within.get()
    return b"00-%032x-%016x-%02x" % (found.trace_id, found.span_id, found.trace_flags)


@contextmanager
def within(context: bytes) -> Iterator[None]:
    """Be in the span of this context, which somebody else keeps, for the time of a block.

    Who needs no OpenTelemetry is in it too; where it was imported, spans that begin meanwhile are
    parts of that one.
    """
    token = _within.set(context)
    try:
        with _as_known_by(sys.modules.get("opentelemetry.trace"), context):
            yield
    finally:
        _within.reset(token)


def _as_known_by(trace: Any, context: bytes) -> AbstractContextManager[object]:
    if trace is None:
        return nullcontext()
    found = trace.SpanContext(
        int(context[3:35], 16),
        int(context[36:52], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(context[53:55], 16)),
    )
    used: AbstractContextManager[object] = trace.use_span(
        trace.NonRecordingSpan(found), record_exception=False, set_status_on_exception=False
    )
    return used
