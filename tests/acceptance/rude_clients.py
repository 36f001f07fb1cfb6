"""Clients that speak the wire by hand and say what no honest one does; what it costs a node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import zmq

from zactor.kernel.messages.operations import Answer, Operation, Problem, Request
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.wire import codec

PATIENCE_MS = 20_000
DONE_S = 8.0  # for what takes 0.1 s on a quiet machine
COUNTER = """
from zactor import Actor, action


class Counter(Actor):
    @action
    def ping(self) -> int:
        return 1
"""


class Unmet(AssertionError):
    """A node doesn't do what it promises; not raised for what only prepares a test."""


def demand(holds: bool, otherwise: str) -> None:
    """Raise Unmet, with what happens otherwise, unless it holds."""
    if not holds:
        raise Unmet(otherwise)


class RudeClient:
    """A socket at a node's door that knows the cluster's keys."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._number = 0

    def send(self, operation: Operation, id: str = "") -> None:
        """Ask for something; don't wait for the answer."""
        self._number += 1
        request = Request(self._number, operation, 0.0, id)
        self._socket.send_multipart(codec.encode_request(request))

    def ask(self, operation: Operation, id: str = "") -> Answer | Problem:
        """Ask for something and return the answer."""
        self.send(operation, id)
        assert self._socket.poll(PATIENCE_MS), f"no answer to {type(operation).__name__}"
        found = codec.decode_outbound(self._socket.recv_multipart())
        assert isinstance(found, Answer | Problem)
        return found


@contextlib.contextmanager
def rude_client(home: Path, endpoint: str, *, small: bool = False) -> Iterator[RudeClient]:
    """Open a door at HOST:PORT; with `small` hardly anything fits into what the client buffers."""
    keys = cluster_keys(home)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        if small:
            socket.set(zmq.RCVHWM, 1)
            socket.set(zmq.RCVBUF, 4_096)
        socket.curve_publickey, socket.curve_secretkey = keys.door.public, keys.door.secret
        socket.curve_serverkey = keys.server.public
        socket.connect(f"tcp://{endpoint}")
        yield RudeClient(socket)


def resident_bytes(pid: int) -> int:
    """Return what a process holds of memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def busy_s(pid: int) -> float:
    """Return how long a process has computed, all its threads: no other process adds to that."""
    total_ns = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            total_ns += int(file.read_text().split()[0])
    return total_ns / 1e9
