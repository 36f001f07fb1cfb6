"""A Mailbox's session at its node: what any thread may ask of it, over one Connection.

Nothing here waits. Who has to wait takes a future: `arrival` ends when there may be something to
read, `room` when more may be sent. The order of what is sent is the order of the calls.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import cast

import msgspec

from zactor.client.connection import Connection
from zactor.kernel import errors, limits
from zactor.kernel.groups.membership_messages import News, regular_messages
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.client_sessions import (
    CloseSession,
    JoinGroup,
    LeaveGroup,
    Multicast,
    OpenSession,
    Outgoing,
    Parcel,
    RegularMessage,
)
from zactor.kernel.messages.operations import Operation
from zactor.kernel.transport.addresses import plain
from zactor.mailbox.windows import Asked, Inbox, Message, Outbox
from zactor.supervisor.observe.trace_log import TraceLog, trace_log

_decoder = msgspec.msgpack.Decoder(list[News])
_Batch = tuple[list[Message], int]  # and its size in bytes


class Opened(msgspec.Struct, frozen=True):
    """The answer to OpenSession."""

    name: str
    private_group: str
    node: str
    number: int  # grows with each session of the node, over all its lives


class SessionClient:
    """One session of a program at one node."""

    def __init__(self, endpoint: str | None, home: str | os.PathLike[str] | None) -> None:
        """As Connection; nothing is sent before `open`."""
        self.is_closed = False
        self.broken: errors.ZactorError | None = None  # why nothing comes or goes any more
        self.opened: Opened | None = None
        self.fault: errors.ZactorError | None = None  # of a send, not told to the program yet
        self._connection = Connection(endpoint, home=home)
        self._endpoint = ""
        self._lock = threading.RLock()  # a future that is done calls back in the same thread
        self._inbox = Inbox()
        self._outbox = Outbox()
        self._readers: list[Future[None]] = []
        self._senders: list[Future[None]] = []
        self._trace: TraceLog | None = None
        self._is_leaving = False  # the session ends: what comes still is dropped
        self._look_s = -math.inf  # until then what is ready may be taken without the lock

    # -- the ends ----------------------------------------------------------------------------
    def ready(self, timeout: float | None) -> Future[object]:
        """Return a future that ends when a node answers."""
        return self._connection.ready(timeout)

    def open(self, name: str, timeout: float | None) -> Future[object]:
        """Ask for the session; when that has ended, call `begin`."""
        self._endpoint = self._connection.endpoint
        return self._connection.request(OpenSession(name), timeout, _read_opened)

    def begin(self, answer: object) -> None:
        """The session is open: begin to receive."""
        self.opened = cast(Opened, answer)
        self._trace = trace_log(process_name(self.opened))
        with self._lock:
            self._poll()

    def close(self) -> None:
        """End the connection and all that waits; again: nothing."""
        self.is_closed = True
        self._look_s = -math.inf
        self._end(errors.NotReachable("this mailbox is closed"))
        self._connection.close()
        if self._trace is not None:
            self._trace.close()

    def _end(self, why: errors.ZactorError) -> None:
        with self._lock:
            if self.broken is None:
                self.broken = why
            asked = self._outbox.give_up()
            waiting = self._readers + self._senders
            self._readers, self._senders = [], []
        for future in asked:
            _fail(future, self.broken)
        _wake(waiting)

    # -- receiving ---------------------------------------------------------------------------
    def take(self) -> Message | None:
        """Return the next message that has arrived, None where there is none, or after `close`."""
        inbox = self._inbox
        if time.monotonic() < self._look_s:
            # One step of the interpreter, so no lock: that halves what a message costs its program.
            ready = inbox.ready
            try:
                message: Message | None = ready.pop()
            except IndexError:
                pass
            else:
                if not ready:
                    self._look()
                return message
        with self._lock:
            if self.is_closed:
                return None
            message = inbox.take()
            if message is not None:
                self._taken([message])
        return message

    def take_many(self) -> list[Message]:
        """Return the next messages that have arrived together; [] as `take` returns None."""
        with self._lock:
            if self.is_closed:
                return []
            found = self._inbox.take_many()
            if found:
                self._taken(found)
        return found

    def _taken(self, found: list[Message]) -> None:
        """Tell and write what there is to (under the lock)."""
        self._look()
        if self._trace is not None:
            self._look_s = -math.inf  # each is to be written when it is taken
            for message in found:
                if type(message) is RegularMessage:
                    self._write(self._trace, message)

    def _look(self) -> None:
        """Ask, and tell the node what was taken; look again when that is to be told by its time."""
        with self._lock:
            self._poll()
            if not self.is_closed:
                self._look_s = self._inbox.told_s + limits.GROUP_TELL_MS / 1000

    def arrival(self) -> Future[None]:
        """Return a future that ends when there is something to take, or nothing will come."""
        future: Future[None] = Future()
        with self._lock:
            if self._inbox.unread or self.broken is not None:
                future.set_result(None)
            else:
                self._readers = [*_undone(self._readers), future]
        return future

    def _poll(self) -> None:
        """Ask for what is to be asked for (under the lock)."""
        while self.broken is None:
            poll = self._inbox.next_poll(time.monotonic())
            if poll is None:
                return
            self._request(poll, self._answered_poll(poll.room), _read_batch)

    def _answered_poll(self, room: int) -> Callable[[Future[object]], None]:
        def answered(future: Future[object]) -> None:
            error = _error_of(future)
            if error is not None:
                if not (self._is_leaving and isinstance(error, errors.NoSuchThing)):
                    self._end(self._end_of(error))
                return  # or it is what was wished for
            batch, size = cast(_Batch, future.result())
            with self._lock:
                self._inbox.arrived(batch, size, room)
                if self._is_leaving:
                    self._drop()
                self._poll()
                if not batch:
                    return
                waiting, self._readers = self._readers, []
            _wake(waiting)

        return answered

    def _drop(self) -> None:
        """Take what is there as read (under the lock): what is to be sent may be waiting for it."""
        while self._inbox.take() is not None:
            pass

    def _end_of(self, error: errors.ZactorError) -> errors.ZactorError:
        gone = errors.NotReachable | errors.OutcomeUnknown | errors.NoSuchThing
        if isinstance(error, gone):  # the last: our connection was lost, and this is another
            name = self.opened.name if self.opened is not None else ""
            return errors.NotReachable(
                f"the node at {plain(self._endpoint)} went away, and mailbox {name!r} with it: "
                "open another"
            )
        return error

    @staticmethod
    def _write(trace: TraceLog, message: RegularMessage) -> None:
        epoch, _, coordinator = message.view.partition(".")
        fields = {
            "mid": message.id,
            "v": [int(epoch), coordinator],
            "trans": message.transitional,
            "service": message.service.value,
            "groups": list(message.groups),
        }
        trace("deliver", fields)

    # -- sending -----------------------------------------------------------------------------
    def put(self, like: Outgoing, payload: bytes) -> bool:
        """Queue a message like that one, with this payload; False: nothing done, there is no room.

        Raises:
            ZactorError: what went wrong since the last call, or that the mailbox is at its end.
        """
        outbox = self._outbox
        with self._lock:
            if self.fault is not None or self.broken is not None:
                self.check()
            is_put = outbox.put(like, payload)
            if outbox.is_ready:
                self._send()
        return is_put

    def put_many(self, like: Outgoing, payloads: Sequence[bytes]) -> int:
        """Queue messages like that one, but with these payloads, as many as there is room for.

        Returns: how many. Raises: as `put`.
        """
        with self._lock:
            self.check()
            taken = self._outbox.put_many(like, payloads)
            self._send()
        return taken

    def ask(self, operation: JoinGroup | LeaveGroup | CloseSession) -> Future[object]:
        """Do this after what was sent before; return the future of its end. Raises: as `put`.

        Who closes the session gets nothing more: what isn't taken yet is dropped.
        """
        future: Future[object] = Future()
        with self._lock:
            self.check()
            self._outbox.ask((operation, future))
            if isinstance(operation, CloseSession):
                self._is_leaving = True
                self._drop()
                self._poll()
            self._send()
        return future

    def is_flushed(self) -> bool:
        """Whether the node has taken over all that was sent. Raises: as `put`."""
        with self._lock:
            self.check()
            return self._outbox.is_quiet

    def room(self) -> Future[None]:
        """Return a future that ends when something that was sent is answered, or nothing will."""
        future: Future[None] = Future()
        with self._lock:
            if self.broken is not None or self._outbox.is_quiet:
                future.set_result(None)
            else:
                self._senders = [*_undone(self._senders), future]
        return future

    def check(self) -> None:
        """Raise what went wrong since the last call, or that the mailbox is at its end."""
        with self._lock:
            fault, self.fault = self.fault, None
            if fault is None:
                fault = self.broken
        if fault is not None:
            raise fault.with_traceback(None)

    def _send(self) -> None:
        """Send what may leave (under the lock)."""
        while self.broken is None:
            item = self._outbox.next_request()
            if item is None:
                return
            if isinstance(item, Multicast):
                self._request(item, self._answered_send(None))
            else:
                self._request(item[0], self._answered_send(item))

    def _answered_send(self, asked: Asked | None) -> Callable[[Future[object]], None]:
        def answered(future: Future[object]) -> None:
            error = _error_of(future)
            with self._lock:
                self._outbox.answered()
                if error is not None and asked is None and self.fault is None:
                    lost = isinstance(error, errors.NoSuchThing)
                    self.fault = self._end_of(error) if lost else error
                self._send()
                waiting, self._senders = self._senders, []
            if asked is not None:
                _settle(asked[1], error)
            _wake(waiting)

        return answered

    def _request(
        self,
        operation: Operation,
        answered: Callable[[Future[object]], None],
        read: Callable[[bytes], object] | None = None,
    ) -> None:
        """Send a request that may take as long as the connection lives."""
        try:
            future = (
                self._connection.request(operation, math.inf)
                if read is None
                else self._connection.request(operation, math.inf, read)
            )
        except errors.ZactorError as error:  # it was closed
            future = Future()
            future.set_exception(error)
        future.add_done_callback(answered)


def process_name(opened: Opened) -> NodeId:
    """Return the `p` of a mailbox in event logs: no node's name begins with `#`.

    A session's name may have any characters; in a file's name it has but letters, digits, `-._`.
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "~" for c in opened.name)
    return NodeId(f"#{safe}#{opened.node}", opened.number)


