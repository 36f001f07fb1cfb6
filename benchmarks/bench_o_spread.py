"""Row O: the port for programs of Spread: floods, latencies, and what many programs cost.

Floods are spflooder's (RELIABLE, 200 on their way), over one node, by TCP and by its Unix socket,
and over three, of which one has the flooder and each a reader; raw is an echo over a bare socket
with the same frames and window. Latencies are of a message to oneself, in us. Memory is of 200
programs in 100 groups each, in bytes for one program and for one membership; and what a join costs
beside 200 programs, beside 2.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from _common import report

from zactor import Service
from zactor.lab.lab import Lab, until
from zactor.spread import SpreadConnection, SpreadMembership, SpreadMessage
from zactor.spread.flooder import GROUP, Flood, flood

WINDOW = 200
HEAD_BYTES = 80  # of a frame to one group


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def nodes(count: int) -> Iterator[tuple[Lab, list[str]]]:
    """Yield nodes with ports, and how programs name their daemons."""
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        names = [f"n{number}" for number in range(1, count + 1)]
        daemons = []
        try:
            for name in names:
                port = free_port()
                lab.start(name, "--spread", f"127.0.0.1:{port}")
                daemons.append(f"{port}@127.0.0.1")
            for name in names:
                until(f"all meet at {name}", lambda n=name: lab.names_up(n) == set(names))
            yield lab, daemons
        finally:
            lab.close()
            for daemon in daemons:  # a node that is killed leaves its Unix socket
                Path("/tmp", daemon.partition("@")[0]).unlink(missing_ok=True)


def raw_echo(size: int, count: int) -> float:
    """Messages a second of a bare socket that sends back what comes, WINDOW on their way."""
    ours, theirs = socket.socketpair()
    if not (child := os.fork()):
        ours.close()
        while data := theirs.recv(65_536):
            theirs.sendall(data)
        os._exit(0)
    theirs.close()
    frame = bytes(size + HEAD_BYTES)
    got = 0
    began = time.perf_counter()
    for sent in range(1, count + 1):
        ours.sendall(frame)
        while sent - got // len(frame) >= WINDOW:
            got += len(ours.recv(65_536))
    while got < count * len(frame):
        got += len(ours.recv(65_536))
    took = time.perf_counter() - began
    ours.close()
    os.waitpid(child, 0)
    return count / took


def label(daemons: list[str]) -> str:
    return f"{len(daemons)} nodes" + ", Unix socket" * ("@" not in daemons[0])


def bench_floods(daemons: list[str], messages: int) -> None:
    for size in (100, 1_000):
        with contextlib.ExitStack() as stack:
            readers = [
                stack.enter_context(SpreadConnection(daemon, "reader", membership=False))
                for daemon in daemons[1:]
            ]
            for reader in readers:
                reader.join(GROUP)
                reader.multicast(reader.private_group, b"")
                reader.receive()  # ordered behind its join: it misses nothing
            threads = [threading.Thread(target=drain, args=(each, messages)) for each in readers]
            for thread in threads:
                thread.start()
            with SpreadConnection(daemons[0], "flooder", membership=False) as box:
                wanted = Flood(messages=messages, bytes=size)
                rate = flood(box, wanted, lambda _: None).rates(size)["messages_per_s"]
            for thread in threads:
                thread.join()
        row = f"spread flood {size} B, {label(daemons)}"
        report(row, rate, "messages/s", raw_echo(size, messages))


def drain(box: SpreadConnection, count: int) -> None:
    got = 0
    while got < count:
        got += isinstance(box.receive(), SpreadMessage)


def bench_latency(daemons: list[str], count: int) -> None:
    for service in (Service.AGREED, Service.SAFE):
        with SpreadConnection(daemons[0], "one", membership=False) as box:
            took = []
            for _ in range(count):
                began = time.perf_counter()
                box.multicast(box.private_group, b"x" * 100, service)
                box.receive()
                took.append((time.perf_counter() - began) * 1e6)
        took.sort()
        row = f"spread {service.name} to oneself, {label(daemons)}"
        report(row, took[count // 2], "us", took[0], p99=round(took[count * 99 // 100]))


def rss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS")


def join_us(box: SpreadConnection, count: int) -> float:
    """What it takes until the own join of a new group is seen."""
    took = []
    for number in range(count):
        began = time.perf_counter()
        box.join(f"new{number}")
        while not isinstance(box.receive(), SpreadMembership):
            pass
        took.append((time.perf_counter() - began) * 1e6)
        box.leave(f"new{number}")
        box.receive()
    return median(took)


def bench_programs(lab: Lab, daemon: str, programs: int, groups: int) -> None:
    with contextlib.ExitStack() as stack:
        prober = stack.enter_context(SpreadConnection(daemon, "prober"))
        stack.enter_context(SpreadConnection(daemon, "other", membership=False))
        few_us = join_us(prober, 200)
        before = rss(lab.pid("n1"))
        many = [
            stack.enter_context(SpreadConnection(daemon, f"p{number}", membership=False))
            for number in range(programs)
        ]
        connected = rss(lab.pid("n1"))
        for box in many:
            for group in range(groups):
                box.join(f"g{group}")
        for box in many:  # what comes back has been ordered behind its joins
            box.multicast(box.private_group, b"")
            box.receive()
        joined = rss(lab.pid("n1"))
        many_us = join_us(prober, 200)
    each = (connected - before) / programs
    report("spread memory of a program", each, "bytes", each)
    per_group = (joined - connected) / programs / groups
    report("spread memory of a membership", per_group, "bytes", per_group)
    report(f"spread join beside {programs} programs", many_us, "us", few_us)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=50_000)
    messages = parser.parse_args().messages
    with nodes(1) as (lab, daemons):
        bench_floods(daemons, messages)
        bench_latency(daemons, 3_000)
        unix = [daemons[0].partition("@")[0]]
        bench_floods(unix, messages)
        bench_latency(unix, 3_000)
        bench_programs(lab, daemons[0], 200, 100)
    with nodes(3) as (_, daemons):
        bench_floods(daemons, messages)
        bench_latency(daemons, 3_000)


if __name__ == "__main__":
    main()
