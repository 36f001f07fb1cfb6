"""Metrics port: what one node counts, for Prometheus, from a process of its own beside the node.

No node speaks HTTP: `zactor node --metrics` starts this process, which is a client at that node's
door and ends with it, however the node ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zactor.client.connect import connect
from zactor.kernel import forks
from zactor.kernel.errors import ConfigError, NotReachable, ZactorError
from zactor.supervisor.membership.run_directory import near, read_entries
from zactor.supervisor.observe.metrics import NodeCounts
from zactor.web.prometheus import metrics_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

ANSWER_S = 5.0
READY = "ready"
END_S = 2.0


class NodeMetrics:
    """Collects the metrics of the node that a process is. Threads: any."""

    def __init__(self, home: Path, pid: int) -> None:
        """`pid` is the node's."""
        self._home = home
        self._pid = pid

    def collect(self) -> Iterator[Metric]:
        """Yield its metrics as they are now.

        Raises:
            NotReachable: it has no name yet, or doesn't answer.
        """
        for entry in read_entries(self._home):
            if entry.pid == self._pid and entry.name:
                with connect(near(entry), home=self._home, timeout=ANSWER_S) as master:
                    found = master.watch({}, node=entry.name)
                yield from metrics_of(msgspec.convert(found, list[NodeCounts]))
                return
        raise NotReachable("the node isn't there, or has no name yet")


def check_package() -> None:
    """Raise ZactorError where prometheus_client isn't installed."""
    try:
        import prometheus_client
    except ImportError:
        raise ZactorError("--metrics needs a package: pip install 'zactor[metrics]'") from None
    del prometheus_client


@contextlib.contextmanager
def metrics_port(home: Path, host: str, port: int) -> Iterator[None]:
    """Serve the metrics of the node that this process is, while the block runs.

    Raises:
        ConfigError: it can't listen there. ZactorError: a package is missing.
    """
    check_package()
    words = [sys.executable, "-P", "-m", __name__, str(home), host, str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, process_group=0, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        lifeline = child.stdin.fileno()
        forks.keep_private(lifeline)  # an actor's child that outlives us shall not hold it
        try:
            said = child.stdout.readline().strip()
            if said != READY:
                raise ConfigError(f"--metrics: can't listen at {host}, port {port}: {said}")
            yield
        finally:
            forks.shared_again(lifeline)
            child.stdin.close()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                child.kill()


def main(arguments: list[str]) -> int:
    """Serve until stdin is closed: `HOME HOST PORT`; the node is the parent."""
    from prometheus_client import CollectorRegistry, start_http_server

    home, host, port = arguments
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeMetrics(Path(home), os.getppid()))
    try:
        server, _ = start_http_server(int(port), addr=host, registry=registry)
    except OSError as error:
        print(error.strerror or error, flush=True)
        return 1
    print(READY, flush=True)
    sys.stdin.read()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