def _read_batch(body: bytes) -> _Batch:
    try:
        found = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise errors.RemoteProtocolError(f"messages that can't be read: {error}") from None
    batch: list[Message] = []
    for news in found:
        if type(news) is Parcel:
            batch += regular_messages(news)
        else:
            batch.append(cast(Message, news))
    return batch, len(body)


def _read_opened(body: bytes) -> Opened:
    try:
        return msgspec.msgpack.decode(body, type=Opened)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise errors.RemoteProtocolError(f"a session that can't be read: {error}") from None


def _error_of(future: Future[object]) -> errors.ZactorError | None:
    if future.cancelled():
        return errors.NotReachable("the request was cancelled")
    error = future.exception()
    if error is None or isinstance(error, errors.ZactorError):
        return error
    return errors.ZactorError(f"a bug: {errors.said(error)}")


def _settle(future: Future[object], error: errors.ZactorError | None) -> None:
    if error is not None:
        _fail(future, error)
        return
    with contextlib.suppress(InvalidStateError):  # nobody waits for it any more
        future.set_result(None)


def _fail(future: Future[object], error: errors.ZactorError) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)


def _undone(waiting: list[Future[None]]) -> list[Future[None]]:
    """Drop those that nobody waits for any more: their time was up."""
    return [future for future in waiting if not future.done()]


def _wake(waiting: list[Future[None]]) -> None:
    for future in waiting:
        with contextlib.suppress(InvalidStateError):
            future.set_result(None)
