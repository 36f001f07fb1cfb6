"""Row J: 100 B to a group of three clients at three nodes, AGREED and SAFE, all processes here.

Delivered per receiver and second while all three send, and what one client waits for its own
message. The raw limit of the rate is what one core needs to encode a message for two peers and a
client and to decode it again, in batches, without an engine; of the trip, what two round trips over
sockets like those of a client and a link take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import zmq
from _common import best_rate, report

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupItem, GroupPacket, Kind
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId
from zactor.lab.lab import Lab

CLIENT = Path(__file__).with_name("_group_client.py")
NODES = ("n1", "n2", "n3")
BATCH = 128


def clients(lab: Lab, count: int, service: str, what: str) -> list[dict[str, float]]:
    """Run one client at each node and return what they printed."""
    children = [
        subprocess.Popen(
            [
                *(sys.executable, str(CLIENT), str(lab.home), lab.endpoint(node)),
                *(f"c{number}", str(len(NODES)), str(count), service, what),
            ],
            stdout=subprocess.PIPE,
        )
        for number, node in enumerate(NODES, 1)
    ]
    found = []
    for child in children:
        out, _ = child.communicate(timeout=300)
        found.append(json.loads(out))
    return found


def raw_coding() -> int:
    """Encode and decode a batch as often as its way through a node asks for."""
    node = NodeId("n1", 1)
    view = ViewId(1, node)
    item = GroupItem(1, Service.AGREED, "c1", ("room",), False, 0, b"x" * 100)
    packet = GroupPacket(view, node, 1, 1, Service.AGREED, Kind.DATA, 1, (item,) * BATCH)
    encoder = msgspec.msgpack.Encoder()
    decoder = msgspec.msgpack.Decoder(GroupPacket)
    for _ in range(100):
        for _ in range(3):
            data = encoder.encode(packet)
        decoder.decode(data)
    return 100 * BATCH


def raw_trip() -> float:
    """Microseconds of two round trips between two threads' sockets."""
    with zmq.Context() as context, context.socket(zmq.REP) as door:
        port = door.bind_to_random_port("tcp://127.0.0.1")
        code = (
            "import zmq; s = zmq.Context().socket(zmq.REQ);"
            f"s.connect('tcp://127.0.0.1:{port}')\n"
            "for _ in range(2000): s.send(b'x' * 100); s.recv()"
        )
        with subprocess.Popen([sys.executable, "-c", code]):
            door.recv()
            began = time.perf_counter()
            for _ in range(1999):
                door.send(b"y")
                door.recv()
            took = time.perf_counter() - began
            door.send(b"y")
        return took / 1999 * 2e6


def main() -> None:
    """Print four rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30_000)
    options = parser.parse_args()
    coding, wire = best_rate(raw_coding), raw_trip()
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        try:
            for name in NODES:
                lab.start(name)
            for service in ("agreed", "safe"):
                rates = [found["rate"] for found in clients(lab, options.count, service, "rate")]
                report(f"J {service} rate", min(rates), "msgs/s per receiver", coding)
                found = clients(lab, 2_000, service, "trip")[0]
                report(f"J {service} trip", found["p50"], "us", wire, p99=round(found["p99"]))
        finally:
            lab.close()


if __name__ == "__main__":
    main()
