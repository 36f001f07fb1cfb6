"""Payloads that say which span they come from: no byte more where there is none."""

from __future__ import annotations

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.wire.payload import decode, encode
from zactor.kernel.wire.traced import (
    TRACED_AT,
    context_of,
    current_context,
    marked,
    traced,
    untraced,
    within,
)

CONTEXT = b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01"


@pytest.mark.parametrize("policy", ["pickle", "data"])
def test_arguments_are_the_same_with_a_context_and_without(policy: str) -> None:
    args, kwargs = (1, "two", [3]), {"four": 5}
    payload = encode(args, kwargs, policy)  # type: ignore[arg-type]
    assert isinstance(payload, bytes)
    marked = traced(payload, CONTEXT)
    assert len(marked) == len(payload) + TRACED_AT
    assert context_of(marked) == CONTEXT
    assert context_of(payload) == b""
    assert untraced(marked) == untraced(payload) == payload
    assert decode(marked, (), policy) == decode(payload, (), policy) == (args, kwargs)  # type: ignore[arg-type]


def test_what_has_no_room_for_a_context_goes_without() -> None:
    assert traced(b"x" * limits.MESSAGE_BYTES_MAX, CONTEXT)[:1] == b"x"
    buffers = (memoryview(bytearray(limits.MESSAGE_BYTES_MAX - 20)),)
    assert traced(b"xyz", CONTEXT, buffers) == b"xyz"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "payload", [b"T", b"T" + CONTEXT, b"T" + CONTEXT + b"T" + CONTEXT + b"D\x90", b"Tnonsense" * 9]
)
def test_what_only_looks_like_one_is_refused_and_has_no_context_of_its_own(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(payload, ())
    assert context_of(payload) in (b"", CONTEXT)


def test_who_is_in_no_span_has_no_context() -> None:
    assert current_context() == b""


def test_what_is_said_within_a_span_that_others_keep_is_marked() -> None:
    with within(CONTEXT):
        assert current_context() == CONTEXT
        assert marked(b"D\x90") == traced(b"D\x90", CONTEXT)
        with within(CONTEXT.replace(b"b2", b"c3")):
            assert current_context() == CONTEXT.replace(b"b2", b"c3")
        assert current_context() == CONTEXT
    assert current_context() == b""
    assert marked(b"D\x90") == b"D\x90"


def test_spans_that_begin_within_one_that_others_keep_are_parts_of_it() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra zactor[otel] isn't installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    told = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told))
    tracer = provider.get_tracer("test")
    with within(CONTEXT), tracer.start_as_current_span("own"):
        inner = current_context()
    (own,) = told.get_finished_spans()
    assert own.parent is not None
    assert own.context is not None
    assert b"00-%032x-%016x-01" % (own.parent.trace_id, own.parent.span_id) == CONTEXT
    assert inner == b"00-%032x-%016x-01" % (own.parent.trace_id, own.context.span_id)
