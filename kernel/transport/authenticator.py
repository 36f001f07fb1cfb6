"""The authenticator: the ZAP handler that knows every key by name, in a thread of its own.

Source: ZeroMQ RFC 27 (ZAP). It must fail closed: sockets.py sets ZAP_ENFORCE_DOMAIN on whatever
it binds, without which a dead handler lets everybody in.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

import structlog
import zmq
from zmq.utils import z85

from zactor.kernel.limits import KEY_GRACE_MS, KEYS_WAITING_MAX
from zactor.kernel.transport.keys import fingerprint
from zactor.kernel.transport.log_throttle import LogThrottle

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_DOMAIN = "zactor"

_VERSION = b"1.0"
_ACCEPTED = (b"200", b"OK")
# "Temporary" on purpose: after a 400 the peer's libzmq gives its socket up for good and in
# silence; after a 300 it tries again, and gets in as soon as its key is admitted.
_REFUSED = (b"300", b"unknown key")
_BROKEN = (b"300", b"authenticator failed")
_MALFORMED = (b"400", b"want CURVE in our domain")
_WAITING_POLL_MS = 10
_IDLE_POLL_MS = 1_000  # only for the last line of a burst; whatever matters wakes the thread
_BIND_ATTEMPTS = 100

_numbers = itertools.count(1)  # of control sockets: a name in use a moment ago may still be taken
_log = structlog.get_logger()


class _Waiting(NamedTuple):
    envelope: list[bytes]  # routing id, empty frame
    request: bytes
    key: str
    address: str
    until_ms: int


class Authenticator:
    """Admits connections whose CURVE key was introduced; their User-Id is that key (Z85 text).

    A key that isn't known waits KEY_GRACE_MS for its introduction: two nodes that meet dial each
    other at once, and one of them is always early. Then it is refused, counted and logged.

    Threads: `admit`, `expel` and `label` may be called from any; `check` and `close` from the one
    that made it.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        on_refused: Callable[[str, str], None] | None = None,
    ) -> None:
        """Start at once, with nobody admitted.

        Args:
            on_refused: called in the handler's thread with (fingerprint, address) after a
                refusal; must be cheap.
        """
        self.refused = 0
        self._context = context
        self._on_refused = on_refused
        self._admitted: dict[str, str] = {}
        self._waiting: deque[_Waiting] = deque()
        self._throttle = LogThrottle()
        self._closed = False
        self._start()

    # -- who is admitted ---------------------------------------------------------------------
    def admit(self, public: bytes | str, label: str) -> None:
        """From now on connections with this key are accepted; `label` says in logs whose it is."""
        self._admitted[_text(public)] = label

    def expel(self, public: bytes | str) -> None:
        """From now on no new connection with this key is accepted.

        libzmq can't cut a connection that is up: whoever receives asks `label` for each frame.
        """
        self._admitted.pop(_text(public), None)

    def label(self, public: bytes | str) -> str | None:
        """Return the label under which the key is admitted, None when it isn't."""
        return self._admitted.get(_text(public))

    # -- life --------------------------------------------------------------------------------
    @property
    def alive(self) -> bool:
        """Whether the handler's thread runs. While it doesn't, nobody gets in."""
        return self._thread.is_alive()

    def check(self) -> bool:
        """Start a dead handler again, with an alarm in the log; return whether it was alive."""
        if self._closed or self.alive:
            return True
        self._control.close()
        self._start()
        _log.error("authenticator_restarted", admitted=len(self._admitted))
        return False

    def close(self) -> None:
        """Stop the thread. Connections that are up stay; no new one is accepted."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(zmq.ZMQError):  # it may be dying by itself
            self._control.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._control.close()

    def __enter__(self) -> Authenticator:
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

    def _start(self) -> None:
        handler = self._context.socket(zmq.ROUTER)
        handler.linger = 0
        _bind(handler)
        name = f"inproc://zactor.authenticator.{next(_numbers)}"
        self._control = self._context.socket(zmq.PAIR)
        self._control.linger = 0
        self._control.bind(name)
        control = self._context.socket(zmq.PAIR)
        control.connect(name)
        # The sockets belong to the thread from here on.
        self._thread = threading.Thread(
            target=self._run, args=(handler, control), name="zactor-authenticator", daemon=True
        )
        self._thread.start()

    # -- the handler's thread ----------------------------------------------------------------
    def _run(self, handler: zmq.Socket[bytes], control: zmq.Socket[bytes]) -> None:
        self._waiting.clear()
        try:
            while not control.poll(0):
                poller = zmq.Poller()
                poller.register(handler, zmq.POLLIN)
                poller.register(control, zmq.POLLIN)
                poller.poll(_WAITING_POLL_MS if self._waiting else _IDLE_POLL_MS)
                self._receive(handler)
                self._settle(handler)
                self._report(self._throttle.due(_now_ms()))
            self._report(self._throttle.rest())
        finally:
            handler.close()
            control.close()

    def _receive(self, handler: zmq.Socket[bytes]) -> None:
        for _ in range(KEYS_WAITING_MAX):
            try:
                frames = handler.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._handle(handler, frames)

    def _handle(self, handler: zmq.Socket[bytes], frames: list[bytes]) -> None:
        envelope, request = frames[:2], frames[3] if len(frames) > 3 else b""
        try:
            _, _, version, _, domain, address, _, mechanism, credential = frames
            if (version, domain, mechanism) != (_VERSION, ZAP_DOMAIN.encode(), b"CURVE"):
                raise ValueError("neither our domain nor CURVE")
            key = z85.encode(credential).decode()
        except ValueError:
            _reply(handler, envelope, request, _MALFORMED)
            self._refuse("", "")
            return
        waiting = _Waiting(
            envelope, request, key, address.decode("ascii", "replace"), _now_ms() + KEY_GRACE_MS
        )
        if self._accept(handler, waiting):
            return
        if len(self._waiting) < KEYS_WAITING_MAX:
            self._waiting.append(waiting)
        else:
            self._turn_away(handler, waiting)

    def _accept(self, handler: zmq.Socket[bytes], waiting: _Waiting) -> bool:
        """Answer if the key is admitted or can't be looked up; else it is for the caller to."""
        try:
            known = self.label(waiting.key) is not None
        except Exception as error:
            # Whatever goes wrong here must end in a refusal, and the thread must go on.
            _reply(handler, waiting.envelope, waiting.request, _BROKEN)
            _log.error("authenticator_failed", error=type(error).__name__)
            self._refuse(waiting.key, waiting.address)
            return True
        if known:
            _reply(handler, waiting.envelope, waiting.request, _ACCEPTED, waiting.key.encode())
        return known

    def _settle(self, handler: zmq.Socket[bytes]) -> None:
        """Look again at those who wait: in if admitted meanwhile, refused when their time is up."""
        now_ms = _now_ms()
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if self._accept(handler, waiting):
                continue
            if now_ms < waiting.until_ms:
                self._waiting.append(waiting)
            else:
                self._turn_away(handler, waiting)

    def _turn_away(self, handler: zmq.Socket[bytes], waiting: _Waiting) -> None:
        _reply(handler, waiting.envelope, waiting.request, _REFUSED)
        self._refuse(waiting.key, waiting.address)

    def _refuse(self, key: str, address: str) -> None:
        self.refused += 1
        print_ = fingerprint(key)
        self._report(self._throttle.add(_now_ms()), key=print_, address=address)
        if self._on_refused is None:
            return
        try:
            self._on_refused(print_, address)
        except Exception as error:
            _log.error("authenticator_failed", error=type(error).__name__, where="on_refused")

    def _report(self, count: int, **fields: str) -> None:
        if count:
            _log.warning("key_refused", count=count, refused=self.refused, **fields)


def _reply(
    handler: zmq.Socket[bytes],
    envelope: list[bytes],
    request: bytes,
    status: tuple[bytes, bytes],
    user: bytes = b"",
) -> None:
    handler.send_multipart([*envelope, _VERSION, request, *status, user, b""])


def _bind(handler: zmq.Socket[bytes]) -> None:
    for attempt in range(_BIND_ATTEMPTS):
        try:
            handler.bind(ZAP_ENDPOINT)
            return
        except zmq.ZMQError:
            # A predecessor gives the name back some time after it was closed.
            if attempt == _BIND_ATTEMPTS - 1:
                handler.close()
                raise
            time.sleep(0.001)


def _text(public: bytes | str) -> str:
    return public if isinstance(public, str) else public.decode("ascii")


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
