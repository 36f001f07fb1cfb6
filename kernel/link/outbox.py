"""The outbox, the sending half of a link: what waits, what is unacknowledged, what credit is left.

Items get their numbers when they are put into a frame. The frame is then kept as it is until it
is acknowledged and goes out again as it is, so an honest peer's acknowledgement always ends with
a frame, and the cost of keeping is per frame, not per item.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from zactor.kernel.link.effects import Limits


class Sent(NamedTuple):
    """A frame's worth of numbered items, kept until it is acknowledged."""

    first: int  # number of items[0]
    items: tuple[object, ...]
    size: int  # bytes

    @property
    def last(self) -> int:
        """Number of the last item."""
        return self.first + len(self.items) - 1


class _Lane:
    """Items that wait, with their sizes beside them: a pair per item would burden the collector."""

    __slots__ = ("items", "sizes")

    def __init__(self) -> None:
        self.items: deque[object] = deque()
        self.sizes: deque[int] = deque()

    def put(self, item: object, size: int) -> None:
        self.items.append(item)
        self.sizes.append(size)

    def move(self, batch: list[object], size: int, count_max: int, size_max: int) -> int:
        """Move items into `batch` of `size` bytes up to the limits; return its size then.

        An item larger than `size_max` is moved into an empty batch only.
        """
        items, sizes = self.items, self.sizes
        while items and len(batch) < count_max:
            larger = size + sizes[0]
            if batch and larger > size_max:
                break
            batch.append(items.popleft())
            sizes.popleft()
            size = larger
        return size


class Outbox:
    """Numbers, keeps and forgets the items of one direction of a link."""

    __slots__ = (
        "_flight_bytes",
        "_free",
        "_held",
        "_is_credited",
        "_limits",
        "_sent",
        "_size_of",
        "acknowledged",
        "granted",
        "next_number",
        "queued_bytes",
        "spent",
    )

    def __init__(
        self,
        limits: Limits,
        size_of: Callable[[object], int],
        is_credited: Callable[[object], bool],
    ) -> None:
        self._limits = limits
        self._size_of = size_of
        self._is_credited = is_credited
        self._free = _Lane()  # take no credit: wait for the connection only
        self._held = _Lane()  # take a credit each
        self._sent: deque[Sent] = deque()
        self._flight_bytes = 0  # of all in _sent
        self.next_number = 1
        self.acknowledged = 0  # everything up to this number has arrived
        self.granted = limits.window  # credited items that may have been sent in all
        self.spent = 0  # credited items that were sent in all
        self.queued_bytes = 0  # of what waits and what is unacknowledged

    @property
    def waiting(self) -> int:
        """Items that were never transmitted."""
        return len(self._free.items) + len(self._held.items)

    @property
    def queued(self) -> int:
        """Items that wait or are unacknowledged."""
        return self.waiting + self.next_number - 1 - self.acknowledged

    @property
    def is_in_doubt(self) -> bool:
        """Whether something was transmitted and isn't acknowledged."""
        return bool(self._sent)

    @property
    def is_unsettled(self) -> bool:
        """Whether we need to hear from the peer: of what arrived, or of credit."""
        return bool(self._sent) or bool(self._held.items)

    @property
    def unacknowledged(self) -> Iterator[Sent]:
        """What was transmitted and isn't acknowledged, in order."""
        return iter(self._sent)

    def accept(self, items: Sequence[object], at_once: bool) -> list[Sent]:
        """Take over `items`; return those that may leave now, numbered, a frame each.

        The others wait for `take`. `at_once` says whether frames may leave now.
        """
        step = self._limits.batch_items
        if len(items) <= step:
            return self._accept_batch(tuple(items), at_once)
        leaving: list[Sent] = []
        for at in range(0, len(items), step):
            leaving += self._accept_batch(tuple(items[at : at + step]), at_once)
        return leaving

    def _accept_batch(self, batch: tuple[object, ...], at_once: bool) -> list[Sent]:
        sizes = list(map(self._size_of, batch))
        size = sum(sizes)
        self.queued_bytes += size
        # Nothing may overtake what waits already, except by `take`, which minds the lanes.
        if at_once and not self._free.items and not self._held.items:
            credited = sum(map(self._is_credited, batch))
            if (size <= self._limits.batch_bytes or len(batch) == 1) and (
                not credited or self._has_room(credited)
            ):
                return [self._number(batch, size, credited)]
        for item, item_size in zip(batch, sizes, strict=True):
            (self._held if self._is_credited(item) else self._free).put(item, item_size)
        return []

    def _has_room(self, credited: int) -> bool:
        return (
            credited <= self.granted - self.spent and self._flight_bytes < self._limits.flight_bytes
        )

    def take(self) -> Sent | None:
        """Number and return the next frame's worth of what waits, if anything may leave."""
        limits = self._limits
        batch: list[object] = []
        size = self._free.move(batch, 0, limits.batch_items, limits.batch_bytes)
        free = len(batch)
        if self._held.items and self._has_room(1):
            count_max = min(limits.batch_items, free + self.granted - self.spent)
            size = self._held.move(batch, size, count_max, limits.batch_bytes)
        if not batch:
            return None
        return self._number(tuple(batch), size, len(batch) - free)

    def _number(self, items: tuple[object, ...], size: int, credited: int) -> Sent:
        sent = Sent(self.next_number, items, size)
        self._sent.append(sent)
        self._flight_bytes += size
        self.next_number += len(items)
        self.spent += credited
        return sent

    def acknowledge(self, number: int) -> None:
        """Forget what has arrived: everything up to `number`."""
        assert number < self.next_number, "acknowledges what was never sent"
        sent = self._sent
        freed = 0
        while sent and sent[0].last <= number:
            freed += sent.popleft().size
        if sent and sent[0].first <= number:
            # No honest peer stops within a frame; one that does costs nothing but this.
            first, items, size = sent[0]
            kept = items[number + 1 - first :]
            kept_size = sum(map(self._size_of, kept))
            sent[0] = Sent(number + 1, kept, kept_size)
            freed += size - kept_size
        self._flight_bytes -= freed
        self.queued_bytes -= freed
        self.acknowledged = number

    def replace(self, first: int, items: tuple[object, ...]) -> None:
        """Keep other items under the same numbers; nothing if they have arrived."""
        for place, sent in enumerate(self._sent):
            if sent.first == first and len(sent.items) == len(items):
                credited = [sum(map(self._is_credited, some)) for some in (sent.items, items)]
                assert credited[0] == credited[1], "what was spent stays spent"
                self._sent[place] = Sent(first, items, sent.size)

    def clear(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """Give up everything: return (what was transmitted, what never was)."""
        transmitted = tuple(item for sent in self._sent for item in sent.items)
        waiting = (*self._free.items, *self._held.items)
        self._sent.clear()
        for lane in (self._free, self._held):
            lane.items.clear()
            lane.sizes.clear()
        self.acknowledged = self.next_number - 1
        self._flight_bytes = self.queued_bytes = 0
        return transmitted, waiting

    def validate(self) -> None:
        """Assert what must hold between two steps; slow, for tests."""
        numbers = [sent.first + i for sent in self._sent for i in range(len(sent.items))]
        assert numbers == list(range(self.acknowledged + 1, self.next_number)), "numbers"
        assert self.spent <= self.granted, "sent more credited items than granted"
        assert self._flight_bytes == sum(sent.size for sent in self._sent), "bytes in flight"
        waiting_bytes = sum(self._free.sizes) + sum(self._held.sizes)
        assert self.queued_bytes == self._flight_bytes + waiting_bytes, "bytes queued"
