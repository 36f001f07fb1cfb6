"""Spans: what OpenTelemetry is told of this node's actions, where that is wanted (extra `otel`).

Where spans go is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, …). A process
has one tracer, over all lives of its node; what actors' own code measures goes the same way.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import NodeId
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.runtime.traced_runtime import TracedRuntime

if TYPE_CHECKING:
    from opentelemetry.trace import Span as ApiSpan

VARIABLE = "ZACTOR_OTEL"  # 1: as `node --otel`
_FLUSH_MS = 500  # for the last spans of a node that ends


def are_wanted(given: bool | None) -> bool:
    """Whether the command line, or else the environment, asks for spans."""
    return os.environ.get(VARIABLE, "") not in ("", "0") if given is None else given


def make_runtime(me: NodeId, is_traced: bool, **options: Any) -> Runtime:
    """Return the runtime of a node's life, of traced actors if its spans are wanted.

    Args: options: as of Runtime.

    Raises:
        ConfigError: they are, and a package is missing.
    """
    if not is_traced:
        return Runtime(node=me, **options)
    return TracedRuntime(_tracer(me.name), node=me, **options)


class ActionSpan:
    """What one action does for who caused it."""

    def __init__(self, span: ApiSpan) -> None:
        self._span = span

    def entered(self) -> AbstractContextManager[None]:
        """See Span."""
        return _entered(self._span)

    def end(self, failed: str = "") -> None:
        """See Span."""
        from opentelemetry.trace import Status, StatusCode

        if failed:
            self._span.set_status(Status(StatusCode.ERROR, failed))
        self._span.end()


@contextlib.contextmanager
def _entered(span: ApiSpan) -> Iterator[None]:
    from opentelemetry.trace import use_span

    with use_span(span, record_exception=False, set_status_on_exception=False):
        yield


class SpanTracer:
    """Keeps the spans of one process. Threads: any."""

    def __init__(self, node: str) -> None:
        """Args: node: its name, which all its spans bear."""
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        service = os.environ.get("OTEL_SERVICE_NAME", "zactor")
        about = Resource.create({"service.name": service, "service.instance.id": node})
        # The end of the process waits for nobody who collects spans: see `flush`.
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("zactor")
        trace.set_tracer_provider(self._provider)  # for what actors measure themselves

    def begin(self, name: str, context: bytes) -> ActionSpan:
        """See Tracer."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        around = TraceContextTextMapPropagator().extract({"traceparent": context.decode()})
        return ActionSpan(self._tracer.start_span(name, around, SpanKind.CONSUMER))


@functools.cache
def _tracer(node: str) -> SpanTracer:
    try:
        return SpanTracer(node)
    except ImportError as error:
        raise ConfigError(
            f"--otel needs packages ({error.name}): pip install 'zactor[otel]'"
        ) from None


def flush() -> None:
    """At the end of the process: the last spans, if there are any."""
    if _tracer.cache_info().currsize and "opentelemetry.trace" in sys.modules:
        provider: Any = sys.modules["opentelemetry.trace"].get_tracer_provider()
        provider.force_flush(_FLUSH_MS)
