"""Prometheus: what is counted, as a scraper wants it; labels are node and type, never an actor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from zactor.client.master import Master
from zactor.supervisor.observe.metrics import NodeCounts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_OF_NODES = (
    ("process_resident_memory_bytes", "Resident memory of the node", "memory_bytes", False),
    ("process_cpu_seconds", "Processor time of the node", "cpu_s", True),
    ("uptime_seconds", "Since this life of the node began", "up_s", False),
    ("loop_late_seconds", "How late the loop of the node was", "late_ms", False),
    ("dead_letters", "Messages that were given up", "dead_letters", True),
    ("failed_actions", "Actions that raised", "failed_actions", True),
)
_OF_TYPES = (
    ("actors", "Actors that run", False),
    ("messages_handled", "Messages that actors handled", True),
    ("actions_failed", "Actions that raised", True),
    ("messages_waiting", "Messages in mailboxes", False),
    ("busy_seconds", "Time in actors' own code", True),
    ("signals_sent", "Signals that actors emitted", True),
)


async def exposition(master: Master) -> bytes | None:
    """Return all metrics as text; None: prometheus_client isn't installed."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        return None
    parts = msgspec.convert(await master.watch({}), list[NodeCounts])

    class Collected:
        def collect(self) -> Iterator[Metric]:
            yield from metrics_of(parts)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    return generate_latest(registry)


def metrics_of(parts: list[NodeCounts]) -> Iterator[Metric]:
    """Yield one family after the other."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    def family(
        name: str, text: str, labels: list[str], counts: bool
    ) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if counts else GaugeMetricFamily
        return kind(f"zactor_{name}", text, labels=labels)

    for name, text, field, counts in _OF_NODES:
        found = family(name, text, ["node"], counts)
        for part in parts:
            value = float(getattr(part, field))
            found.add_metric([part.node], value / 1000 if field == "late_ms" else value)
        yield found
    sums: dict[tuple[str, str], list[float]] = {}
    for part in parts:
        types = {kind.name: kind.type for kind in part.begun}
        for actor in part.actors:
            row = sums.setdefault((part.node, types[actor.name]), [0.0] * len(_OF_TYPES))
            sent = sum(actor.sent.values())
            counted = (1, actor.handled, actor.failed, actor.waiting, actor.worked_s, sent)
            for place, value in enumerate(counted):
                row[place] += value
    for place, (name, text, counts) in enumerate(_OF_TYPES):
        found = family(name, text, ["node", "type"], counts)
        for labels, row in sorted(sums.items()):
            found.add_metric(list(labels), row[place])
        yield found
