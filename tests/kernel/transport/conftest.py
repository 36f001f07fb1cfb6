"""A door with its authenticator and monitor, and what is needed to attack it with real sockets."""

from __future__ import annotations

import contextlib
import socket as tcp
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import zmq
from deadlines import DEADLINE_S, join
from slowness import Slowness

from zactor.kernel.transport import sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.keys import ClusterKeys, KeyPair, cluster_keys
from zactor.kernel.transport.monitor import HandshakeCounter, MonitorThread

SERVED_S = 20.0  # when an honest client is given up; tests ask for less


class BoundDoor:
    """One bound door as a node has it, and honest clients of it."""

    def __init__(
        self, keys: ClusterKeys, authenticator: type[Authenticator] | None = Authenticator
    ) -> None:
        self.keys = keys
        self.slowness = Slowness()
        self.context = sockets.context()
        self.monitor = MonitorThread(self.context)
        self.counter = HandshakeCounter()
        self.authenticator = authenticator(self.context) if authenticator else None
        if self.authenticator:
            self.authenticator.admit(keys.door.public, "door")
        self.door, self.endpoint = sockets.bind_door(self.context, "127.0.0.1", None, keys.server)
        self.monitor.watch(self.door, HandshakeCounter.events, self.counter)
        self.port = int(self.endpoint.rpartition(":")[2])
        self.opened: list[zmq.Socket[bytes]] = [self.door]

    def keep(self, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        """Close this one too at the end."""
        self.opened.append(socket)
        return socket

    def client(
        self,
        pair: KeyPair | None = None,
        server_public: bytes | None = None,
        endpoint: str | None = None,
    ) -> zmq.Socket[bytes]:
        """Return a client's socket; the honest one's keys unless told otherwise."""
        return self.keep(
            sockets.connect_door(
                self.context,
                endpoint or self.endpoint,
                pair or self.keys.door,
                server_public or self.keys.server.public,
            )
        )

    def exchange(self, client: zmq.Socket[bytes], text: bytes = b"question") -> None:
        """Send `text` through the door and an answer back; fail after SERVED_S."""
        until = time.monotonic() + SERVED_S
        client.send(text)
        while time.monotonic() < until:
            if not self.door.poll(10):
                continue
            frames = self.door.recv_multipart(copy=False)
            if frames[-1].bytes != text:
                continue
            assert sockets.user_id(frames[-1]) == self.keys.door.public.decode()
            self.door.send_multipart([frames[0].bytes, b"answer"])
            assert client.poll(max(1, int((until - time.monotonic()) * 1000))), "no answer"
            assert client.recv() == b"answer"
            return
        raise AssertionError(f"not served within {SERVED_S} s")

    def serve_an_honest_client(self) -> float:
        """Connect a new client, serve it, and return how many s that takes on a quiet machine."""
        begun = time.monotonic()
        client = self.client()
        self.exchange(client, b"honest %d" % len(self.opened))
        client.close()
        return self.slowness.quiet_s(time.monotonic() - begun)

    def assert_nothing_delivered(self) -> None:
        """Nobody but honest clients got anything through the door."""
        assert not self.door.poll(30), self.door.recv_multipart()

    def raw(self) -> tcp.socket:
        """Return a bare TCP connection to the door."""
        made = tcp.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)
        made.setsockopt(tcp.IPPROTO_TCP, tcp.TCP_NODELAY, 1)
        return made

    def close(self) -> None:
        """Close everything, and fail if anything was left open."""
        self.slowness.close()
        self.monitor.close()
        for socket in self.opened:
            socket.close()
        if self.authenticator:
            self.authenticator.close()
        left = [socket for socket in self.context._sockets if not socket.closed]
        self.context.destroy(linger=0)
        assert not left


class Relay:
    """A man in the middle: passes bytes on, through `mangle` on their way to the door."""

    def __init__(self, port: int, mangle: Callable[[bytes], bytes] | None = None) -> None:
        self.to_door = b""  # what the client sent, as it sent it
        self.door_closed = threading.Event()
        self._mangle = mangle
        self._listener = tcp.create_server(("127.0.0.1", 0))
        self._door = tcp.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._client: tcp.socket | None = None
        self._accepted = threading.Event()
        self._threads = [threading.Thread(target=self._outward)]
        self._threads[0].start()

    def inject(self, data: bytes) -> None:
        """Put bytes into the stream towards the door."""
        self._door.sendall(data)

    def close(self) -> None:
        # The listener first and its thread's word for it: a client may come at this very moment.
        for each in (self._listener, self._door):
            with contextlib.suppress(OSError):
                each.shutdown(tcp.SHUT_RDWR)
        self._accepted.wait(DEADLINE_S)
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(tcp.SHUT_RDWR)
        join(*self._threads)
        for each in (self._client, self._door, self._listener):
            if each is not None:
                each.close()

    def _outward(self) -> None:
        try:
            self._client, _ = self._listener.accept()
        except OSError:
            return
        finally:
            self._accepted.set()
        back = threading.Thread(target=self._backward, args=(self._client,))
        self._threads.append(back)
        back.start()
        with contextlib.suppress(OSError):
            while data := self._client.recv(65_536):
                self.to_door += data
                self._door.sendall(self._mangle(data) if self._mangle else data)

    def _backward(self, client: tcp.socket) -> None:
        with contextlib.suppress(OSError):
            while data := self._door.recv(65_536):
                client.sendall(data)
        self.door_closed.set()


def _wait_until(condition: Callable[[], object], seconds: float = 2.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.002)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition; fail when it doesn't come true."""
    return _wait_until


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> ClusterKeys:
    """Keys of a cluster made for this run."""
    home: Path = tmp_path_factory.mktemp("home")
    return cluster_keys(home)


@pytest.fixture
def stranger() -> KeyPair:
    """A pair of nobody we know."""
    return KeyPair(*zmq.curve_keypair())


@pytest.fixture
def make_bound_door(keys: ClusterKeys) -> Iterator[Callable[..., BoundDoor]]:
    """Make bound doors with another authenticator, or none; closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(authenticator: type[Authenticator] | None = Authenticator) -> BoundDoor:
            bound = BoundDoor(keys, authenticator)
            stack.callback(bound.close)
            return bound

        yield make


@pytest.fixture
def bound(make_bound_door: Callable[..., BoundDoor]) -> BoundDoor:
    """One door, as a node has it."""
    return make_bound_door()


@pytest.fixture
def make_relay() -> Iterator[Callable[..., Relay]]:
    """Make men in the middle; closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(port: int, mangle: Callable[[bytes], bytes] | None = None) -> Relay:
            relay = Relay(port, mangle)
            stack.callback(relay.close)
            return relay

        yield make


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict[str, Any]]]:
    """What was logged, from every thread, instead of printing it."""
    lines: list[dict[str, Any]] = []

    def collect(_logger: object, method: str, event: Any) -> Any:
        lines.append({**event, "level": method})  # appending is atomic
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[collect])
    yield lines
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Nothing that was started may outlive its test."""
    before = set(threading.enumerate())
    yield
    _wait_until(lambda: set(threading.enumerate()) <= before)
