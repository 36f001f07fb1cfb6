"""Row J: 100 B to a group of three clients at three nodes, AGREED and SAFE, all processes here.

Delivered per receiver and second while all three send, with single calls and with batch calls, and
what one client waits for its own message. With `--cpu` what a message took of the processor, in us,
at the three nodes and at the three clients: read that where others use the machine.

The raw limit of the rate is what one core needs to encode a message for two peers and a client and
to decode it again, in batches, without an engine; of the trip, what two round trips over sockets
like those of a client and a link take.
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

Cpu = dict[str, float]


def clients(
    lab: Lab, count: int, service: str, what: str, size: int = 100
) -> list[dict[str, float]]:
    """Run one client at each node and return what they printed."""
    children = [
        subprocess.Popen(
            [
                *(sys.executable, str(CLIENT), str(lab.home), lab.endpoint(node)),
                *(f"c{number}", str(len(NODES)), str(count), service, what, str(size)),
                *(str(lab.pid(name)) for name in NODES),
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


def rate(lab: Lab, options: argparse.Namespace, service: str, what: str) -> tuple[float, Cpu]:
    """What the slowest receiver got in a second, and what each message cost, in us."""
    found = clients(lab, options.count, service, what, options.size)
    messages = options.count * len(NODES)
    cpu = {
        "cpu_us_nodes": round(max(one["nodes_s"] for one in found) / messages * 1e6, 2),
        "cpu_us_clients": round(sum(one["cpu_s"] for one in found) / messages * 1e6, 2),
    }
    return min(one["rate"] for one in found), cpu if options.cpu else {}


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
    """Print six rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--size", type=int, default=100, help="bytes of a message, of rates")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--what", default="rate,batch,trip")
    options = parser.parse_args()
    coding, wire = best_rate(raw_coding), raw_trip()
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        try:
            for name in NODES:
                lab.start(name)
            for service in ("agreed", "safe"):
                for what in options.what.split(","):
                    if what == "trip":
                        found = clients(lab, 2_000, service, what)[0]
                        p99 = round(found["p99"])
                        report(f"J {service} trip", found["p50"], "us", wire, p99=p99)
                    else:
                        best, cpu = rate(lab, options, service, what)
                        report(f"J {service} {what}", best, "msgs/s per receiver", coding, **cpu)
        finally:
            lab.close()


if __name__ == "__main__":
    main()
