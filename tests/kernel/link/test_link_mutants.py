"""Links with a planted fault, which the ledger of link_world.py must catch."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from link_world import WINDOW, run_with_seed
from link_world import split as _split

from zactor.kernel.link.effects import Effect, Transmit
from zactor.kernel.link.link import Link
from zactor.kernel.link.outbox import _Lane
from zactor.kernel.messages.frames import LinkFrame


class SkipsGaps(Link):
    """Acknowledges what lies before a frame though it never arrived."""

    __slots__ = ()

    def receive(self, frame: LinkFrame, now_ms: int) -> list[Effect]:
        self._received = max(self._received, frame.first - 1)
        return super().receive(frame, now_ms)


class KeepsDuplicates(Link):
    """Delivers a frame whole, though it has a part of it or all of it."""

    __slots__ = ()

    def receive(self, frame: LinkFrame, now_ms: int) -> list[Effect]:
        if frame.first <= self._received:
            self._received = frame.first - 1
        return super().receive(frame, now_ms)


class NeverResends(Link):
    """Forgets the resending."""

    __slots__ = ()

    def _resend(self, now_ms: int) -> list[Effect]:
        return []


class NeverProbes(Link):
    """Doesn't ask when it hears nothing, nor after a reconnect."""

    __slots__ = ()

    def _probe(self, now_ms: int) -> Transmit:
        return Transmit(self._frame(self._out.next_number, ()))

    @property
    def next_deadline_ms(self) -> int | None:
        return self._ack_due_ms


class SleepsWithoutCredit(Link):
    """Doesn't ask for the credit whose grant was lost."""

    __slots__ = ()

    def _probe(self, now_ms: int) -> Transmit:
        transmit = super()._probe(now_ms)
        if not self._out.is_in_doubt:
            self._probe_due_ms = None
        return transmit

    def _hear(self, frame: LinkFrame, now_ms: int) -> None:
        super()._hear(frame, now_ms)
        if not self._out.is_in_doubt:
            self._probe_due_ms = None


class GrantsTooMuch(Link):
    """Takes each item for consumed that has arrived."""

    __slots__ = ()

    def _frame(self, first: int, items: tuple[object, ...], probe: bool = False) -> LinkFrame:
        consumed, self._consumed = self._consumed, self._credited_received
        frame = super()._frame(first, items, probe)
        self._consumed = consumed
        return frame


class HidesWhatWaited(Link):
    """Reports to the user only what was transmitted."""

    __slots__ = ()

    def _lose(self, transmitted: tuple[object, ...], waiting: tuple[object, ...]) -> list[Effect]:
        return super()._lose(transmitted, ())


class CallsAllUnsent(Link):
    """Says of everything that it was certainly not handled."""

    __slots__ = ()

    def _lose(self, transmitted: tuple[object, ...], waiting: tuple[object, ...]) -> list[Effect]:
        return super()._lose((), transmitted + waiting)


class OneLane(Link):
    """Lets answers wait for credit behind what takes one."""

    __slots__ = ()

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._out._free = self._out._held


class CountsItems(Link):
    """Takes an item for one number, whatever it weighs."""

    __slots__ = ()

    def receive(self, frame: LinkFrame, now_ms: int) -> list[Effect]:
        before = self._received
        effects = super().receive(frame, now_ms)
        if self._received > before:
            self._received = before + len(frame.items)
        return effects


class WholeLane(_Lane):
    """Splits nothing."""

    __slots__ = ()

    def split_first(self, *_: object) -> int:
        return 0


class WaitsForWholeParcels(Link):
    """Sends no part of an item, though there is credit for one."""

    __slots__ = ()

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._out._held = WholeLane()


class DeliversTheRestTwice(Link):
    """Keeps what it has split as it was."""

    __slots__ = ()

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._out._split = lambda item, weight: (_split(item, weight)[0], item)  # type: ignore[arg-type,return-value]


class Overspends(Link):
    """Sends as if credits had no end, and takes as much."""

    __slots__ = ()

    def _problem(self, frame: LinkFrame, credited: int) -> str | None:
        return None

    def submit(self, items: Sequence[object], now_ms: int) -> list[Effect]:
        self._out.granted += len(items)
        return super().submit(items, now_ms)


def whole_story(seed: int, kind: type[Link]) -> None:
    """A long run, healed while the users sleep; the grant that wakes it is lost; two deaths."""
    world = run_with_seed(seed, 200, kind, trusted=False)
    for end in world.ends:
        world.submit(end, [(True, 5, 3)] * 2 * WINDOW + [(False, 5)])
    world.settle(consume=False)
    for end in world.ends:
        assert end.ledger.delivered[False] == end.ledger.submitted[False], "an answer waits"
        under_way = len(end.ledger.delivered[True]) - end.ledger.consumed
        assert under_way == WINDOW, "credit is left, and something waits"
    for end in world.ends:
        world.consume(end)
        end.out.clear()
    world.finish()
    for end in world.ends:
        world.submit(end, [(True, 5)] * 2 * WINDOW)
        for _ in list(end.out):
            world.arrive(end)
    world.die()


def failures(kind: type[Link]) -> list[str]:
    """What the ledger says of such links, each failing run once."""
    found = []
    for seed in range(20):
        try:
            whole_story(seed, kind)
        except AssertionError as error:
            found.append(str(error))
    return found


def test_the_ledger_has_nothing_to_say_of_a_sound_link() -> None:
    assert failures(Link) == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (SkipsGaps, "out of order"),
        (KeepsDuplicates, "delivered again|out of order"),
        (NeverResends, "never arrived|an answer waits"),
        (NeverProbes, "never arrived|an answer waits"),
        (SleepsWithoutCredit, "never arrived"),
        (GrantsTooMuch, "delivered and not consumed"),
        (HidesWhatWaited, "vanished silently"),
        (CallsAllUnsent, "reported as never sent"),
        (OneLane, "an answer waits"),
        (Overspends, "delivered and not consumed"),
        (CountsItems, "never arrived|an answer waits|delivered again|credit is left"),
        (WaitsForWholeParcels, "credit is left"),
        (DeliversTheRestTwice, "out of order|delivered again"),
    ],
)
def test_the_ledger_catches_a_link_that(kind: type[Link], says: str) -> None:
    found = failures(kind)
    assert any(re.search(says, words) for words in found), found
