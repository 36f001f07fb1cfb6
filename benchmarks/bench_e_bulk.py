"""Rows E: arrays of 1 MB and 64 MB from an actor to an actor of another node, on one host.

One after the other, each acknowledged by an answer, and eight under way. The raw limits are the
same bytes over plain sockets with CURVE, and (`unix`) over a Unix socket, in MB/s.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from _common import Cpu, options, report
from _raw import raw_bulk

from zactor import local

ACTORS = Path(__file__).with_name("_bulk_actors.py")
MB = 1_000_000
SIZES = {"1 MB": (MB, 200), "64 MB": (64 * MB, 8)}
UNDER_WAY = 8


def raw_unix(size: int, count: int) -> float:
    """Bytes/s of `count` messages of `size` bytes over a Unix socket, read into fresh memory."""
    ours, theirs = socket.socketpair()

    def receive() -> None:
        for _ in range(count):
            view = memoryview(bytearray(size))
            while len(view):
                view = view[theirs.recv_into(view) :]
            theirs.send(b"k")

    thread = threading.Thread(target=receive)
    thread.start()
    data = bytes(size)
    began = time.perf_counter()
    for _ in range(count):
        ours.sendall(data)
        ours.recv(1)
    took = time.perf_counter() - began
    thread.join()
    ours.close()
    theirs.close()
    return size * count / took


def main() -> None:
    """Print four rows."""
    chosen = options(__doc__).parse_args()
    with local(nodes=2) as cluster:
        m = cluster.master
        for kind, node in {"sender": "n1", "receiver": "n2"}.items():
            m.declare_factory(kind, ACTORS)
            m.deploy_actor(kind, kind, node)
        cpu = Cpu(cluster, chosen.cpu)
        for name, (size, count) in SIZES.items():
            limits = {"unix": round(raw_unix(size, count) / MB)}
            raw = raw_bulk(size, count) / MB
            for title, at_once in {"": 1, " at once": UNDER_WAY}.items():
                m.ask("sender", "send", "receiver", size, at_once, at_once, timeout=60)
                took, spent = cpu.of(
                    lambda size=size, count=count, at_once=at_once: m.ask(  # type: ignore[misc]
                        "sender", "send", "receiver", size, count, at_once, timeout=120
                    ),
                    count,
                )
                report(f"E {name}{title}", size * count / took / MB, "MB/s", raw, **limits, **spent)


if __name__ == "__main__":
    main()
