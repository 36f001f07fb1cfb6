"""One stream of events: each sink has an event in its own words, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.messages.knowledge import Change
from zactor.kernel.messages.views import ViewId
from zactor.supervisor.kb import trace
from zactor.supervisor.observe import events
from zactor.supervisor.observe.events import Event, Events, to_log
from zactor.supervisor.observe.journal import Journal
from zactor.supervisor.observe.trace_log import TraceLog

N1 = NodeId("n1", 1)
CHANGE = Change(1, 2, "m1@1#1", "m1", "why", 7.0, ("p(1)",), ("p(2)",), b"\x01")
TOLD: tuple[Event, ...] = (
    events.NodeUp(N1, "node"),
    events.NodeOutOfView(N1, "cut"),
    events.NodeSuspect("n1@1"),
    events.NodeHeard("n1@1"),
    events.NodeStuck("n1"),
    trace.Applied(CHANGE),
    trace.Replaced(Clock(1, 2), b"\x01"),
    trace.CommitAck(Clock(1, 2), b"\x01", "m1@1#1"),
    trace.BecamePrimary(ViewId(3, N1), 2, ("n1",), ("n1", "n2"), Clock(1, 2)),
    trace.LostPrimary("cut"),
)


def test_each_sink_has_its_own_words_for_what_concerns_it(tmp_path: Path) -> None:
    journal, traces = Journal("m1"), TraceLog(tmp_path, N1)
    stream = Events((traces.take, to_log, journal.take))
    with structlog.testing.capture_logs() as logged:
        for event in TOLD:
            stream.tell(event)
    traces.close()
    lines = [json.loads(line) for line in (tmp_path / "n1@1.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k not in "tp"} for line in lines] == [
        {"k": "suspect", "q": "n1@1"},
        {"k": "alive", "q": "n1@1"},
        {"k": "kb_apply", "clock": [1, 2], "hash": "01", "id": "m1@1#1"},
        {"k": "kb_apply", "clock": [1, 2], "hash": "01", "taken": True},
        {"k": "kb_ack", "clock": [1, 2], "hash": "01", "id": "m1@1#1"},
        {
            "k": "primary",
            "v": [3, "n1@1"],
            "epoch": 2,
            "members": ["n1"],
            "voices": ["n1", "n2"],
        },
        {"k": "lost", "reason": "cut"},
    ]
    own = ("number", "at", "node")
    assert [{k: v for k, v in e.items() if k not in own} for e in journal.events(0)] == [
        {"event": "node_up", "name": "n1", "incarnation": 1},
        {"event": "node_gone", "name": "n1", "incarnation": 1, "why": "cut"},
        {"event": "node_stuck", "name": "n1"},
        {"event": "changed", "clock": (1, 2), "retracted": ("p(1)",), "asserted": ("p(2)",)},
        {"event": "knowledge_base_taken_over", "clock": [1, 2]},
        {"event": "primary", "members": ["n1"]},
        {"event": "primary", "members": []},
    ]
    assert logged == [
        {"log_level": "info", "event": "node_up", "name": "n1", "incarnation": 1, "role": "node"},
        {
            "log_level": "warning",
            "event": "node_gone",
            "name": "n1",
            "incarnation": 1,
            "why": "cut",
        },
        {"log_level": "warning", "event": "node_stuck", "name": "n1"},
        {
            "log_level": "debug",
            "event": "kb_primary",
            "epoch": 2,
            "members": ["n1"],
            "clock": "1.2",
        },
        {"log_level": "debug", "event": "kb_primary_lost", "why": "cut"},
    ]
