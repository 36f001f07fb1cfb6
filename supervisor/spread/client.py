"""One client of the port: from its hello to its end, a session of the group engine.

What it asks is done in the order in which it asks; what waits for room waits here, and beyond
SPREAD_REQUEST_BYTES its connection isn't read. What is delivered counts as consumed when it is
handed to the connection, which takes SPREAD_WRITE_BYTES: so a program that doesn't read slows those
who send to its groups, and nobody is cut off for being slow. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import Counter, deque
from typing import Literal, Protocol, cast

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.groups import effects
from zactor.kernel.groups.parcels import pack
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.sessions.session import Session, SessionUser
from zactor.kernel.sessions.turns import Turns
from zactor.supervisor.spread import frames, handshake
from zactor.supervisor.spread.deliveries import Deliveries
from zactor.supervisor.spread.destinations import destinations, may_join
from zactor.supervisor.spread.handshake import Hello, Refusal, SpreadRefusedError

log = structlog.get_logger()

_SHORT_BYTES = 4_096  # less at once, and no frame is whole: whoever sends may wait for us

Ended = Literal["refused", "silent", "cut_off"]
"""How a daemon ends a program's connection: in its handshake, for want of one, or later."""


class Port(Protocol):
    """Where clients come in."""

    @property
    def deliveries(self) -> Deliveries:
        """Makes the frames."""
        ...

    @property
    def turns(self) -> Turns:
        """Sends, or says that there is no room."""
        ...

    waiting_bytes: int  # of all requests that wait for room
    ended: Counter[Ended]  # connections that were ended here

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of authentication that a client may choose from."""
        ...

    def greet(self, client: SpreadClient) -> None:
        """A program has connected."""

    def private_group(self, session: Session) -> str:
        """How that session is called."""
        ...

    def admits(self, methods: tuple[str, ...], address: str) -> bool:
        """Whether who has chosen these, from this address, may begin."""
        ...

    def begin(self, client: SpreadClient, hello: Hello) -> None:
        """Open a session for a client: `on_session` or `refuse` is called soon."""

    def check(self, client: SpreadClient, user: str, password: bytes) -> None:
        """Look whether that is the user's password: `on_password` is called soon."""

    def flush_soon(self, client: SpreadClient) -> None:
        """Call its `flush` when this turn of the loop is over."""

    def enter(self, client: SpreadClient) -> None:
        """Its handshake is done."""

    def drop(self, client: SpreadClient) -> None:
        """Its connection is over; its session may go on, as long as requests of it wait."""

    def leave(self, session: Session) -> None:
        """A client's session is closed."""

    @property
    def slow_client_s(self) -> float:
        """How long a client may take nothing; 0: as long as it likes."""
        ...


