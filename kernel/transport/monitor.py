"""The monitor of connections: a thread that drains the monitors of all sockets.

libzmq's I/O thread writes each event with a blocking send. A monitor that nobody drains, or whose
reading end is gone, stops that thread for good, and with it every socket of the context (libzmq
#2829, #3575; a stranger who connects often enough can bring it about). Hence the rules here:
unlimited queues, a thread that does nothing but drain, and a reading end that is closed only
after libzmq said that it will write no more.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

import structlog
import zmq

from zactor.kernel.transport.log_throttle import LogThrottle

EventCallback = Callable[[int, int, str], object]
"""Called with (event, value, endpoint) in the monitor's thread; must be cheap."""

_TOLD = struct.Struct("=Hi")  # an event and its value: a descriptor, an error, a time in ms
_READ_A_TURN = 1_000  # events of one socket before the next has its turn
_IDLE_POLL_MS = 1_000  # only for the last line of a burst; whatever matters wakes the thread
_CLOSE_S = 2.0  # for libzmq to say that the monitors stopped

_numbers = itertools.count(1)  # of endpoints: a name in use a moment ago may still be taken
_log = structlog.get_logger()


class _Watch:
    """One watched socket: its reading end, and who wants to know."""

    __slots__ = ("callback", "name", "reader", "socket")

    def __init__(
        self,
        name: str,
        socket: zmq.Socket[bytes],
        reader: zmq.Socket[bytes],
        callback: EventCallback,
    ) -> None:
        self.name = name
        self.socket = socket
        self.reader = reader
        self.callback: EventCallback | None = callback  # None: nobody any more


