"""A laboratory for tests of networks: node processes to kill, and a proxy that cuts connections.

Everything is real: processes, sockets, signals. Nothing outlives `Lab.close`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zactor.master import connect
from zactor.supervisor.rundir import read_entries

DEADLINE_S = 30.0  # much, for busy machines


def until(what: str, condition: Callable[[], bool], within_s: float = DEADLINE_S) -> float:
    """Wait until `condition` holds; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(0.005)
    return time.monotonic() - began


class Lab:
    """Nodes of one home, each a process of its own, on a leash."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._read, self._write = os.pipe()

    def start(
        self, name: str, *options: str, role: str = "node", env: Mapping[str, str] | None = None
    ) -> None:
        """Start a node, with `env` beside our environment; wait until its door is open."""
        log = (self.home / f"{name}.log").open("ab")
        command = [*self.prefix(name), sys.executable, "-P", "-m", "zactor.supervisor"]
        command += ["--home", str(self.home), *self.options(name)]
        named = ["--name", name] if not name.startswith("unnamed") else []
        self.children[name] = subprocess.Popen(
            [*command, *named, "--role", role, "--leash", str(self._read), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(self._read,),
            cwd=self.home,
            env=None if env is None else os.environ | env,
        )
        log.close()
        pid = self.children[name].pid
        until(f"{name} opens its door", lambda: pid in {e.pid for e in read_entries(self.home)})

    def prefix(self, name: str) -> list[str]:
        """Return the words before a command that is to run on that node's host."""
        return []

    def options(self, name: str) -> list[str]:
        """Return what a node is told besides its name and home."""
        return []

    def endpoint(self, name: str) -> str:
        """Return HOST:PORT of a node's door."""
        pid = self.children[name].pid
        found = [entry for entry in read_entries(self.home) if entry.pid == pid]
        return found[0].endpoint.removeprefix("tcp://")

    def kill(self, name: str) -> None:
        """kill -9."""
        self.children[name].kill()
        self.children.pop(name).wait(DEADLINE_S)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.children[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.children[name].send_signal(signal.SIGCONT)

    def output(self, name: str) -> str:
        """Return what the node printed."""
        return (self.home / f"{name}.log").read_text()

    def close(self) -> None:
        """End everything."""
        os.close(self._write)
        for child in self.children.values():
            child.send_signal(signal.SIGCONT)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(DEADLINE_S)
        os.close(self._read)

    def names_up(self, at: str) -> set[str]:
        """Return the nodes that `at` has in its knowledge base and is connected to."""
        with connect(self.endpoint(at), home=self.home) as m:
            return {str(row["name"]) for row in m.nodes() if row["state"] == "up"}


class CuttingProxy:
    """Carries TCP connections to `target` and cuts all of them when told to."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def cut(self) -> int:
        """Break every connection that is open; return how many ends that were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for one in pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.cuts += 1
        return len(pairs)

    def close(self) -> None:
        """Stop for good."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(DEADLINE_S)
        self.cut()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=(source, sink))
                thread.start()
                self._threads.append(thread)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            source.close()
