"""Windows of a Mailbox, on what it asks for and what it sends: pure machines.

The rule not to break: what is unread here, and what was asked for, never exceeds
GROUP_UNREAD_MESSAGES; and whatever the program has taken is told to the node in the end, since its
senders wait for that.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from zactor.kernel import limits
from zactor.kernel.groups import parcels
from zactor.kernel.messages.client_sessions import (
    CloseSession,
    JoinGroup,
    LeaveGroup,
    MembershipMessage,
    Multicast,
    Outgoing,
    ReceiveGroup,
    RegularMessage,
)
from zactor.kernel.messages.service import Service

Message = RegularMessage | MembershipMessage

Asked = tuple[JoinGroup | LeaveGroup | CloseSession, "Future[object]"]
"""Something that has a place among what is sent, and a future of its own."""

_HEAD_BYTES = 32  # of one message beside payload and names, rounded up
_CHARACTER_BYTES = 4  # the longest of UTF-8


class Inbox:
    """What has arrived and isn't taken, and what is to be asked for next.

    Whoever uses it has a lock, except that any thread may pop from `ready`, in one step; who took
    the last one asks for `next_poll` then.
    """

    def __init__(self) -> None:
        """Nothing is asked for yet: `next_poll` says what to ask first."""
        self.ready: list[Message] = []  # the next one last
        self.unread_bytes = 0
        self._rest: list[Message] = []  # of the batch that `ready` is of, the next one last
        self._batch_bytes = 0
        self._batches: deque[tuple[list[Message], int]] = deque()
        self._unready = 0  # messages in the three above, but for `ready`
        self._changes = 0  # membership messages that were in `ready` at first
        self._regular = 0  # regular messages that were there when they were counted last
        self._polls = 0  # under way
        self._asked = 0  # their room in all
        self._untold = 0  # regular messages taken and not told
        self.told_s = 0.0  # when something was told last

    @property
    def unread(self) -> int:
        """Messages that have arrived and aren't taken."""
        return len(self.ready) + self._unready

    def arrived(self, batch: list[Message], size: int, room: int) -> None:
        """A poll that asked for `room` messages was answered with `batch`, of `size` bytes."""
        self._polls -= 1
        self._asked -= room
        if batch:
            batch.reverse()
            self._batches.append((batch, size))
            self._unready += len(batch)
            self.unread_bytes += size

    def take(self) -> Message | None:
        """Return the next message, None where there is none."""
        while True:
            try:
                return self.ready.pop()
            except IndexError:
                if not self._refill():
                    return None

    def take_many(self) -> list[Message]:
        """Return the next messages, as many as are ready together; [] where there are none."""
        found: list[Message] = []
        while not found and (self.ready or self._refill()):
            with contextlib.suppress(IndexError):
                while True:
                    found.append(self.ready.pop())  # others may do the same
        return found

    def _refill(self) -> bool:
        """Make the next messages ready, no more than are told at once; False: there are none."""
        self._count()
        if not self._rest:
            self.unread_bytes -= self._batch_bytes
            self._batch_bytes = 0
            if not self._batches:
                return False
            self._rest, self._batch_bytes = self._batches.popleft()
        ready = self._rest[-limits.GROUP_TELL_MESSAGES :]
        del self._rest[-limits.GROUP_TELL_MESSAGES :]
        self._unready -= len(ready)
        self._changes = sum([type(message) is not RegularMessage for message in ready])
        self._regular = len(ready) - self._changes
        self.ready = ready
        return True

    def _count(self) -> None:
        """See how many were taken of what was ready."""
        ready = self.ready
        left = len(ready)
        if self._changes:
            left = sum([type(message) is RegularMessage for message in ready])
        self._untold += self._regular - left
        self._regular = left

    def next_poll(self, now_s: float) -> ReceiveGroup | None:
        """Return what is to be asked now, if anything; ask again after each `arrived` and `take`.

        One poll waits at the node as long as there is room. A second one is made when the program
        has taken all: its answer is on its way while the first is being worked on.
        """
        if self._polls >= limits.GROUP_POLLS_MAX:
            return None
        self._count()
        room = self._room() if self._polls == 0 or self.unread == 0 else 0
        if not room and not self._has_to_tell(now_s):
            return None
        consumed, self._untold = self._untold, 0
        self.told_s = now_s
        self._polls += 1
        self._asked += room
        return ReceiveGroup(consumed, room)

    def _room(self) -> int:
        """How much to ask for: in lots, or each message taken would be asked for alone."""
        if self.unread_bytes >= limits.GROUP_UNREAD_BYTES:
            return 0
        room = limits.GROUP_UNREAD_MESSAGES - self.unread - self._asked
        return min(room, limits.BATCH_ITEMS_MAX) if room >= limits.GROUP_TELL_MESSAGES else 0

    def _has_to_tell(self, now_s: float) -> bool:
        if not self._untold:
            return False
        lot = self._untold >= limits.GROUP_TELL_MESSAGES or not self.unread
        return lot or now_s - self.told_s >= limits.GROUP_TELL_MS / 1000


