"""Flow: what waits to be sent, and how much may be on its way. Owns the queue and the credits.

A sender may be so many messages and bytes ahead of the stable line of its own stream; then the rest
waits here. A member that doesn't get through its deliveries withholds acknowledgements, so the
slowest member sets the pace and nobody is thrown out. Order in the queue is order in the stream,
but RELIABLE doesn't wait for tickets.
"""

from __future__ import annotations

from collections import deque

import msgspec

from zactor.kernel.errors import MailboxFull
from zactor.kernel.protocol.group_settings import Settings
from zactor.kernel.protocol.messages import GroupData, Kind
from zactor.kernel.protocol.ordering import TICKETED
from zactor.kernel.protocol.service import Service


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A message without its place."""

    number: int
    service: Service
    kind: Kind
    session: str
    groups: tuple[str, ...]
    discard: bool
    payload: bytes


class Flow:
    """The queue of one node, over all views; the credits of the present one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: deque[Draft] = deque()
        self._loose: deque[Draft] = deque()  # RELIABLE: waits for credit only
        self._bytes = 0  # of both
        self._sizes: deque[int] = deque()  # of own messages beyond the stable line
        self._flight_bytes = 0
        self._stable = 0  # of our own stream
        self._asked = 0  # tickets asked for and not granted yet
        self._reserved = 0  # credits that the messages up to the last of them will take
        self.paused = False

    @property
    def waiting(self) -> int:
        """Messages that have no place yet."""
        return len(self._queue) + len(self._loose)

    @property
    def in_flight(self) -> int:
        """Own messages that not every member is known to have taken."""
        return len(self._sizes)

    def add(self, draft: Draft) -> None:
        """Put a message behind the others.

        Raises:
            MailboxFull: too much waits already; nothing changed. Joins, leaves and
                disconnects, which are bounded otherwise, are always taken.
        """
        size = len(draft.payload)
        settings = self._settings
        if draft.kind is Kind.DATA and (
            self.waiting >= settings.queue_hard or self._bytes + size > settings.queue_hard_bytes
        ):
            raise MailboxFull(
                f"{self.waiting} messages ({self._bytes} bytes) wait for credit: send more slowly"
            )
        (self._loose if draft.service is Service.RELIABLE else self._queue).append(draft)
        self._bytes += size

    def turn(self) -> bool | None:
        """True: submitters must pause from now on; False: they may resume; None: no change."""
        if not self.paused and self.waiting > self._settings.queue_soft:
            self.paused = True
        elif self.paused and self.waiting <= self._settings.queue_soft // 2:
            self.paused = False
        else:
            return None
        return self.paused

    # -- credits -----------------------------------------------------------------------------
    def _credit(self) -> int:
        """Messages that may leave now."""
        if self._flight_bytes >= self._settings.window_bytes:
            return 0
        return max(0, self._settings.window_messages - len(self._sizes) - self._reserved)

    def sent(self, data: GroupData) -> None:
        """A message left: it takes a credit until it is stable."""
        self._sizes.append(len(data.payload))
        self._flight_bytes += len(data.payload)

    def stable(self, sequence: int) -> None:
        """Every member has taken our stream up to `sequence`."""
        while self._stable < sequence:
            self._stable += 1
            self._flight_bytes -= self._sizes.popleft()

    def new_view(self) -> None:
        """Streams and tickets begin anew; what waits, waits on."""
        self._sizes.clear()
        self._flight_bytes = self._stable = self._asked = self._reserved = 0

    # -- what may leave ----------------------------------------------------------------------
    def next_loose(self) -> Draft | None:
        """A RELIABLE message that may leave now, if any."""
        return self._pop(self._loose) if self._loose and self._credit() else None

    def next_fifo(self) -> Draft | None:
        """The head of the queue if it needs no ticket and may leave now."""
        if self._asked or not self._queue or not self._credit():
            return None  # what follows a message that waits for its ticket waits too
        return None if self._queue[0].service in TICKETED else self._pop(self._queue)

    def tickets_wanted(self) -> int:
        """How many tickets to ask for now; 0: none, or the answer is still to come."""
        if self._asked:
            return 0
        for place in range(min(self._credit(), len(self._queue))):
            if self._queue[place].service in TICKETED:
                self._asked += 1
                self._reserved = place + 1
                if self._asked == self._settings.tickets_max:
                    break
        return self._asked

    def granted(self, count: int) -> list[Draft]:
        """The tickets came: what must leave now, in order, `count` of them ticketed.

        Credit isn't looked at again: an unused ticket would hold up everybody.
        """
        assert count == self._asked, "tickets are granted as they were asked for"
        drafts: list[Draft] = [self._pop(self._queue) for _ in range(self._reserved)]
        self._asked = self._reserved = 0
        return drafts

    def _pop(self, queue: deque[Draft]) -> Draft:
        draft = queue.popleft()
        self._bytes -= len(draft.payload)
        return draft
