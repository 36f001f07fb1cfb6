"""Flow control: what waits to be sent, and how much may be on its way to slower members.

What waits is packed: messages that queue up behind each other share a place, so that under load
the work for a place is done once for many. A sender may be so many messages and bytes ahead of the
stable line of its own stream; then the rest waits here. The slowest node sets that pace, however
its sessions read: what has to wait for a reader doesn't get here before (credit.py). Order in the
queue is order in the stream, but RELIABLE doesn't wait for tickets. Source: packing as in Totem
(Amir et al., ACM TOCS 13(4), 1995) and Spread.
"""

from __future__ import annotations

from collections import deque

from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups.names import URGENT
from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.groups import GroupItem, Kind
from zactor.kernel.messages.service import TICKETED, Service


def size_of(item: GroupItem) -> int:
    """Bytes that count for a message: payload and names, of which most are ASCII."""
    return len(item.payload) + len(item.session) + sum(map(len, item.groups))


class Draft:
    """A packet without its place."""

    __slots__ = ("bytes", "count", "is_ticketed", "is_urgent", "items", "kind", "service")

    def __init__(self, item: GroupItem, kind: Kind, size: int) -> None:
        self.items = [item]
        self.count = item.count  # messages: an item may be a parcel
        self.kind = kind
        self.service = item.service  # the strongest
        self.is_ticketed = item.service in TICKETED
        self.is_urgent = item.session == URGENT  # waits for no credit, nor behind others
        self.bytes = size

    def takes(self, item: GroupItem, size: int, settings: Settings) -> bool:
        """Take one more item in if it fits."""
        service = item.service
        if (
            self.kind is not Kind.DATA
            or self.is_urgent is not (item.session == URGENT)
            or self.count + item.count > settings.packet_messages
            or self.bytes + size > settings.packet_bytes
        ):
            return False
        if service is not self.service:
            if not (self.is_ticketed and service in TICKETED):
                return False
            self.service = max(self.service, service)
        self.items.append(item)
        self.count += item.count
        self.bytes += size
        return True


