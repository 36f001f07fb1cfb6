"""Row L: three group engines in one thread, all sending; deliveries per second of all three.

It is also what one node with a core to itself could deliver, if it had nothing else to do than the
engine and its coding. Each packet is encoded once and decoded by each receiver, as over links.
`turn` is how many messages a node submits in one turn of its loop: 1 is a quiet node, 64 one under
load. The raw limit is the coding
of the same items alone.
"""

from __future__ import annotations

import argparse
import time
from collections import deque

import msgspec
from _common import best_rate, report

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import EngineMessage, GroupItem
from zactor.kernel.messages.service import Service

NODES = tuple(NodeId(name, 1) for name in "abc")
PAYLOAD = b"x" * 32

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EngineMessage)
_items = msgspec.msgpack.Decoder(tuple[GroupItem, ...])


def now_ms() -> int:
    """The clock of all three."""
    return int(time.perf_counter() * 1000)


class Trio:
    """Three nodes in one view, each with one session in the group."""

    def __init__(self) -> None:
        self.engines = {node: Engine(node, now_ms()) for node in NODES}
        self.inbox: dict[NodeId, deque[tuple[NodeId, bytes]]] = {node: deque() for node in NODES}
        self.delivered = dict.fromkeys(NODES, 0)
        self.paused = dict.fromkeys(NODES, False)
        while any(len(engine.view.members) < len(NODES) for engine in self.engines.values()):
            self.turn()
        for node in NODES:
            self.step(node, events.SessionOpened("s"))
            self.step(node, events.Join("s", "red"))
        groups = [engine.multicast.groups for engine in self.engines.values()]
        while any(len(one.members("red")) < len(NODES) for one in groups):
            self.turn()

    def step(self, node: NodeId, event: events.Event) -> None:
        """One step, and what follows from it."""
        handed = handed_bytes = 0
        for effect in self.engines[node].step(event, now_ms()):
            match effect:
                case out.Send():
                    data = _encoder.encode(effect.message)
                    for other in effect.to:
                        self.inbox[other].append((node, data))
                case out.Publish():
                    for other in NODES:
                        if other != node:
                            self.step(other, events.Heard(effect.heartbeat))
                case out.Deliver():
                    for message, sessions in effect.messages:
                        if sessions:
                            handed += 1
                            handed_bytes += len(message.payload)
                case out.Pause() | out.Resume():
                    self.paused[node] = isinstance(effect, out.Pause)
                case _:
                    pass
        if handed:
            self.delivered[node] += handed
            self.step(node, events.Consumed((("s", handed, handed_bytes),)))

    def turn(self) -> None:
        """One turn of each node's loop."""
        for node in NODES:
            inbox = self.inbox[node]
            for _ in range(len(inbox)):
                peer, data = inbox.popleft()
                self.step(node, events.Received(peer, _decoder.decode(data)))
            self.step(node, events.Drained())
            if self.engines[node].deadline_ms <= now_ms():
                self.step(node, events.Tick())

    def send(self, service: Service, count: int, each_turn: int) -> int:
        """Send `count` messages from each node; return how many deliveries that made."""
        before, left = sum(self.delivered.values()), dict.fromkeys(NODES, count)
        want = before + count * len(NODES) ** 2
        event = events.Submit("s", service, ("red",), PAYLOAD)
        while sum(self.delivered.values()) < want:
            for node in NODES:
                if not self.paused[node]:
                    for _ in range(min(left[node], each_turn)):
                        self.engines[node].submit(event)
                        left[node] -= 1
            self.turn()
        return want - before


def raw_coding() -> int:
    """Encode a batch once and decode it twice: what three deliveries of it need."""
    batch = (GroupItem(1, Service.AGREED, "s", ("red",), False, 0, PAYLOAD),) * 128
    for _ in range(100):
        data = _encoder.encode(batch)
        _items.decode(data)
        _items.decode(data)
    return 100 * 128 * 3


def main() -> None:
    """Print six rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    raw, trio = best_rate(raw_coding), Trio()
    for service in (Service.AGREED, Service.SAFE):
        for each_turn in (1, 8, 64):
            count = options.count if each_turn > 1 else options.count // 10

            def work(service: Service = service, n: int = count, turn: int = each_turn) -> int:
                return trio.send(service, n, turn)

            row = f"L {service.value} {each_turn} a turn"
            report(row, best_rate(work), "deliveries/s of three engines", raw)


if __name__ == "__main__":
    main()