class MonitorThread:
    """Tells about the connections of any number of sockets.

    Threads: `watch`, `unwatch` and `close` from the one that owns the sockets.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Start at once, with nothing to watch."""
        self._context = context
        self._watched: dict[zmq.Socket[bytes], _Watch] = {}
        self._arrivals: deque[_Watch] = deque()  # to the thread; a wake-up follows each
        self._closed = False
        wake = f"inproc://zactor.monitor.{next(_numbers)}"
        self._wake = context.socket(zmq.PAIR)
        self._wake.linger = 0
        self._wake.bind(wake)
        woken = context.socket(zmq.PAIR)
        woken.connect(wake)
        self._thread = threading.Thread(
            target=self._run, args=(woken,), name="zactor-monitor", daemon=True
        )
        self._thread.start()

    # -- the sockets' thread -----------------------------------------------------------------
    def watch(self, socket: zmq.Socket[bytes], events: int, callback: EventCallback) -> None:
        """From now on call `callback` for these events of the socket (zmq.EVENT_…).

        Watch before the socket connects or binds to miss nothing. One callback for a socket.
        """
        assert socket not in self._watched, "watched already"
        for closed in [each for each in self._watched if each.closed]:
            del self._watched[closed]
        name = f"inproc://zactor.monitor.{next(_numbers)}"
        reader = self._context.socket(zmq.PAIR)
        reader.linger = 0
        reader.set(zmq.RCVHWM, 0)  # of either end 0 means: without limit
        # The reading end first: an event without one would already block the I/O thread.
        reader.connect(name)
        socket.monitor(name, int(events) | int(zmq.EVENT_MONITOR_STOPPED))
        watch = _Watch(name, socket, reader, callback)
        self._watched[socket] = watch
        self._arrivals.append(watch)
        with contextlib.suppress(zmq.Again):  # then a thousand wake-ups wait already
            self._wake.send(b"", zmq.NOBLOCK)

    def unwatch(self, socket: zmq.Socket[bytes]) -> None:
        """No more events of this socket after this call; call it before closing the socket."""
        watch = self._watched.pop(socket, None)
        if watch is None:
            return
        watch.callback = None
        if not socket.closed:
            with contextlib.suppress(zmq.ZMQError):
                socket.disable_monitor()

    def close(self) -> None:
        """Stop watching everything and end the thread. The watched sockets stay open."""
        if self._closed:
            return
        self._closed = True
        for socket in list(self._watched):
            self.unwatch(socket)
        self._wake.send(b"stop")
        self._thread.join()
        self._wake.close()

    def __enter__(self) -> MonitorThread:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # -- the monitor's thread ----------------------------------------------------------------
    def _run(self, woken: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(woken, zmq.POLLIN)
        watches: dict[zmq.Socket[bytes], _Watch] = {}
        counters: set[HandshakeCounter] = set()
        stop_at: float | None = None
        while stop_at is None or (watches and time.monotonic() < stop_at):
            ready = poller.poll(_IDLE_POLL_MS if stop_at is None else 50)
            while self._arrivals:
                watch = self._arrivals.popleft()
                watches[watch.reader] = watch
                poller.register(watch.reader, zmq.POLLIN)
                if isinstance(watch.callback, HandshakeCounter):
                    counters.add(watch.callback)
            for reader, _ in ready:
                if reader is woken:
                    if _drain_wake(woken):
                        stop_at = time.monotonic() + _CLOSE_S
                elif self._drain(watches[reader]):
                    poller.unregister(reader)
                    del watches[reader]
                    reader.close()
            for counter in counters:
                counter.report()
        for reader in watches:
            reader.close()
        woken.close()

    def _drain(self, watch: _Watch) -> bool:
        """Pass on what the socket told; return whether that was the last of it."""
        for _ in range(_READ_A_TURN):
            try:
                what, there = watch.reader.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            # Not by pyzmq's parser: to it a value is flags too, and Python keeps each combination
            # of flags that ever was, so a node would grow with each new descriptor, for ever.
            event, value = _TOLD.unpack(what)
            if event == zmq.EVENT_MONITOR_STOPPED:
                return True
            callback = watch.callback
            if callback is None:
                continue
            try:
                callback(event, value, there.decode())
            except Exception as error:
                # Draining must go on, or the context dies; the callback is at fault, not we.
                watch.callback = None
                _log.error("monitor_callback_failed", error=repr(error))
        return False


def _drain_wake(woken: zmq.Socket[bytes]) -> bool:
    stop = False
    while True:
        try:
            stop = woken.recv(zmq.NOBLOCK) == b"stop" or stop
        except zmq.Again:
            return stop


class HandshakeCounter:
    """A callback for sockets that bind: counts who came, who got in and who failed, and how.

    Its state is a handful of numbers, however many come. One line in the log for each burst.

    Threads: called in the monitor's; read from any.
    """

    events = int(
        zmq.EVENT_ACCEPTED
        | zmq.EVENT_ACCEPT_FAILED
        | zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_DISCONNECTED
    )

    def __init__(self, on_disconnected: Callable[[], object] | None = None) -> None:
        """Nobody came yet. `on_disconnected` is called when somebody went, in the same thread."""
        self._on_disconnected = on_disconnected
        self.accepted = 0
        self.succeeded = 0
        self.failed_auth = 0  # the authenticator refused the key
        self.failed_protocol = 0  # not CURVE, not ZMTP, or another cluster's key
        self.failed_early = 0  # closed or silent before the handshake was through
        self.accept_failed = 0  # mostly: no file descriptor left
        self.disconnected = 0  # of all, also of those that had got in
        self._throttle = LogThrottle()

    def __call__(self, event: int, value: int, endpoint: str) -> None:
        """Count one event."""
        match event:
            case zmq.EVENT_ACCEPTED:
                self.accepted += 1
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.succeeded += 1
            case zmq.EVENT_DISCONNECTED:
                self.disconnected += 1
                if self._on_disconnected is not None:
                    self._on_disconnected()
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.failed_auth += 1
                self._fail()
            case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.failed_protocol += 1
                self._fail()
            case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self.failed_early += 1
                self._fail()
            case zmq.EVENT_ACCEPT_FAILED:
                self.accept_failed += 1
                self._fail()

    def counts(self) -> dict[str, int]:
        """Return all numbers by name."""
        return {
            "accepted": self.accepted,
            "succeeded": self.succeeded,
            "failed_auth": self.failed_auth,
            "failed_protocol": self.failed_protocol,
            "failed_early": self.failed_early,
            "accept_failed": self.accept_failed,
            "disconnected": self.disconnected,
        }

    def report(self) -> None:
        """Write the line of a burst that is due, if there is one."""
        self._say(self._throttle.due(_now_ms()))

    def _fail(self) -> None:
        self._say(self._throttle.add(_now_ms()))

    def _say(self, count: int) -> None:
        if count:
            _log.warning("handshake_refused", count=count, **self.counts())


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
