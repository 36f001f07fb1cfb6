"""A peer: one remote node with its link, its sockets, and the port actors write to.

The port side (`put`, `consumed`, `congested`) is for any thread; all else belongs to the kernel's
loop. What a thread puts is queued here and goes out at the kernel's next turn as one frame.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import structlog
import zmq

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, RemoteProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import Lost
from zactor.kernel.link.link import Link
from zactor.kernel.messages.operations import Answer, Hello, Problem
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import KeyPair
from zactor.kernel.transport.memory_pool import MemoryPool
from zactor.kernel.transport.shared_memory import SharedMemory
from zactor.kernel.transport.socket_context import SocketContext
from zactor.kernel.wire import codec
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.item_size import is_credited, size_of, split_item, weight_of
from zactor.kernel.wire.signal_parcels import pack
from zactor.kernel.wire.unencodable import salvage

if TYPE_CHECKING:
    from zactor.kernel.messages.frames import LinkFrame

log = structlog.get_logger()


class Peer:
    """A live incarnation of another node."""

    def __init__(
        self,
        me: NodeId,
        hello: Hello,
        *,
        wake: Callable[[], None],
        give_up: Callable[[Peer, object], None],
        tell: Callable[[Peer, list[object]], None],
        pool: MemoryPool | None = None,
    ) -> None:
        """Know a node; nothing is connected yet.

        Args:
            wake: asks for a turn, from any thread.
            give_up: takes what is put after the end.
            tell: takes answers to what couldn't be sent, as if the node had sent them.
            pool: of memory that nodes of this machine may share.
        """
        self.node = NodeId(hello.name, hello.incarnation)
        self.hello = hello
        self.link = Link(
            me,
            self.node,
            is_credited=is_credited,
            size_of=size_of,
            weight_of=weight_of,
            split=split_item,
        )
        self.memory = SharedMemory(pool or MemoryPool(), self.put)
        self.outbox: deque[object] = deque()
        self.handled: deque[int] = deque()  # counts from other threads, see `consumed`
        self.dead = ""  # why it is dead to us; "" while it lives
        self.out_of_view = ""  # why it is out of the view, perhaps not for ever; "" while it is in
        self.dealer: zmq.Socket[bytes] | None = None
        self._aside: deque[sockets.Socket] = deque()  # were `dealer`, to be closed, oldest first
        self.connected = False  # our DEALER has finished its handshake
        self.frames_in = 0  # of its link
        self.items_refused = 0  # of its link: they couldn't be decoded
        self.up = False  # announced to the supervisor
        self.successor: Hello | None = None  # said to be its next life; a frame of it proves that
        self.met_ms = 0  # when we learnt of it, in the hub's time
        self.dialled_ms = 0  # when our connection to it was begun, likewise
        self.back = b""  # by which connection its last frame came: what we can tell it, if not more
        self.is_here = False  # it is on this machine
        self.unsent: deque[LinkFrame] = deque()  # the socket was full
        self.backlog = 0  # items in the link, as of the last turn
        self.backlog_bytes = 0
        self._wake = wake
        self._is_woken = False  # a turn that was asked for will take what is in `outbox`
        self._give_up = give_up
        self._tell = tell

    # -- the port: any thread ----------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether senders should wait before they put more."""
        waits_long = len(self.outbox) + self.backlog > limits.LINK_QUEUE_SOFT_ITEMS
        return waits_long and not self.dead and not self.out_of_view

    def put(self, item: object) -> None:
        """Queue `item` for the node.

        Raises:
            MailboxFull: the hard limit is reached; the item was not taken.
        """
        if self.dead or (self.out_of_view and is_credited(item)):
            self._give_up(self, item)
            return
        waiting = len(self.outbox) + self.backlog
        if (
            waiting >= limits.LINK_QUEUE_HARD_ITEMS
            or self.backlog_bytes >= limits.LINK_QUEUE_HARD_BYTES
        ) and is_credited(item):  # answers aren't: there are no more than the node has asked for
            raise MailboxFull(
                f"{waiting} messages wait for node {self.node.name}: it doesn't keep up; send less,"
                " or await the emit"
            )
        if type(item) is Bulky and self.is_here:
            item = self.memory.lend(item)
        self.outbox.append(item)
        if self.dead:  # it died between the check and the append: nobody else looks in here now
            self.give_up_outbox()
        # Whoever takes it says so first and then looks into the queue.
        if not self._is_woken:
            self._is_woken = True
            self._wake()

    def give_up_outbox(self) -> None:
        """Hand what was put too late to the dead letters; any thread."""
        while self.outbox:
            try:
                item = self.outbox.popleft()
            except IndexError:  # another thread took it
                return
            self._give_up(self, item)

    def consumed(self, count: int) -> None:
        """Say that `count` credited items from this node have been handled or dropped."""
        self.handled.append(count)
        self._wake()

    # -- its connection: the kernel's loop ---------------------------------------------------
    def dial(
        self,
        shared: SocketContext,
        node_key: KeyPair,
        server_public: bytes,
        on_event: Callable[[Peer, int], None],
        on_answer: Callable[[Peer], None],
    ) -> None:
        """Connect to the node's door.

        Args:
            on_event: hears in the loop how the connection fares.
            on_answer: called when there may be `answers`.
        """
        loop = self._loop = asyncio.get_running_loop()

        def watch(dealer: sockets.Socket) -> None:
            def tell(event: int) -> None:
                if self.dealer is dealer:  # not the last words of one that was closed
                    on_event(self, event)

            shared.monitor.watch(
                dealer,
                zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED,
                lambda event, _value, _there: loop.call_soon_threadsafe(tell, event),
            )

        self.dealer = sockets.connect_link(
            shared.context, self.hello.endpoint, node_key, server_public, before=watch
        )
        loop.add_reader(self.dealer.fileno(), on_answer, self)

    def lay_aside(self, shared: SocketContext) -> None:
        """Use the connection no more; it is closed some time later.

        Not at once: the peer may have slept and have much to read, see LINK_RECEIVE_FRAMES. By
        then it has read what had come, and knows us by the new connection.
        """
        if self.dealer is not None:
            self._aside.append(self._let_go(self.dealer, shared))
            if len(self._aside) > limits.LINK_ASIDE_MAX:
                self._close_oldest()
            self._loop.call_later(limits.STREAM_SILENCE_MS / 1000, self._close_oldest)

    def _let_go(self, dealer: sockets.Socket, shared: SocketContext) -> sockets.Socket:
        self._loop.remove_reader(dealer.fileno())
        shared.monitor.unwatch(dealer)
        self.dealer = None
        return dealer

    def _close_oldest(self) -> None:
        if self._aside:
            self._aside.popleft().close(linger=0)

    def hang_up(self, shared: SocketContext) -> None:
        """Close the connection for good, and those that were laid aside.

        At once: a timer would hold the peer, with all that its link had, for its time.
        """
        if self.dealer is not None:
            self._let_go(self.dealer, shared).close(linger=0)
        while self._aside:
            self._close_oldest()

    def answers(self) -> Iterator[Answer | Problem | None]:
        """Read what the peer's door answered on this connection; None for what makes no sense."""
        while self.dealer is not None:
            try:
                parts = self.dealer.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                yield codec.decode_outbound(parts)
            except RemoteProtocolError:
                yield None

    # -- the kernel's loop -------------------------------------------------------------------
    def take_handled(self) -> int:
        """Return the count of items handled since the last call."""
        total = 0
        while self.handled:
            total += self.handled.popleft()
        return total

    def take_outbox(self) -> list[object]:
        """Return what was put since the last call, its signals in parcels."""
        self._is_woken = False
        outbox = self.outbox
        if len(outbox) == 1:
            return [outbox.popleft()]
        return pack([outbox.popleft() for _ in range(len(outbox))])

    def flush(self) -> int:
        """Send what the socket takes, return how many frames; the rest waits until it can."""
        sent = 0
        while self.unsent and self.dealer is not None:
            try:
                parts = self._encode(self.unsent[0])
                if len(parts) == 1 and len(parts[0]) <= limits.FRAME_COPIED_BYTES:
                    self.dealer.send(parts[0], zmq.NOBLOCK)
                else:
                    self.dealer.send_multipart(parts, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self.unsent.popleft()
            sent += 1
        return sent

    def _encode(self, frame: LinkFrame) -> list[codec.Part]:
        """Return what carries the frame, without those of its items that can't be encoded."""
        try:
            return codec.encode_frame(frame)
        except Exception:  # one bad message must not end the turn, nor stop the link
            saved = salvage(frame)
        self.unsent[0] = saved.frame
        self.link.replace(frame.first, saved.frame.items)
        for kind, why in saved.dropped:
            log.error("item_dropped", peer=str(self.node), item=kind, why=why)
        self._tell(self, saved.answers)
        return codec.encode_frame(saved.frame)

    def end(self, reason: str) -> list[tuple[object, bool]]:
        """The node is dead: return what it never acknowledged, each with: was it ever sent."""
        self.dead = reason
        self.memory.close()
        lost: list[tuple[object, bool]] = []
        for effect in self.link.peer_dead(reason):
            if isinstance(effect, Lost):
                lost.extend(zip(effect.items, effect.sent, strict=True))
        lost.extend((item, False) for item in self.take_outbox())
        return lost