class _OutgoingParcel:
    """Messages that queued up behind each other and are alike: one, or several."""

    __slots__ = ("_names_bytes", "bytes", "like", "payloads")

    def __init__(self, like: Outgoing) -> None:
        """Empty yet. All are like that one, but for their payloads."""
        self.like = like
        self.payloads: list[bytes] = []
        self.bytes = 0
        self._names_bytes = _HEAD_BYTES + _CHARACTER_BYTES * sum(map(len, like.groups))

    def take(self, payload: bytes) -> int:
        """Take one more in if it fits, as the first does; return its bytes, or 0."""
        payloads = self.payloads
        size = len(payload) + self._names_bytes
        if payloads and (
            len(payloads) >= limits.GROUP_PARCEL_MESSAGES
            or self.bytes + size > limits.GROUP_PARCEL_BYTES
            or self.like.service is Service.UNRELIABLE
        ):
            return 0
        payloads.append(payload)
        self.bytes += size
        return size

    def fill(self, payloads: Sequence[bytes]) -> int:
        """Take as many of these as fit into it while it is empty; return how many."""
        most = 1 if self.like.service is Service.UNRELIABLE else limits.GROUP_PARCEL_MESSAGES
        own = list(payloads[:most])
        size = sum(map(len, own)) + self._names_bytes * len(own)
        while size > limits.GROUP_PARCEL_BYTES and len(own) > 1:
            size -= len(own.pop()) + self._names_bytes
        self.payloads, self.bytes = own, size
        return len(own)

    def packed(self) -> Outgoing:
        """Return it as one item."""
        like, payloads = self.like, self.payloads
        count = len(payloads)
        body = payloads[0] if count == 1 else parcels.pack(payloads)
        return Outgoing(like.groups, body, like.service, like.discard, like.mess_type, count)


class Outbox:
    """What is to be sent, in order, and how much of it is under way."""

    def __init__(self) -> None:
        """Empty."""
        self.under_way = 0  # requests
        self._queue: deque[_OutgoingParcel | Asked] = deque()
        self._count = 0  # messages in it
        self._bytes = 0  # of them

    @property
    def is_full(self) -> bool:
        """Whether the program has to wait before it sends more."""
        return (
            self._count >= limits.GROUP_OUTGOING_MESSAGES
            or self._bytes >= limits.GROUP_OUTGOING_BYTES
        )

    @property
    def is_ready(self) -> bool:
        """Whether one more request may be under way."""
        return self.under_way < limits.GROUP_SENDS_MAX

    @property
    def is_quiet(self) -> bool:
        """Whether everything has been answered."""
        return not self._queue and not self.under_way

    def ask(self, asked: Asked) -> None:
        """Queue what is asked behind what was sent before."""
        self._queue.append(asked)

    def put(self, like: Outgoing, payload: bytes) -> bool:
        """Queue a message like that one, but with this payload, unless it `is_full`."""
        if self.is_full:
            return False
        queue = self._queue
        last = queue[-1] if queue else None
        size = 0
        if type(last) is _OutgoingParcel and (last.like is like or last.like == like):
            size = last.take(payload)
        if not size:
            last = _OutgoingParcel(like)
            queue.append(last)
            size = last.take(payload)
        self._count += 1
        self._bytes += size
        return True

    def put_many(self, like: Outgoing, payloads: Sequence[bytes]) -> int:
        """Queue messages like that one, but with these payloads, until it `is_full`.

        Returns: how many there was room for.
        """
        taken = 0
        while taken < len(payloads) and not self.is_full:
            parcel = _OutgoingParcel(like)
            room = limits.GROUP_OUTGOING_MESSAGES - self._count
            count = parcel.fill(payloads[taken : taken + room])
            self._queue.append(parcel)
            taken += count
            self._count += count
            self._bytes += parcel.bytes
        return taken

    def next_request(self) -> Multicast | Asked | None:
        """Return what is to be sent now: as many messages as one request holds, or what was asked.

        Nothing as long as GROUP_SENDS_MAX requests are under way: what comes meanwhile goes
        together.
        """
        queue = self._queue
        if not queue or not self.is_ready:
            return None
        self.under_way += 1
        first = queue[0]
        if not isinstance(first, _OutgoingParcel):
            queue.popleft()
            return first
        packed: list[Outgoing] = []
        count = size = 0
        while queue and size < limits.BATCH_BYTES_MAX:
            lot = queue[0]
            if (
                not isinstance(lot, _OutgoingParcel)
                or count + len(lot.payloads) > limits.BATCH_ITEMS_MAX
            ):
                break
            queue.popleft()
            packed.append(lot.packed())
            count += len(lot.payloads)
            size += lot.bytes
        self._count -= count
        self._bytes -= size
        return Multicast(tuple(packed))

    def answered(self) -> None:
        """One of the requests was answered."""
        self.under_way -= 1

    def give_up(self) -> list[Future[object]]:
        """Forget everything; return the futures of what was asked and not sent."""
        futures = [item[1] for item in self._queue if not isinstance(item, _OutgoingParcel)]
        self._queue.clear()
        self._count = self._bytes = 0
        return futures