class FlowControl:
    """The queue of one node, over all views; the credits of the present one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._window = settings.window_messages
        self._queue: deque[Draft] = deque()
        self._loose: deque[Draft] = deque()  # RELIABLE: waits for credit only
        self._unreliable: deque[Draft] = deque()  # leaves at once or never
        self.has_news = False  # something was added since the last pump
        self.waiting = 0  # messages that have no place yet
        self._bytes = 0  # of them
        self._sizes: deque[tuple[int, int]] = deque()  # own packets beyond the stable line
        self.in_flight = 0  # messages in them: not every member is known to have taken these
        self._flight_bytes = 0
        self._stable = 0  # of our own stream
        self.asked = 0  # tickets asked for and not granted yet
        self._reserved = 0  # drafts at the head of the queue that leave with them
        self._reserved_messages = 0
        self._urgent_end = 0  # place in the queue behind the last urgent draft; 0: there is none
        self.paused = False

    def add(self, item: GroupItem, kind: Kind = Kind.DATA) -> None:
        """Put a message behind the others.

        Raises:
            MailboxFull: too much would wait; nothing changed. Joins, leaves and
                disconnects, which are bounded otherwise, are always taken.
        """
        if item.service is Service.UNRELIABLE:
            self._put(self._unreliable, item, size_of(item))
            self.has_news = True
            return
        size, settings = size_of(item), self._settings
        queue = self._loose if item.service is Service.RELIABLE else self._queue
        if item.session == URGENT and queue is self._queue:
            self._put_first(item, kind, size)
        elif kind is not Kind.DATA:
            queue.append(Draft(item, kind, size))
        elif (
            self.waiting + item.count <= settings.queue_hard
            and self._bytes + size <= settings.queue_hard_bytes
        ):
            self._put(queue, item, size)
        else:
            raise MailboxFull(
                f"{self.waiting} messages ({self._bytes} bytes) wait for credit: send more slowly"
            )
        self.waiting += item.count
        self._bytes += size
        self.has_news = True

    def _put(self, queue: deque[Draft], item: GroupItem, size: int) -> None:
        if not (queue and queue[-1].takes(item, size, self._settings)):
            queue.append(Draft(item, Kind.DATA, size))

    def _put_first(self, item: GroupItem, kind: Kind, size: int) -> None:
        """Put an urgent message behind the urgent ones, and those that have asked for tickets."""
        place = max(self._urgent_end, self._reserved)
        if place > self._reserved and self._queue[place - 1].takes(item, size, self._settings):
            return
        self._queue.insert(place, Draft(item, kind, size))
        self._urgent_end = place + 1

    def limit_window(self, messages: int) -> None:
        """Let so many messages be on their way from now on; 0: as many as the settings say."""
        most = self._settings.window_messages
        self._window = min(messages, most) if messages else most

    def turn(self) -> bool | None:
        """True: submitters must pause from now on; False: they may resume; None: no change."""
        most, most_bytes = self._settings.queue_soft, self._settings.queue_soft_bytes
        if not self.paused and (self.waiting > most or self._bytes > most_bytes):
            self.paused = True
        elif self.paused and self.waiting <= most // 2 and self._bytes <= most_bytes // 2:
            self.paused = False
        else:
            return None
        return self.paused

    # -- credits -----------------------------------------------------------------------------
    def _has_credit(self, draft: Draft) -> bool:
        """True if one more packet may leave now; one that is urgent always may."""
        settings = self._settings
        return draft.is_urgent or (
            self.in_flight + self._reserved_messages < self._window
            and self._flight_bytes < settings.window_bytes
        )

    def sent(self, draft: Draft) -> None:
        """A packet left: it takes credits until it is stable."""
        self._sizes.append((draft.count, draft.bytes))
        self.in_flight += draft.count
        self._flight_bytes += draft.bytes

    def stable(self, sequence: int) -> None:
        """Every member has taken our stream up to `sequence`."""
        while self._stable < sequence:
            self._stable += 1
            count, size = self._sizes.popleft()
            self.in_flight -= count
            self._flight_bytes -= size

    def new_view(self) -> None:
        """Streams and tickets begin anew; what waits, waits on."""
        self._sizes.clear()
        self.in_flight = self._flight_bytes = self._stable = 0
        self.asked = self._reserved = self._reserved_messages = 0

    # -- what may leave ----------------------------------------------------------------------
    def next_loose(self) -> Draft | None:
        """RELIABLE messages that may leave now, if any."""
        return self._pop(self._loose) if self._loose and self._has_credit(self._loose[0]) else None

    def next_fifo(self) -> Draft | None:
        """The head of the queue if it needs no ticket and may leave now."""
        if self.asked or not self._queue or self._queue[0].is_ticketed:
            return None  # what follows a message that waits for its ticket waits too
        return self._pop(self._queue) if self._has_credit(self._queue[0]) else None

    def next_unreliable(self) -> Draft | None:
        """UNRELIABLE messages, which must leave now or be dropped."""
        return self._unreliable.popleft() if self._unreliable else None

    def tickets_wanted(self) -> int:
        """How many tickets to ask for now; 0: none, or the answer is still to come."""
        if self.asked or not self._queue or not self._has_credit(self._queue[0]):
            return 0
        settings = self._settings
        messages, size = self.in_flight, self._flight_bytes
        for place, draft in enumerate(self._queue, 1):
            is_far = messages >= self._window or size >= settings.window_bytes
            if is_far and not draft.is_urgent:
                break
            messages += draft.count
            size += draft.bytes
            if draft.is_ticketed:
                self.asked += 1
                self._reserved = place
                self._reserved_messages = messages - self.in_flight
                if self.asked == settings.tickets_max:
                    break
        return self.asked

    def granted(self, count: int) -> list[Draft]:
        """The tickets came: what must leave now, in order, `count` of them ticketed.

        Credit isn't looked at again: an unused ticket would hold up everybody.
        """
        assert count == self.asked, "tickets are granted as they were asked for"
        drafts = [self._pop(self._queue) for _ in range(self._reserved)]
        self.asked = self._reserved = self._reserved_messages = 0
        return drafts

    def _pop(self, queue: deque[Draft]) -> Draft:
        draft = queue.popleft()
        if queue is self._queue and self._urgent_end:
            self._urgent_end -= 1
        self.waiting -= draft.count
        self._bytes -= draft.bytes
        return draft
