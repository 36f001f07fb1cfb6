"""Two links joined by a wire that does its worst; a ledger beside them says what must hold.

The ledger shares no code with the link: it knows only what was submitted, delivered, consumed and
reported lost. That it can see is shown in test_link_mutants.py.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import Deliver, Effect, Limits, Lost, Transmit
from zactor.kernel.link.link import Link
from zactor.kernel.messages.frames import LinkFrame

WINDOW = 4
LIMITS = Limits(
    window=WINDOW,
    lot=2,
    batch_items=3,
    batch_bytes=40,
    flight_bytes=60,
    resend_ms=250,
    ack_delay_ms=5,
)
SETTLE_MS = 20 * 250


class Unit(NamedTuple):
    """What has a number of its own: its sender, its lane, its place there."""

    sender: str
    credited: bool
    place: int


class Thing(NamedTuple):
    """An item: its sender, its lane, its first place there, its size, how many units it is."""

    sender: str
    credited: bool
    place: int
    size: int
    weight: int

    def units(self) -> list[Unit]:
        return [Unit(self.sender, self.credited, self.place + i) for i in range(self.weight)]


def split(thing: Thing, weight: int) -> tuple[Thing, Thing]:
    size = thing.size * weight // thing.weight
    head = thing._replace(size=size, weight=weight)
    rest = (thing.place + weight, thing.size - size, thing.weight - weight)
    return head, Thing(thing.sender, thing.credited, *rest)


class Ledger:
    """What must hold of one direction, whatever the wire does."""

    def __init__(self) -> None:
        self.submitted: dict[bool, list[Unit]] = {True: [], False: []}
        self.delivered: dict[bool, list[Unit]] = {True: [], False: []}
        self.lost: list[tuple[Unit, bool]] = []
        self.consumed = 0

    def deliver(self, items: Sequence[Thing]) -> None:
        for item in [unit for thing in items for unit in thing.units()]:
            lane = self.delivered[item.credited]
            submitted = self.submitted[item.credited]
            assert len(lane) < len(submitted), f"{item} was delivered again or never submitted"
            assert item == submitted[len(lane)], f"{item} is out of order"
            lane.append(item)
        under_way = len(self.delivered[True]) - self.consumed
        assert under_way <= WINDOW, f"{under_way} credited items delivered and not consumed"

    def lose(self, items: Sequence[Thing], sent: Sequence[bool]) -> None:
        assert len(items) == len(sent)
        for thing, was_sent in zip(items, sent, strict=True):
            self.lost += [(unit, was_sent) for unit in thing.units()]

    def complete(self) -> None:
        assert self.delivered == self.submitted, "something never arrived"

    def accounted(self) -> None:
        """The peer is gone: every item was delivered or reported, and no report is a lie."""
        lost = [item for item, _ in self.lost]
        assert len(lost) == len(set(lost)), "reported twice"
        delivered = {*self.delivered[True], *self.delivered[False]}
        submitted = {*self.submitted[True], *self.submitted[False]}
        assert submitted == delivered | set(lost), "something vanished silently"
        for item, sent in self.lost:
            assert sent or item not in delivered, f"{item} arrived, reported as never sent"


class End:
    """One end of the pair: its link, its outgoing wire, and the ledger of what it submits."""

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self.link = link
        self.ledger = Ledger()
        self.out: list[LinkFrame] = []  # on the wire
        self.wire_up = False
        self.told_up = False  # what the link was told
        self.frames_count = 0


class World:
    """Both ends, the wires between them, and the time."""

    def __init__(self, kind: type[Link] = Link, trusted: bool = True) -> None:
        """Args: `trusted`: the link's own assertions are asked too, not only the ledger."""
        self.trusted = trusted
        a, b = NodeId("a", 3), NodeId("b", 8)
        self.now_ms = 1_000
        self.ends = [End(me.name, make_link(kind, me, peer)) for me, peer in ((a, b), (b, a))]
        self.trouble: list[Effect] = []
        self.gone = False

    def peer(self, end: End) -> End:
        return self.ends[1 - self.ends.index(end)]

    def carry_out(self, end: End, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                assert end.told_up, "transmits although it knows the connection is broken"
                end.frames_count += 1
                if end.wire_up:
                    end.out.append(effect.frame)
            elif isinstance(effect, Deliver):
                self.peer(end).ledger.deliver(effect.items)
            elif isinstance(effect, Lost):
                end.ledger.lose(effect.items, effect.sent)
            elif effect.event == "frame_dropped" and not self.gone:
                self.trouble.append(effect)
        if self.trusted:
            end.link.validate()

    # -- the user ------------------------------------------------------------------------
    def submit(self, end: End, kinds: Sequence[tuple[bool, int] | tuple[bool, int, int]]) -> None:
        """Args: kinds: of each item: does it take credits, its size, and its weight if not 1."""
        things = []
        for credited, size, *weight in kinds:
            lane = end.ledger.submitted[credited]
            things.append(Thing(end.name, credited, len(lane), size, *weight or (1,)))
            lane += things[-1].units()
        self.carry_out(end, end.link.submit(things, self.now_ms))

    def consume(self, end: End, most: int = 1_000) -> None:
        ledger = self.peer(end).ledger
        count = min(most, len(ledger.delivered[True]) - ledger.consumed)
        ledger.consumed += count
        self.carry_out(end, end.link.consumed(count, self.now_ms))

    # -- the wire ------------------------------------------------------------------------
    def arrive(self, end: End, at: int = 0) -> None:
        """A frame of `end` arrives: the oldest, or a later one before it."""
        if end.out:
            frame = end.out.pop(at % len(end.out))
            peer = self.peer(end)
            self.carry_out(peer, peer.link.receive(frame, self.now_ms))

    def lose(self, end: End, at: int) -> None:
        if end.out:
            end.out.pop(at % len(end.out))

    def repeat(self, end: End, at: int) -> None:
        if end.out:
            end.out.append(end.out[at % len(end.out)])

    def break_wire(self, end: End, kept: int = 0, told: bool = True) -> None:
        del end.out[kept:]
        end.wire_up = False
        if told and end.told_up:
            end.told_up = False
            self.carry_out(end, end.link.disconnected(self.now_ms))

    def connect(self, end: End) -> None:
        end.wire_up = end.told_up = True
        self.carry_out(end, end.link.connected(self.now_ms))

    def wait(self, ms: int) -> None:
        self.now_ms += ms
        for end in self.ends:
            self.carry_out(end, end.link.tick(self.now_ms))

    # -- the end -------------------------------------------------------------------------
    def settle(self, consume: bool = True) -> None:
        """Heal everything; let frames, timers and the users run until there is silence."""
        for end in self.ends:
            if not end.wire_up:
                self.connect(end)
        until_ms = self.now_ms + SETTLE_MS
        while self.now_ms < until_ms:
            while self.ends[0].out or self.ends[1].out:
                for end in self.ends:
                    self.arrive(end)
                    if consume:
                        self.consume(self.peer(end))
            deadlines = [end.link.next_deadline_ms for end in self.ends]
            due = [deadline for deadline in deadlines if deadline is not None]
            if not due:
                break
            self.wait(max(0, min(due) - self.now_ms))

    def finish(self) -> None:
        """Liveness: after healing all arrives, nothing was refused, then there is silence."""
        self.settle()
        for end in self.ends:
            end.ledger.complete()
            assert end.link.queued == end.link.queued_bytes == end.link.waiting == 0
            assert end.link.next_deadline_ms is None, "timers run although there is nothing to do"
        assert not self.trouble, self.trouble
        counts = [end.frames_count for end in self.ends]
        self.wait(10_000)
        assert counts == [end.frames_count for end in self.ends], "frames although nothing is new"

    def die(self) -> None:
        """Safety at the end of a pair: both are told that the other one is gone."""
        self.gone = True
        for end in self.ends:
            self.carry_out(end, end.link.peer_dead("killed"))
            end.out.clear()
        for end in self.ends:
            self.submit(end, [(True, 1), (False, 1)])
            end.ledger.accounted()
            assert end.link.queued == end.link.queued_bytes == 0


def make_link(kind: type[Link], local: NodeId, remote: NodeId) -> Link:
    return kind(
        local,
        remote,
        is_credited=lambda thing: thing.credited,  # type: ignore[attr-defined]
        size_of=lambda thing: thing.size,  # type: ignore[attr-defined]
        weight_of=lambda thing: thing.weight,  # type: ignore[attr-defined]
        split=split,  # type: ignore[arg-type]
        limits=LIMITS,
    )


FATES = ("pass", "lose", "twice", "late", "break", "break unnoticed")


def run_with_fates(fates: Sequence[str], kind: type[Link] = Link) -> World:
    """A short conversation; the first frames on the wire meet these fates, one each."""
    world = World(kind)
    a, b = world.ends
    left = iter(fates)
    for end in world.ends:
        world.connect(end)
    world.submit(a, [(True, 10), (False, 10), (True, 10), (True, 10)])
    world.submit(b, [(False, 10)])
    world.submit(a, [(True, 70), (True, 10, 2), (False, 10)])
    world.submit(b, [(True, 10)])
    while True:
        sender = next((end for end in (a, b, a) if end.out), None)
        fate = next(left, None)
        if sender is None or fate is None:
            return world
        if fate == "lose":
            world.lose(sender, 0)
        elif fate == "twice":
            world.repeat(sender, 0)
            world.arrive(sender)
        elif fate == "late":
            world.arrive(sender, 1)
        elif fate.startswith("break"):
            world.break_wire(sender, kept=1, told=fate == "break")
            world.arrive(sender)
            world.wait(3)
            world.connect(sender)
        else:
            world.arrive(sender)
        world.wait(1)
        world.consume(world.peer(sender), 1)


def run_with_seed(seed: int, steps: int, kind: type[Link] = Link, trusted: bool = True) -> World:
    chance = random.Random(seed)
    world = World(kind, trusted)
    lossy = chance.choice((0.02, 0.1, 0.4))
    for _ in range(steps):
        end = chance.choice(world.ends)
        if chance.random() < lossy:
            fault = chance.randrange(6)
            if fault == 0:
                world.lose(end, chance.randrange(8))
            elif fault == 1:
                world.repeat(end, chance.randrange(8))
            elif fault == 2:
                world.arrive(end, chance.randrange(8))
            elif fault == 3:
                world.break_wire(end, chance.randrange(4), told=chance.random() < 0.7)
            else:
                world.connect(end)
            continue
        step = chance.randrange(8)
        if step == 0:
            things = [
                (chance.random() < 0.6, chance.choice((1, 9, 30, 90)))
                for _ in range(chance.choice((1, 1, 2, 9)))
            ]
            # Parcels take credits: heavier than a frame, and than a window, some of them.
            heavy = chance.random() < 0.5
            world.submit(
                end,
                [
                    (credited, size, chance.choice((1, 2, 3, 7)) if heavy and credited else 1)
                    for credited, size in things
                ],
            )
        elif step == 1:
            world.consume(end, chance.randrange(5))
        elif step == 2:
            world.wait(chance.choice((0, 1, 5, 60, 260)))
        else:
            world.arrive(end)
    return world
