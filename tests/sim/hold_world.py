"""A small world for what wires hold: an emitter's node, two places, a reactor that goes and comes.

Steps come in any order that links and the knowledge base allow; at the end all that was emitted
must have been handled once, in order.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from zactor.kernel.runtime.due_back import DueBack
from zactor.kernel.runtime.hold_queue import HeldSignal, HoldQueue

WIRE = ("e", "a")


@dataclass(eq=False)
class Place:
    """A node that the reactor may run on."""

    name: str
    to: deque[tuple[str, HeldSignal | None]] = field(default_factory=deque)
    back: deque[tuple[str, HeldSignal | None]] = field(default_factory=deque)
    due_back: DueBack = field(default_factory=DueBack)


class HoldWorld:
    """One run. Fields are read by its tests."""

    queue_class: type[HoldQueue] = HoldQueue
    forgets_due_back = False  # a mutant
    fences_early = False  # a mutant

    def __init__(self, seed: int, signals: int) -> None:
        self.random = random.Random(seed)
        self.queue = self.queue_class()
        self.places = [Place("a"), Place("b")]
        self.at = self.places[0]
        self.uid = 1
        self.life = 1
        self.state = "running"  # running | closed | swept | down
        self.mailbox: deque[HeldSignal] = deque()
        self.handled: list[int] = []
        self.told: deque[tuple[int | None, Place | None]] = deque([(1, self.at)])
        self.emitted = 0
        self.signals = signals
        self.moves = 0

    # -- the emitter's node ------------------------------------------------------------------
    def emit(self) -> None:
        self.emitted += 1
        signal = HeldSignal(WIRE, self.emitted, b"x", 1)
        if self.queue.is_open:
            self._send(signal)
        else:
            self.queue.put(signal)
        self._look()

    def _look(self) -> None:
        place = self.queue.fence()
        if isinstance(place, Place):
            if self.fences_early:
                self.queue.settled()
            else:
                place.to.append(("fence", None))
        while (signal := self.queue.next()) is not None:
            self._send(signal)

    def _send(self, signal: HeldSignal) -> None:
        assert isinstance(self.known, Place)
        self.known.to.append(("signal", signal))

    known: Place | None = None

    def hear(self) -> None:
        """The emitter's node hears of the reactor."""
        life, self.known = self.told.popleft()
        self.queue.lives(life, self.known)
        self._look()

    def take_back(self, place: Place) -> None:
        kind, signal = place.back.popleft()
        if kind == "fenced":
            self.queue.settled()
        else:
            assert signal is not None
            assert self.queue.came_back(signal, place), f"{signal.number} came back too late"
        self._look()

    # -- the reactor's nodes -----------------------------------------------------------------
    def arrive(self, place: Place) -> None:
        kind, signal = place.to.popleft()
        if kind == "fence":
            place.due_back.remove(self, "r")  # type: ignore[arg-type]
            place.back.append(("fenced", None))
            return
        assert signal is not None
        is_there = self.state == "running" and place is self.at
        behind = place.due_back.follows("r", self)  # type: ignore[arg-type]
        if is_there and (self.forgets_due_back or not behind):
            self.mailbox.append(signal)
        else:
            self._give_back(place, signal)

    def _give_back(self, place: Place, signal: HeldSignal) -> None:
        place.due_back.add(self, "r")  # type: ignore[arg-type]
        place.back.append(("back", signal))

    def handle(self) -> None:
        self.handled.append(self.mailbox.popleft().number)

    def close(self) -> None:
        self.state = "closed"
        self.moves += 1
        if self.random.random() < 0.7:  # else two changes of the theory come as one
            self.told.append((None, None))

    def sweep(self) -> None:
        self.state = "swept"
        self._give_back(self.at, self.mailbox.popleft())

    def start(self) -> None:
        self.life += 1
        if self.random.random() < 0.5:
            self.uid += 1
            self.at = self.random.choice(self.places)
        self.state = "running"
        self.told.append((self.life, self.at))

    # -- steps -------------------------------------------------------------------------------
    def step(self) -> bool:
        """Do something that is possible; False: nothing is."""
        steps = [lambda p=p: self.arrive(p) for p in self.places if p.to]
        steps += [lambda p=p: self.take_back(p) for p in self.places if p.back]
        if self.emitted < self.signals:
            steps += [self.emit] * 2
        if self.told:
            steps.append(self.hear)
        if self.mailbox and self.state in ("running", "closed"):
            steps.append(self.handle)
        if self.state == "running" and self.moves < 4:
            steps.append(self.close)
        if self.state in ("closed", "swept"):
            if self.mailbox:
                steps.append(self.sweep)
            else:
                self.state = "down"
        if self.state == "down":
            steps.append(self.start)
        if not steps:
            return False
        self.random.choice(steps)()
        return True


def run(seed: int, world: type[HoldWorld] = HoldWorld, signals: int = 12) -> HoldWorld:
    """Run a world to its end, and check what must hold."""
    made = world(seed, signals)
    for _ in range(100_000):
        if not made.step():
            break
    else:
        raise AssertionError(f"seed {seed} has no end")
    assert made.handled == list(range(1, signals + 1)), (seed, made.handled)
    assert not made.queue
    assert not made.queue.size
    return made
