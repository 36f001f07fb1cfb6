"""One trace follows asks and signals from a client through actors of several nodes (extra otel)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import BlockingCluster, Mailbox, RegularMessage, local
from zactor.kernel.errors import UnfitArguments
from zactor.kernel.wire.traced import current_context

pytest.importorskip("opentelemetry.sdk", reason="the extra zactor[otel] isn't installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace import TracerProvider

pytestmark = pytest.mark.slow

CODE = """
import asyncio
import os

from zactor import Actor, action, signal

class Front(Actor):
    done = signal(int)

    @action
    async def serve(self, number, far):
        found = await self.ref(far).work(number)
        self.done.emit(found)
        return found

    @action
    async def ask_for(self, whom, number, far):
        return await self.ref(whom).serve(number, far)

    @action
    def ping(self):
        self.done.emit(0)

class Back(Actor):
    @action
    def work(self, number):
        return 2 * number

    @action
    def fail(self):
        raise ValueError("no")

class Apart(Actor, dispatcher="process"):
    done = signal(int)

    async def on_start(self):
        await self.join("apart")

    @action
    async def serve(self, number, far):
        self.ref(far).work.tell(number)
        found = await self.ref("far").work(number)
        self.done.emit(found)
        return found

    @action
    def say(self, group, service):
        self.multicast(group, {"said": 1}, service=service)

    @action
    def fail(self):
        raise ValueError("no")

    @action
    def die(self):
        os._exit(1)

    def on_message(self, message):
        self.done.emit(7)

class Measuring(Actor, dispatcher="process"):
    def __init__(self):
        from opentelemetry import trace
        self.trace = trace

    @action
    async def measure(self):
        await asyncio.sleep(0)
        with self.trace.get_tracer("own").start_as_current_span("own") as span:
            self.ref("far").work.tell(1)
            return span.get_span_context().trace_id

class Fellow(Actor):
    done = signal(int)

    async def on_start(self):
        await self.join("fellows")

    @action
    async def say(self, group, value, service):
        await self.multicast(group, value, service=service)

    def on_message(self, message):
        self.done.emit(8)

class Ear(Actor):
    def __init__(self):
        self.heard = []

    @action
    def done(self, number):
        self.heard.append(number)

    @action
    def all(self):
        return self.heard
