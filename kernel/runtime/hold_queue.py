"""Hold queue: what waits at one node for a reactor that is away, until it is back. Pure.

All signals of the wires that hold go by here, so nothing overtakes what waits. Before they go to
another life of the reactor, the place of the former one is asked whether all that wasn't handled
there has come back; that goes first, in the order in which it was sent.
"""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from zactor.kernel import limits

WireKey = tuple[str, str]
"""Emitter, and what the reactor does."""


class HeldSignal(msgspec.Struct, eq=False, gc=False):
    """One signal to one reactor."""

    wire: WireKey
    number: int  # of the signal at this node: a later one of an emitter has a greater one
    payload: bytes
    sender: int  # uid of its emitter
    sig: str = ""  # its id in traces, where there are any

    @property
    def size(self) -> int:
        """What it counts, in bytes."""
        return len(self.payload) + limits.HOLD_BYTES_EACH


class HoldQueue:
    """The wires that hold, from one node to one reactor."""

    __slots__ = (
        "_asked",
        "_counts",
        "_ended",
        "_is_settled",
        "_life",
        "_place",
        "_returned",
        "_sent_to",
        "_waiting",
        "is_open",
        "size",
    )

    def __init__(self) -> None:
        """It is away, as far as is known."""
        self.is_open = False  # it is there, and all that waits goes
        self.size = 0  # of what waits, in bytes
        self._life: object = None  # which life of it is there; None: none
        self._place: object = None  # where that is
        self._ended: object = None  # a life that is over, though nobody has said so yet
        self._sent_to: object = None  # where signals went last: what isn't handled comes from it
        self._asked: tuple[object, object] | None = None  # that place, and for which life
        self._is_settled = False  # from there nothing comes back any more, before this life
        self._waiting: deque[HeldSignal] = deque()
        self._returned: list[HeldSignal] = []
        self._counts: Counter[WireKey] = Counter()

    def __len__(self) -> int:
        """Return how many signals wait."""
        return len(self._waiting) + len(self._returned)

    def waiting(self, wire: WireKey) -> int:
        """Return how many signals of that wire wait."""
        return self._counts[wire]

    # -- signals -----------------------------------------------------------------------------
    def put(self, held: HeldSignal) -> None:
        """It waits behind all others."""
        self._count(held)
        self._waiting.append(held)

    def came_back(self, held: HeldSignal, place: object) -> bool:
        """Take what wasn't handled at a place; False: too late, what was sent after it is gone."""
        if place is None or place is not self._sent_to:
            return False
        if self.is_open:
            self._close()
            self._ended = self._life
        self._count(held)
        self._returned.append(held)
        return True

    def next(self) -> HeldSignal | None:
        """Return what goes next to where the reactor is; None: nothing, or it must wait."""
        if not self.is_open:
            if not self._may_open() or not self._is_settled:
                return None
            self.is_open, self._sent_to = True, self._place
            self._returned.sort(key=lambda held: held.number)
            self._waiting.extendleft(reversed(self._returned))
            self._returned.clear()
        if not self._waiting:
            return None
        held = self._waiting.popleft()
        self._discount(held)
        return held

    def drop(self, wire: WireKey) -> list[HeldSignal]:
        """Return what waits on a wire that is no more, or holds nothing any more."""
        both = [*self._returned, *self._waiting]
        dropped = [held for held in both if held.wire == wire]
        self._returned = [held for held in self._returned if held.wire != wire]
        self._waiting = deque(held for held in self._waiting if held.wire != wire)
        for held in dropped:
            self._discount(held)
        return dropped

    # -- its reactor -------------------------------------------------------------------------
    def lives(self, life: object, place: object) -> None:
        """That life of it is at that place now; None: it is away."""
        if life is None:
            self._ended = None
        if (life, place) != (self._life, self._place):
            self._life, self._place = life, place
            self._close()

    def fence(self) -> object:
        """Return the place that is to be asked whether all has come back; None: none, now."""
        if not self._may_open() or self._is_settled:
            return None
        if self._sent_to is None:
            self._sent_to = self._place
        self._asked = self._sent_to, self._life
        return self._sent_to

    def settled(self, *, is_asked: bool = True) -> None:
        """From there nothing comes back any more; or it couldn't be asked, and is asked again."""
        if self._asked is not None:
            # A life that has ended since may have had in its mailbox what comes back later.
            self._is_settled = is_asked and self._asked[1] == self._life
            self._asked = None

    def look_again(self) -> None:
        """A life that seemed to be over may go on: ask its place again."""
        self._ended = None
        self._is_settled = False

    def _close(self) -> None:
        self.is_open = self._is_settled = False

    def _may_open(self) -> bool:
        if self.is_open or self._life is None or self._asked is not None:
            return False
        return self._life != self._ended

    def _count(self, held: HeldSignal) -> None:
        self._counts[held.wire] += 1
        self.size += held.size

    def _discount(self, held: HeldSignal) -> None:
        self._counts[held.wire] -= 1
        self.size -= held.size
