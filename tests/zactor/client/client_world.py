"""Doors with someone behind them, for tests of the client: a real ROUTER with real keys."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import zmq
from deadlines import DEADLINE_S, join

from zactor.client.connection import Connection
from zactor.kernel.messages.operations import (
    Answer,
    Inspect,
    Operation,
    Problem,
    Request,
    Subject,
    TellActor,
)
from zactor.kernel.transport import keys, sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.wire import codec, results

Answers = Callable[[Request], list[Answer | Problem]]


class Porter:
    """A door with someone behind it who answers each request as `answer` says."""

    def __init__(self, home: Path, answer: Answers) -> None:
        self.answer = answer
        self.seen: list[Operation] = []
        self.ids: list[str] = []
        self._context = sockets.context()
        self._authenticator = Authenticator(self._context)
        known = keys.cluster_keys(home)
        self._authenticator.admit(known.door.public, "door")
        self._door, self.endpoint = sockets.bind_door(
            self._context, "127.0.0.1", None, known.server
        )
        self._stopping = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping:
            if self._door.poll(10):
                routing_id, *parts = self._door.recv_multipart()
                request = codec.decode_inbound(parts)
                assert isinstance(request, Request)
                self.seen.append(request.operation)
                self.ids.append(request.id)
                for outbound in self.answer(request):
                    self._send(routing_id, outbound)
        self._door.close()

    def _send(self, routing_id: bytes, outbound: Answer | Problem) -> None:
        try:
            self._door.send_multipart([routing_id, *codec.encode_outbound(outbound)])
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:  # who asked is gone
                raise

    def close(self) -> None:
        if not self._stopping:
            self._stopping = True
            join(self._thread)
            self._authenticator.close()
            self._context.destroy(linger=0)


def told(request: Request) -> list[Answer | Problem]:
    """Every question has the answer "told", except which nodes there are."""
    nodes = isinstance(request.operation, Inspect) and request.operation.what == "nodes"
    return list(results.answers(request.number, [] if nodes else "told"))


def only_probes(request: Request) -> list[Answer | Problem]:
    """Answer which nodes there are, and nothing else."""
    if request.operation == Inspect(what=Subject.NODES, argument=""):
        return list(results.answers(request.number, []))
    return []


class Doors:
    """Makes porters and connections, and closes them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.open: list[Porter | Connection] = []

    def porter(self, answer: Answers = told, home: Path | None = None) -> Porter:
        porter = Porter(home or self.home, answer)
        self.open.append(porter)
        return porter

    def connection(self, endpoint: str | None = None, home: Path | None = None) -> Connection:
        connection = Connection(endpoint, home=home or self.home)
        self.open.append(connection)
        return connection


LOOK = Inspect(what=Subject.STATUS, argument="")
CHANGE = TellActor(actor="c1", action="inc", payload=b"")


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def failure(future: Future[object]) -> BaseException:
    error = future.exception(timeout=DEADLINE_S)
    assert error is not None
    return error