"""


class Collector:
    """Takes spans as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        outer.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(DEADLINE_S)

    def named(self, *names: str) -> dict[str, Any]:
        """Wait for these spans; return the last of each name."""
        end = time.monotonic() + DEADLINE_S
        while not set(names) <= {span.name for span in self.spans}:
            assert time.monotonic() < end, [span.name for span in self.spans]
            time.sleep(0.01)
        return {span.name: span for span in self.spans}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BlockingCluster]:
    """n1 and n2 tell of spans, n3 doesn't."""
    code = tmp_path_factory.mktemp("spans") / "served.py"
    code.write_text(CODE)
    env = {
        "ZACTOR_OTEL": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with local(nodes=0) as cluster:
        for name in ("n1", "n2"):
            cluster.start(name, env)
        cluster.start("n3")
        m = cluster.master
        for kind in ("front", "back", "ear", "apart", "measuring", "fellow"):
            m.declare_factory(kind, code)
        for kind, name, node in [
            ("front", "front", "n1"),
            ("back", "near", "n1"),
            ("back", "far", "n2"),
            ("back", "dark", "n3"),
            ("ear", "here", "n1"),
            ("ear", "there", "n2"),
            ("ear", "over", "n2"),
            ("apart", "apart", "n2"),
            ("measuring", "measuring", "n1"),
            ("fellow", "one", "n1"),
            ("fellow", "two", "n2"),
            ("ear", "last", "n1"),
        ]:
            m.deploy_actor(kind, name, node)
        for ear, service in (("here", "fifo"), ("there", "fifo"), ("over", "agreed")):
            m.react_interaction(ear, "front", "done", service=service)
        for emitter in ("apart", "two"):
            m.react_interaction("last", emitter, "done")
        yield cluster


@pytest.fixture
def span() -> Iterator[Any]:
    with TracerProvider().get_tracer("test").start_as_current_span("client") as span:
        yield span


def parents(spans: dict[str, Any], trace: int) -> dict[str, str]:
    """By name of each span of a trace the name of its parent; "": it isn't among them."""
    ids = {span.span_id: name for name, span in spans.items()}
    wanted = trace.to_bytes(16, "big")
    return {
        name: ids.get(span.parent_span_id, "")
        for name, span in spans.items()
        if span.trace_id == wanted
    }


def test_a_trace_goes_from_a_client_through_asks_and_signals_of_two_nodes(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    for number, back in enumerate(("near", "far")):
        collector.spans.clear()
        assert cluster.master.ask("front", "serve", number, back) == 2 * number
        asked = f"{back}.work"
        spans = collector.named("front.serve", asked, "here.done", "there.done", "over.done")
        context = span.get_span_context()
        assert parents(spans, context.trace_id) == {
            "front.serve": "",
            asked: "front.serve",
            "here.done": "front.serve",
            "there.done": "front.serve",
            "over.done": "front.serve",
        }
        assert spans["front.serve"].parent_span_id == context.span_id.to_bytes(8, "big")


def test_a_signal_that_a_client_sends_and_an_action_that_raises_are_in_the_trace(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    cluster.master.send_signal("front", "done", 7)
    cluster.master.tell("far", "fail")
    spans = collector.named("here.done", "there.done", "over.done", "far.fail")
    trace = span.get_span_context().trace_id
    assert len(parents(spans, trace)) == 4
    assert spans["far.fail"].status.code == 2
    assert spans["here.done"].status.code == 0


def test_a_node_that_tells_of_no_spans_does_what_it_is_asked(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    assert cluster.master.ask("front", "serve", 4, "dark") == 8
    assert cluster.master.ask("dark", "work", 5) == 10
    spans = collector.named("front.serve", "here.done", "there.done", "over.done")
    assert "dark.work" not in spans


def test_arguments_are_checked_within_a_span_as_without(
    cluster: BlockingCluster, span: Any
) -> None:
    with pytest.raises(UnfitArguments):
        cluster.master.ask("far", "work", 1, 2, 3)


def test_what_is_said_outside_of_any_span_makes_none(
    cluster: BlockingCluster, collector: Collector
) -> None:
    assert current_context() == b""
    collector.spans.clear()
    m = cluster.master
    m.ask("front", "ping")
    before = len(m.ask("there", "all"))
    with TracerProvider().get_tracer("test").start_as_current_span("client"):
        m.ask("near", "work", 1)
    collector.named("near.work")
    assert [span.name for span in collector.spans] == ["near.work"]
    assert before


def test_a_trace_goes_through_an_actor_in_a_process_of_its_own(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    assert cluster.master.ask("front", "ask_for", "apart", 3, "near") == 6
    trace = span.get_span_context().trace_id
    names = ("front.ask_for", "apart.serve", "near.work", "far.work", "last.done")
    assert parents(collector.named(*names), trace) == {
        "front.ask_for": "",
        "apart.serve": "front.ask_for",
        "near.work": "apart.serve",
        "far.work": "apart.serve",
        "last.done": "apart.serve",
    }


def test_the_span_of_an_action_is_told_though_its_process_raised_or_died(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    cluster.master.tell("apart", "fail")
    failed = collector.named("apart.fail")["apart.fail"]
    assert failed.status.code == 2
    assert "ValueError: no" in failed.status.message
    cluster.master.deploy_actor("apart", "mortal", "n1")
    cluster.master.tell("mortal", "die")
    died = collector.named("mortal.die")["mortal.die"]
    assert died.status.code == 2
    assert "ActorDied" in died.status.message
    assert died.trace_id == span.get_span_context().trace_id.to_bytes(16, "big")


def test_what_an_actor_measures_in_its_own_process_is_part_of_the_trace(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    trace = span.get_span_context().trace_id
    assert cluster.master.ask("measuring", "measure") == trace
    found = parents(collector.named("measuring.measure", "far.work"), trace)
    assert found == {"measuring.measure": "", "far.work": "measuring.measure"}


@pytest.mark.parametrize("service", ["fifo", "agreed", "safe"])
def test_a_trace_goes_through_multicasts_to_members_of_two_nodes(
    cluster: BlockingCluster, collector: Collector, span: Any, service: str
) -> None:
    trace = span.get_span_context().trace_id
    collector.spans.clear()
    cluster.master.ask("one", "say", "fellows", ["said"], service)
    assert parents(collector.named("one.on_message", "two.on_message", "last.done"), trace) == {
        "one.say": "",
        "one.on_message": "one.say",
        "two.on_message": "one.say",
        "last.done": "two.on_message",
    }


def test_a_trace_goes_through_multicasts_from_and_to_actors_in_processes_of_their_own(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    trace = span.get_span_context().trace_id
    collector.spans.clear()
    cluster.master.ask("apart", "say", "apart", "agreed")
    assert parents(collector.named("apart.say", "apart.on_message", "last.done"), trace) == {
        "apart.say": "",
        "apart.on_message": "apart.say",
        "last.done": "apart.on_message",
    }


def test_a_multicast_of_bytes_arrives_as_it_is_and_ends_the_trace(
    cluster: BlockingCluster, collector: Collector, span: Any
) -> None:
    collector.spans.clear()
    with Mailbox("listener", home=cluster.home) as mailbox:
        mailbox.join("raw")
        cluster.master.ask("one", "say", "raw", b"plain", "agreed")
        while not isinstance(got := mailbox.receive(timeout=DEADLINE_S), RegularMessage):
            pass
    assert got.payload == b"plain"
    collector.named("one.say")
