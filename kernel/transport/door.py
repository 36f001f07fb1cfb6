"""The door: the ROUTER at which everything arrives, and from which clients get their answers.

The rule a reader must not break: the descriptor of a ZeroMQ socket tells only of changes, and any
call on the socket may swallow one. So whoever stops reading early, or sends, looks again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
import zmq

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.frames import Inbound, LinkFrame
from zactor.kernel.messages.operations import Answer, Problem, Request
from zactor.kernel.transport import sockets
from zactor.kernel.transport.door_clients import Client, ClientWatch
from zactor.kernel.transport.keys import KeyPair
from zactor.kernel.transport.log_throttle import LogThrottle
from zactor.kernel.transport.monitor import HandshakeCounter
from zactor.kernel.transport.short_way import LongWay, ShortWay
from zactor.kernel.transport.socket_context import Address, SocketContext
from zactor.kernel.transport.unread_answers import Body, UnreadAnswers
from zactor.kernel.wire import codec
from zactor.kernel.wire.item_by_item import decode_arrived
from zactor.kernel.wire.item_size import weight_of

log = structlog.get_logger()

RETRY_S = 0.002  # between attempts to send to a client whose queue is full …
RETRY_IDLE_S = 0.02  # … and while none of them takes anything
FRAMES_A_TURN = 64  # frames read before the loop may look at its timers again
_POLLIN = int(zmq.POLLIN)  # an enum's own & costs a microsecond
_NOTHING = codec.encode_outbound(Answer(0, False, b"\xc0"))  # no request has the number 0


class Door:
    """One node's door. Kernel's loop only."""

    def __init__(
        self,
        shared: SocketContext,
        address: Address,
        *,
        server: KeyPair,
        take: Callable[[bytes, str, Inbound, str], None],
        after: Callable[[], None],
        short: ShortWay | None = None,
    ) -> None:
        """Bind in the running loop.

        Args:
            take: called with the routing id of who sent it, the key it authenticated with, what
                came, and for a request the address it comes from, in numbers. It may raise
                RemoteProtocolError, which is counted.
            after: called when what was there has been taken.
            short: how what is there is read; None: by the loop.

        Raises:
            ConfigError: the address isn't ours, or taken.
        """
        self.frames_in = 0
        self.frames_refused = 0
        self.answers_dropped = 0
        self._take = take
        self._after = after
        self._refused = LogThrottle()
        self._is_lone = False  # what was read last is a frame with one item
        self._look_due = False
        self._unread: dict[bytes, UnreadAnswers] = {}  # by client
        self._retry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._short = short or LongWay(self._loop)
        self.clients = ClientWatch(self._reaches)
        self.handshakes = HandshakeCounter(self.clients.somebody_went)
        self._socket, self.endpoint = sockets.bind_door(
            shared.context,
            address.host,
            address.port,
            server,
            address.first,
            is_beside=address.is_beside,
        )
        self.port = int(self.endpoint.rpartition(":")[2])
        shared.monitor.watch(self._socket, self.handshakes.events, self.handshakes)
        self._short.watch(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Close it; the monitor must have been closed before."""
        if self._retry is not None:
            self._retry.cancel()
        self.clients.close()
        self._short.unwatch(self._socket.fileno())
        self._socket.close()

    def counters(self) -> dict[str, int]:
        """Return how many frames came, were refused, and how many answers were dropped."""
        return {
            "frames_in": self.frames_in,
            "frames_refused": self.frames_refused,
            "answers_dropped": self.answers_dropped,
        }

    def answer(self, client: Client, outbound: Answer | Problem) -> None:
        """Send a client its answer; a client that went away is no error.

        While a client doesn't read, its answers wait here for DOOR_BACKLOG_MS, and up to
        DOOR_BACKLOG_BYTES_MAX for all clients; then they, or those of whom most wait for, are
        dropped and counted.
        """
        (body,) = codec.encode_outbound(outbound)
        unread = self._unread.get(client.routing_id)
        if unread is None:
            if self._send(client.routing_id, body):
                return
            unread = self._unread[client.routing_id] = UnreadAnswers(self._patience_s())
        unread.put(body)
        if sum(each.size for each in self._unread.values()) > limits.DOOR_BACKLOG_BYTES_MAX:
            self._drop(max(self._unread, key=lambda id_: self._unread[id_].size))
        self._retry_in(RETRY_S)

    def is_behind(self, client: Client) -> bool:
        """Whether more than DOOR_UNREAD_BYTES_MAX of answers wait for the client."""
        unread = self._unread.get(client.routing_id)
        return unread is not None and unread.is_behind

    def drop_if_behind(self, client: Client) -> bool:
        """Count an answer as dropped where too much waits for its client already."""
        is_behind = self.is_behind(client)
        self.answers_dropped += is_behind
        return is_behind

    async def until_read(self, client: Client) -> None:
        """Return when the client isn't behind any more."""
        while (unread := self._unread.get(client.routing_id)) is not None and unread.is_behind:
            await unread.progress()

    def _patience_s(self) -> float:
        return self._loop.time() + limits.DOOR_BACKLOG_MS / 1000

    def _send(self, routing_id: bytes, body: Body) -> bool:
        """Return False where the client's queue is full."""
        try:
            self._socket.send_multipart([routing_id, body], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError:
            self.answers_dropped += 1
            self.clients.went(routing_id)
        finally:
            self._look_again()  # also where nothing was sent: a try may swallow news as well
        return True

    def _reaches(self, routing_id: bytes) -> bool:
        """Whether that client's connection is there: an answer to nothing can be sent, or waits."""
        try:
            self._socket.send_multipart([routing_id, *_NOTHING], zmq.NOBLOCK)
        except zmq.Again:
            return True
        except zmq.ZMQError:
            return False
        finally:
            self._look_again()
        return True

    def _retry_in(self, delay_s: float) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(delay_s, self._send_backlog)

    def _send_backlog(self) -> None:
        self._retry = None
        is_progress = False
        for routing_id, unread in list(self._unread.items()):
            while unread.bodies and self._send(routing_id, unread.bodies[0]):
                unread.pop()
                unread.patience_s = self._patience_s()
                is_progress = True
            if not unread.bodies:
                del self._unread[routing_id]
            elif self._loop.time() > unread.patience_s:
                self._drop(routing_id)
            if not unread.is_behind:
                unread.tell()
        if self._unread:
            self._retry_in(RETRY_S if is_progress else RETRY_IDLE_S)

    def _drop(self, routing_id: bytes) -> None:
        """The client doesn't read: it has lost its answers, and finds out by its own limits."""
        unread = self._unread.pop(routing_id)
        self.answers_dropped += len(unread.bodies)
        self.clients.went(routing_id)  # a session that lost an answer has lost messages
        log.warning("answers_dropped", count=len(unread.bodies), why="a client doesn't read them")
        unread.clear()
        unread.tell()

    def _look_again(self) -> None:
        if not self._look_due:
            self._look_due = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._look_due = False
        if not self._socket.closed and not self._read_some(is_first=True):
            self._after()

    def _read_rest(self) -> None:
        """Read what came beside a lone message: the descriptor needn't tell of it again."""
        if self._socket.closed:
            return
        if self._has_more():
            self._read_some(is_first=False)
        self._after()

    def _has_more(self) -> bool:
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & _POLLIN)

    def _receive(self) -> list[zmq.Frame]:
        """Read the parts of one message; `recv_multipart` asks the socket after each for more.

        Raises:
            zmq.Again: there is none.
        """
        part = self._socket.recv(zmq.NOBLOCK, copy=False)
        parts = [part]
        while part.more:
            part = self._socket.recv(zmq.NOBLOCK, copy=False)
            parts.append(part)
        return parts

    def _read_some(self, *, is_first: bool) -> bool:
        """Read up to FRAMES_A_TURN frames; whether the rest waits until an actor has its slice."""
        for count in range(FRAMES_A_TURN):
            # After a first one look: a read in vain costs 20 µs when caches are cold, a look 6.
            # In a burst read on, which costs less than looks do.
            if count == 1 and not self._has_more():
                return False
            try:
                parts = self._receive()
            except zmq.Again:
                return False
            self.frames_in += 1
            self._is_lone = False
            try:
                self._take_one(parts)
            except RemoteProtocolError as error:
                self._refuse(error)
            except Exception:  # of whoever it was for: the frames behind it are others'
                log.exception("frame_failed")
            # After a lone one its actor first, then the look for more, timers and backlog figures.
            is_lone = is_first and not count and self._is_lone
            if is_lone and self._short.after_actors(self._read_rest):
                return True
        self._look_again()
        return False

    def _take_one(self, parts: list[zmq.Frame]) -> None:
        if len(parts) < 2:
            raise RemoteProtocolError("a frame without a body")
        key = sockets.user_id(parts[1])
        if len(parts) == 2 and len(parts[1]) <= limits.FRAME_COPIED_BYTES:
            inbound = decode_arrived((parts[1].bytes,))
        else:
            inbound = decode_arrived([part.buffer for part in parts[1:]])
        host = sockets.peer_host(parts[1]) if type(inbound) is Request else ""
        self._is_lone = (
            type(inbound) is LinkFrame
            and len(inbound.items) == 1
            and weight_of(inbound.items[0]) == 1
        )
        self._take(parts[0].bytes, key, inbound, host)

    def _refuse(self, error: RemoteProtocolError) -> None:
        self.frames_refused += 1
        count = self._refused.add(int(self._loop.time() * 1000))
        if count:
            log.warning("frame_refused", why=str(error), count=count)