class SpreadClient(SessionUser, asyncio.Protocol):
    """One connection, and its session as soon as it has one."""

    takes_parcels = True

    def __init__(self, port: Port) -> None:
        self.address = ""  # its IP address; none on the Unix socket
        self.number = 0  # of its socket
        self._tcp: socket.socket | None = None
        self.ended = asyncio.Event()  # its session is closed
        self.is_due = False
        self.is_over = False  # its connection is closed, or about to be
        self.session: Session | None = None
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._hello: Hello | None = None
        self._chosen: tuple[str, ...] = ()  # methods of authentication
        self._owes_password = False
        self._received = bytearray()  # before the first frame
        self._reader: frames.FrameReader | None = None
        self._requests: deque[frames.Asked] = deque()
        self._request_bytes = 0
        self._waiting: deque[tuple[bytes, int]] = deque()  # frames; messages with credit
        self._changes = 0  # those that have none
        self._is_choked = False  # the connection takes no more
        self._patience: asyncio.TimerHandle | None = None  # while it is, if that has a limit
        self._is_read = True

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done."""
        return self._reader is not None

    @property
    def has_left(self) -> bool:
        """Whether its program is gone, also where what it had sent before isn't read yet."""
        if self.is_over or self._transport is None:
            return True
        probe = select.poll()
        probe.register(self.number, select.POLLRDHUP)
        return bool(probe.poll(0))

    # -- the connection ----------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=limits.SPREAD_WRITE_BYTES)
        made: socket.socket = transport.get_extra_info("socket")
        self.number = made.fileno()
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.address = str(peer[0])
            self._tcp = made
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._port.greet(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        if self.is_over:
            return
        if self._reader is None:
            self._received += data
            self._greet()
        else:
            self._read(data)

    def eof_received(self) -> bool:
        """The program sends no more: for Spread it has left, and what it hasn't read is dropped."""
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()  # closed in good order it would wait for a reader
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: the session ends when what it had sent is on its way."""
        self.is_over = True
        self._end_patience()
        self._waiting.clear()
        self._port.drop(self)
        if self.session is not None:
            self.session.consumed(self.session.owed)
        if not self._requests:
            self._end()

    def pause_writing(self) -> None:
        """The connection takes no more for now."""
        self._is_choked = True
        if self._port.slow_client_s and not self.is_over:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(self._port.slow_client_s, self._give_up)

    def resume_writing(self) -> None:
        """It takes more."""
        self._is_choked = False
        self._end_patience()
        self.flush()

    def close(self) -> None:
        """End the connection; the session ends as if the program had left."""
        self.is_over = True
        if self._transport is not None:
            self._transport.abort()

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """It has taken nothing for too long: it goes, with a last message that says why.

        The message stands behind what the connection holds already; the rest is dropped. Others see
        it disconnect at once. It has as long again to read that.
        """
        assert self._transport is not None, "it is connected"
        assert self.session is not None, "it was sent something"
        why = f"cut off: it has taken nothing for {self._port.slow_client_s:g} s"
        own = self._port.private_group(self.session)
        log.warning("spread_client_cut_off", session=self.session.name, why=why)
        self._port.ended["cut_off"] += 1
        self._give_up_requests()
        self.is_over = True
        self._waiting.clear()
        self._transport.write(self._port.deliveries.notice(own, why))
        self._transport.close()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._port.slow_client_s, self._transport.abort)
        self.session.consumed(self.session.owed)
        self._end()

    def _cut_off(self, why: str) -> None:
        name = self.session.name if self.session is not None else "?"
        log.warning("spread_client_cut_off", session=name, why=why)
        self._port.ended["cut_off"] += 1
        self._give_up_requests()
        self.close()

    # -- the handshake -----------------------------------------------------------------------
    def _greet(self) -> None:
        try:
            if self._hello is None:
                found = handshake.read_hello(bytes(self._received))
                if found is None:
                    return
                self._hello, length = found
                del self._received[:length]
                self._port.begin(self, self._hello)
            elif self._waits_for_choice and len(self._received) >= handshake.CHOICE_BYTES:
                self._choose(handshake.read_choice(self._take(handshake.CHOICE_BYTES)))
            elif self._owes_password:
                self._take_password()
            elif len(self._received) > limits.SPREAD_GREETING_BYTES:
                raise SpreadRefusedError(Refusal.AUTH)
        except SpreadRefusedError as error:
            self.refuse(error.refusal)

    @property
    def _waits_for_choice(self) -> bool:
        return self.session is not None and not self._chosen

    def on_session(self, session: Session) -> None:
        """The name was free."""
        self.session = session
        if self.is_over:
            self._end()
            return
        assert self._hello is not None, "it has said hello"
        assert self._transport is not None, "it is connected"
        if self._hello.chooses:
            self._transport.write(handshake.method_list(self._port.methods))
            self._greet()
            return
        first = "IP" if "IP" in self._port.methods else "NULL"
        try:
            self._choose((first,))
        except SpreadRefusedError as error:
            self.refuse(error.refusal)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _choose(self, methods: tuple[str, ...]) -> None:
        if not self._port.admits(methods, self.address):
            raise SpreadRefusedError(Refusal.AUTH)
        self._chosen = methods
        if handshake.PWORD in methods:
            self._owes_password = True
            self._take_password()
        else:
            self._accept()

    def _take_password(self) -> None:
        size = handshake.USER_BYTES + handshake.PASSWORD_BYTES
        if len(self._received) >= size:
            self._owes_password = False
            self._port.check(self, *handshake.read_credentials(self._take(size)))

    def on_password(self, is_right: bool) -> None:
        """The password was looked at."""
        if self.is_over or self._transport is None:
            return
        self._transport.write(bytes((is_right,)))
        if is_right:
            self._accept()
        else:
            self.refuse(Refusal.AUTH)

    def _accept(self) -> None:
        assert self._hello is not None, "it has said hello"
        assert self.session is not None, "its name was free"
        assert self._transport is not None, "it is connected"
        own = self._port.private_group(self.session)
        self._transport.write(handshake.accepted(self._hello.version, own))
        self._reader = frames.FrameReader(own)
        self._port.enter(self)
        rest = bytes(self._received)
        self._received.clear()
        if rest:
            self._read(rest)

    def refuse(self, refusal: Refusal) -> None:
        """Send the client away with one byte."""
        log.info("spread_client_refused", why=refusal.name, address=self.address or "unix")
        self._port.ended["refused"] += 1
        self.is_over = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(handshake.refusal_byte(refusal))
            self._transport.close()
        self._end()

    # -- what it asks ------------------------------------------------------------------------
    def _read(self, data: bytes) -> None:
        assert self._reader is not None, "the handshake is done"
        try:
            asked = self._reader.feed(data)
        except frames.FrameError as error:
            self._cut_off(f"what it sent is no request: {error}")
            return
        for each in asked:
            self._requests.append(each)
            self._count(_size(each))
        if asked:
            self.go_on()
        elif self._tcp is not None and len(data) < _SHORT_BYTES:
            # Programs in Java send a head, and what belongs to it when that is acknowledged.
            self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if self._is_read and self._is_full(1):
            self._set_read(False)

    def _count(self, size: int) -> None:
        self._request_bytes += size
        self._port.waiting_bytes += size

    def _is_full(self, part: int) -> bool:
        """Whether more waits here than a `part` of what may."""
        limit = limits.SPREAD_REQUEST_BYTES
        if self._port.waiting_bytes > limits.SPREAD_REQUEST_ALL_BYTES:
            limit = limits.SPREAD_REQUEST_SHARE_BYTES
        return self._request_bytes > limit // part

    def _give_up_requests(self) -> None:
        self._requests.clear()
        self._count(-self._request_bytes)

    def _set_read(self, is_read: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._is_read = is_read
            (self._transport.resume_reading if is_read else self._transport.pause_reading)()

    def go_on(self) -> None:
        """Do what was asked, in order, as far as there is room."""
        while self._requests and self.session is not None:
            asked = self._requests[0]
            done = 1
            try:
                done = self._perform(self.session, asked)
            except LocalProtocolError as error:
                log.debug("spread_request_refused", session=self.session.name, why=str(error))
            if not done:
                return
            for _ in range(done):
                self._count(-_size(self._requests.popleft()))
        if not self._is_read and not self._is_full(2):
            self._set_read(True)
        if self.is_over:
            self._end()

    def _perform(self, session: Session, asked: frames.Asked) -> int:
        """Return how many requests are done; 0 where this one has to wait.

        Raises:
            LocalProtocolError: the engine doesn't do that, as to join twice; Spread is silent then.
        """
        match asked:
            case frames.Data():
                return self._send(session, asked)
            case frames.Join():
                if not may_join(asked.group):
                    self._cut_off(f"it joins {asked.group}: such groups are zactor's own")
                    return 0
                session.join(asked.group)
            case frames.Leave():
                session.leave(asked.group)
            case frames.Disconnect():
                self._give_up_requests()
                self.close()
                return 0
        return 1

    def _send(self, session: Session, first: frames.Data) -> int:
        """Send a message, and those behind it that are alike, as one parcel."""
        groups = destinations(first.groups, self._port.deliveries.meant)
        if not groups:
            return 1
        payloads = frames.alike(
            self._requests, limits.GROUP_PARCEL_MESSAGES, limits.GROUP_PARCEL_BYTES
        )
        is_sent = self._port.turns.submit(
            self,
            session,
            first.service,
            groups,
            first.payload if len(payloads) == 1 else pack(payloads),
            first.discard,
            first.mess_type,
            len(payloads),
        )
        return len(payloads) if is_sent else 0

    # -- what it gets ------------------------------------------------------------------------
    def on_message(self, message: GroupData, transitional: bool) -> None:
        """A message for it."""
        self.on_parcel(message, transitional)

    def on_parcel(self, parcel: GroupData, transitional: bool) -> None:
        """Messages for it."""
        if not self.is_over:
            try:
                self._keep(self._port.deliveries.data(parcel), parcel.count)
                return
            except RemoteProtocolError as error:  # a bug at its sender's node, which has looked
                log.error("group_parcel_malformed", node=str(parcel.sender), why=str(error))
        if self.session is not None:
            self.session.consumed(parcel.count)

    def on_group_view(self, change: effects.GroupView) -> None:
        """A group of it has another membership."""
        if self._wants_membership:
            self._keep(self._port.deliveries.view(change))

    def on_group_transitional(self, change: effects.GroupTransitional) -> None:
        """A group of it loses members."""
        if self._wants_membership:
            self._keep(self._port.deliveries.transitional(change))

    def on_group_left(self, group: str) -> None:
        """It is out of a group, as it wished."""
        if self._wants_membership:
            self._keep(self._port.deliveries.left(group))

    @property
    def _wants_membership(self) -> bool:
        return not self.is_over and self._hello is not None and self._hello.wants_membership

    def _keep(self, frame: bytes, count: int = 0) -> None:
        self._waiting.append((frame, count))
        if not count:
            self._changes += 1
            if self._changes > limits.GROUP_CHANGES_MAX:
                self._cut_off(f"it has not taken {limits.GROUP_CHANGES_MAX} changes of its groups")
                return
        if not self.is_due and not self._is_choked:
            self._port.flush_soon(self)

    def flush(self) -> None:
        """Hand over to the connection what it takes."""
        waiting = self._waiting
        while waiting and not self._is_choked and self._transport is not None:
            batch: list[bytes] = []
            size = count = 0
            while waiting and size < limits.SPREAD_WRITE_BYTES:
                frame, messages = waiting.popleft()
                batch.append(frame)
                size += len(frame)
                count += messages
                if not messages:
                    self._changes -= 1
            self._transport.write(b"".join(batch) if len(batch) > 1 else batch[0])
            if count and self.session is not None:
                self.session.consumed(count)

    # -- its end -----------------------------------------------------------------------------
    def _end(self) -> None:
        if self.session is not None and self.session.is_open:
            self.session.close()
            self._port.leave(self.session)
            self.ended.set()


def _size(asked: frames.Asked) -> int:
    """Return about what a request takes while it waits."""
    return limits.SPREAD_REQUEST_COST + (len(asked.payload) if type(asked) is frames.Data else 0)
