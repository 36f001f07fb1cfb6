"""Traced payloads: arguments with the span that they come from, where their caller is in one.

`T`, then the context of the span as W3C Trace Context writes it, then the payload as it would be
without. So a message outside of any span has no byte more, and whoever knows nothing of traces
passes a payload on, or decodes it, as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, Final

from zactor.kernel import limits
from zactor.kernel.wire.bulky import Buffer

TRACE_MARK: Final = b"T"
_CONTEXT = re.compile(rb"T(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})")
TRACED_AT: Final = 56  # where the payload itself begins


def traced(payload: bytes, context: bytes, buffers: Sequence[Buffer] = ()) -> bytes:
    """Return a payload that comes from the span of this context, or as it is if it's that long.

    Args: buffers: that travel beside it.
    """
    beside = sum(memoryview(buffer).nbytes for buffer in buffers)
    if TRACED_AT + len(payload) + beside > limits.MESSAGE_BYTES_MAX:
        return payload
    return TRACE_MARK + context + payload


def untraced(payload: bytes) -> bytes:
    """Return a payload without the context that it may bear."""
    return payload[TRACED_AT:] if payload[:1] == TRACE_MARK else payload


def context_of(payload: bytes) -> bytes:
    """Return the context in a payload; b"": there is none."""
    if payload[:1] != TRACE_MARK:
        return b""
    found = _CONTEXT.match(payload)
    return b"" if found is None else found[1]


def current_context() -> bytes:
    """Return the context of OpenTelemetry's span that this thread or task is in; b"": none.

    Who never imported OpenTelemetry is in none, and needn't have it.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return b""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return b""
    return b"00-%032x-%016x-%02x" % (found.trace_id, found.span_id, found.trace_flags)
