"""RPyC: calls between two processes of this machine, without encryption."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from _peer import TEXT, best, report, timed

try:
    import rpyc
except ImportError:
    sys.exit("no rpyc here: pip install rpyc")

COUNT = 20_000
MB = 1_000_000
CONFIG = {"allow_public_attrs": True}


class Sink(rpyc.Service):
    """The other side."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def exposed_echo(self, value: int) -> int:
        """Answer."""
        return value

    def exposed_number(self, number: int, text: str) -> None:
        """Count."""
        self.count += 1

    def exposed_counted(self) -> int:
        """How many there were."""
        return self.count

    def exposed_take(self, data: bytes) -> int:
        """Swallow."""
        return len(data)


def serve() -> None:
    """Be the other process: print the port."""
    from rpyc.utils.server import OneShotServer

    server = OneShotServer(Sink, hostname="127.0.0.1", port=0, protocol_config=CONFIG)
    print(server.port, flush=True)
    server.start()


def one_way(root: Any) -> tuple[int, float]:
    """Calls that nobody waits for, until all are counted."""
    number = rpyc.async_(root.number)
    before = root.counted()

    def run() -> None:
        for index in range(COUNT):
            number(index, TEXT)
        while root.counted() < before + COUNT:
            pass

    return COUNT, timed(run)


def asks(root: Any) -> float:
    """The median of a call, in µs."""
    taken = []
    for index in range(5_000):
        began = time.perf_counter()
        root.echo(index)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2] * 1e6


def bulk(root: Any, size: int, count: int) -> float:
    """MB/s."""
    data = bytes(size)
    return size * count / timed(lambda: [root.take(data) for _ in range(count)]) / MB


def main() -> None:
    """Start the other process and call it."""
    child = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        connection = rpyc.connect("127.0.0.1", int(child.stdout.readline()), config=CONFIG)
        root = connection.root
        report("rpyc", "C", best(lambda: one_way(root)), "signals/s")
        report("rpyc", "D", asks(root), "µs p50")
        report("rpyc", "E 1 MB", bulk(root, MB, 100), "MB/s")
        report("rpyc", "E 64 MB", bulk(root, 64 * MB, 4), "MB/s")
        connection.close()
    finally:
        child.kill()
        child.communicate()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
