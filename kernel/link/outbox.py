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
    weight: int  # of all: so many numbers

    @property
    def last(self) -> int:
        """The last number."""
        return self.first + self.weight - 1


class _Batch:
    """Items on their way into a frame."""

    __slots__ = ("items", "size", "weight")

    def __init__(self) -> None:
        self.items: list[object] = []
        self.size = 0
        self.weight = 0


class _Lane:
    """Items that wait, with their sizes beside them: a pair per item would burden the collector."""

    __slots__ = ("items", "sizes", "weight")

    def __init__(self) -> None:
        self.items: deque[object] = deque()
        self.sizes: deque[int] = deque()
        self.weight = 0

    def put(self, item: object, size: int, weight: int) -> None:
        self.items.append(item)
        self.sizes.append(size)
        self.weight += weight

    def clear(self) -> None:
        self.items.clear()
        self.sizes.clear()
        self.weight = 0

    def move(
        self,
        batch: _Batch,
        weight_max: int,
        size_max: int,
        weight_of: Callable[[object], int],
    ) -> None:
        """Move items into `batch` up to the limits of the whole.

        An item larger than `size_max` is moved into an empty batch only.
        """
        items, sizes = self.items, self.sizes
        while items:
            size, weight = batch.size + sizes[0], weight_of(items[0])
            if batch.weight + weight > weight_max or (batch.items and size > size_max):
                return
            batch.items.append(items.popleft())
            sizes.popleft()
            batch.size = size
            batch.weight += weight
            self.weight -= weight

    def split_first(
        self,
        weight: int,
        size_of: Callable[[object], int],
        split: Callable[[object, int], tuple[object, object]],
    ) -> int:
        """Make two of the first item, the first of that weight; return how much the size grows."""
        head, rest = split(self.items.popleft(), weight)
        sizes = size_of(head), size_of(rest)
        grown = sum(sizes) - self.sizes.popleft()
        self.items.extendleft((rest, head))
        self.sizes.extendleft(reversed(sizes))
        return grown


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
        "_split",
        "_weight_of",
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
        weight_of: Callable[[object], int],
        split: Callable[[object, int], tuple[object, object]],
    ) -> None:
        """Args: as of Link."""
        self._limits = limits
        self._size_of = size_of
        self._is_credited = is_credited
        self._weight_of = weight_of
        self._split = split
        self._free = _Lane()  # take no credit: wait for the connection only
        self._held = _Lane()  # take credits
        self._sent: deque[Sent] = deque()
        self._flight_bytes = 0  # of all in _sent
        self.next_number = 1
        self.acknowledged = 0  # everything up to this number has arrived
        self.granted = limits.window  # credited items that may have been sent in all
        self.spent = 0  # credited items that were sent in all
        self.queued_bytes = 0  # of what waits and what is unacknowledged

    @property
    def waiting(self) -> int:
        """Items that were never transmitted, by weight."""
        return self._free.weight + self._held.weight

    @property
    def queued(self) -> int:
        """Items that wait or are unacknowledged, by weight."""
        waiting = self._free.weight + self._held.weight
        return waiting + self.next_number - 1 - self.acknowledged

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
        weight_max = self._limits.batch_items
        weights = list(map(self._weight_of, items))
        total = sum(weights)
        if total <= weight_max:
            return self._accept_batch(tuple(items), weights, total, at_once)
        leaving: list[Sent] = []
        begin = total = 0
        for place, weight in enumerate(weights):
            if total + weight > weight_max and place > begin:
                batch = tuple(items[begin:place])
                leaving += self._accept_batch(batch, weights[begin:place], total, at_once)
                begin, total = place, 0
            total += weight
        return leaving + self._accept_batch(tuple(items[begin:]), weights[begin:], total, at_once)

    def _accept_batch(
        self, batch: tuple[object, ...], weights: Sequence[int], weight: int, at_once: bool
    ) -> list[Sent]:
        # Loops, not sums of generators: nearly always it is one item.
        sizes: list[int] = []
        size = credited = 0
        for item, each in zip(batch, weights, strict=True):
            sizes.append(self._size_of(item))
            size += sizes[-1]
            if self._is_credited(item):
                credited += each
        self.queued_bytes += size
        # Nothing may overtake what waits already, except by `take`, which minds the lanes.
        if (
            at_once
            and not self._free.items
            and not self._held.items
            and (size <= self._limits.batch_bytes or len(batch) == 1)
            and weight <= self._limits.batch_items
            and (not credited or self._has_room(credited))
        ):
            return [self._number(batch, size, weight, credited)]
        for item, item_size, item_weight in zip(batch, sizes, weights, strict=True):
            lane = self._held if self._is_credited(item) else self._free
            lane.put(item, item_size, item_weight)
        return []

    def _credits(self, items: Sequence[object], weights: Sequence[int]) -> int:
        return sum([w for item, w in zip(items, weights, strict=True) if self._is_credited(item)])

    def _has_room(self, credited: int) -> bool:
        return (
            credited <= self.granted - self.spent and self._flight_bytes < self._limits.flight_bytes
        )

    def take(self) -> Sent | None:
        """Number and return the next frame's worth of what waits, if anything may leave."""
        limits, weight_of = self._limits, self._weight_of
        batch = _Batch()
        self._free.move(batch, limits.batch_items, limits.batch_bytes, weight_of)
        free = batch.weight
        held = self._held
        if held.items and self._has_room(1):
            weight_max = min(limits.batch_items, free + self.granted - self.spent)
            # A part of the first goes where there is credit for no more: else the rest of the
            # credit would be of no use to anybody.
            if not free and weight_of(held.items[0]) > weight_max:
                self.queued_bytes += held.split_first(weight_max, self._size_of, self._split)
            held.move(batch, weight_max, limits.batch_bytes, weight_of)
        if not batch.items:
            return None
        return self._number(tuple(batch.items), batch.size, batch.weight, batch.weight - free)

    def _number(self, items: tuple[object, ...], size: int, weight: int, credited: int) -> Sent:
        sent = Sent(self.next_number, items, size, weight)
        self._sent.append(sent)
        self._flight_bytes += size
        self.next_number += weight
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
            number, gone = self._keep_rest(number)
            freed += gone
        self._flight_bytes -= freed
        self.queued_bytes -= freed
        self.acknowledged = number

    def _keep_rest(self, number: int) -> tuple[int, int]:
        """Forget the whole items up to `number` in the first frame.

        Returns the last number forgotten, and how many bytes that were.
        """
        first, items, size, weight = self._sent[0]
        place = first
        kept = list(items)
        while kept and place + self._weight_of(kept[0]) - 1 <= number:
            place += self._weight_of(kept.pop(0))
        kept_size = sum(map(self._size_of, kept))
        self._sent[0] = Sent(place, tuple(kept), kept_size, first + weight - place)
        return place - 1, size - kept_size

    def replace(self, first: int, items: tuple[object, ...]) -> None:
        """Keep other items under the same numbers; nothing if they have arrived."""
        for place, sent in enumerate(self._sent):
            if sent.first == first and len(sent.items) == len(items):
                weights = [list(map(self._weight_of, some)) for some in (sent.items, items)]
                assert weights[0] == weights[1], "whatever had a number has one"
                assert self._credits(sent.items, weights[0]) == self._credits(items, weights[1]), (
                    "what was spent stays spent"
                )
                self._sent[place] = Sent(first, items, sent.size, sent.weight)

    def clear(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """Give up everything: return (what was transmitted, what never was)."""
        transmitted = tuple(item for sent in self._sent for item in sent.items)
        waiting = (*self._free.items, *self._held.items)
        self._sent.clear()
        self._free.clear()
        self._held.clear()
        self.acknowledged = self.next_number - 1
        self._flight_bytes = self.queued_bytes = 0
        return transmitted, waiting

    def validate(self) -> None:
        """Assert what must hold between two steps; slow, for tests."""
        numbers = [sent.first + i for sent in self._sent for i in range(sent.weight)]
        assert numbers == list(range(self.acknowledged + 1, self.next_number)), "numbers"
        assert self.spent <= self.granted, "sent more credited items than granted"
        assert self._flight_bytes == sum(sent.size for sent in self._sent), "bytes in flight"
        for sent in self._sent:
            assert sent.weight == sum(map(self._weight_of, sent.items)), "weight in flight"
        for lane in (self._free, self._held):
            assert lane.weight == sum(map(self._weight_of, lane.items)), "weight that waits"
        waiting_bytes = sum(self._free.sizes) + sum(self._held.sizes)
        assert self.queued_bytes == self._flight_bytes + waiting_bytes, "bytes queued"
