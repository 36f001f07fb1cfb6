"""Ask cycles: actors whose actions wait for each other's answers in a ring would wait for ever.

An actor that begins to wait is told of once. From then on it is looked what its task waits for,
every ASK_CYCLE_LOOK_S, until a look finds that it doesn't: so who asks again and again pays nothing
for it. It is followed who waits for whom, here by looking, to other nodes by a probe that brings
along who waits so far. Where that comes back to somebody on its way, a ring is found; of its actors
the one with the highest uid has its wait ended with AskDeadlock, so all who find the same ring end
the same wait.

A wait counts only while it is that of the action itself, and only for an actor that still owes the
answer: then nothing can end it but the ring. So a ring that is found is one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from zactor.kernel import limits
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import AskDeadlock
from zactor.kernel.messages.actors import AskCycle, AskProbe, AskWait
from zactor.kernel.runtime.askers import AwaitedAsk
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Directory
from zactor.kernel.runtime.envelope import PeerPort
from zactor.kernel.runtime.open_asks import awaited_ask, may_let_in, owes, remote_ask

_LOOKS_OFTEN = 3  # looks at one wait before it is looked at more rarely


class _Wait:
    """One that is looked at."""

    __slots__ = ("due", "looks", "reply")

    def __init__(self) -> None:
        self.reply: Reply[Any] | AwaitedAsk | None = None  # as of the last look
        self.looks = 0
        self.due = 0.0  # time.monotonic() of the next look


class AskCycles:
    """Finds them for one node. Threads: all by any."""

    def __init__(
        self,
        node: str,
        directory: Directory[Cell],
        later: Callable[[float, Callable[[], object]], None],
    ) -> None:
        """Args: later: has a call done in so many seconds; by any thread."""
        self._node = node
        self._directory = directory
        self._later = later
        self._waiting: dict[Cell, _Wait] = {}
        # Of waits. A later life of this node counts on, since it may have an actor of the same uid.
        self._numbers = itertools.count(time.monotonic_ns() // 1_000)
        self._looks_again = False

    def waits(self, cell: Cell) -> None:
        """An action of it has begun to wait: look at it, until a look finds that it doesn't."""
        self._waiting.setdefault(cell, _Wait())
        if not self._looks_again:
            self._looks_again = True
            self._later(limits.ASK_CYCLE_LOOK_S, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        followed: set[Cell] = set()
        for cell, wait in list(self._waiting.items()):
            reply = awaited_ask(cell)
            if reply is None:
                self._waiting.pop(cell, None)
                cell.is_told = True
                if awaited_ask(cell) is not None:  # it began meanwhile, and told nobody
                    self.waits(cell)
                continue
            if reply is not wait.reply:
                wait.reply, wait.looks, wait.due = reply, 0, 0.0
            if now >= wait.due:
                wait.looks += 1
                often = wait.looks <= _LOOKS_OFTEN
                pause = limits.ASK_CYCLE_LOOK_S if often else limits.ASK_CYCLE_PROBE_S
                wait.due = now + pause * 0.9
                self._follow([], cell, followed)
        self._looks_again = False
        if self._waiting and not self._looks_again:
            self._looks_again = True
            self._later(limits.ASK_CYCLE_LOOK_S, self._look)

    def _number(self, reply: Reply[Any] | AwaitedAsk) -> int:
        """Return by what this wait is known from now on, here and elsewhere."""
        if not reply.wait_number:
            reply.wait_number = next(self._numbers)
        return reply.wait_number

    def _follow(self, waits: list[AskWait], cell: Cell, followed: set[Cell]) -> None:
        """Each of `waits` waits for the next, the last for `cell`: go on from there.

        Args: followed: whose way was followed by this look: from there on nothing is new, since
            everybody waits for one at most. So a look costs what there is of waits, and no more.
        """
        while len(waits) < limits.ASK_CYCLE_LONGEST:
            reply = awaited_ask(cell)
            if reply is None:
                return
            number = self._number(reply)
            for place, wait in enumerate(waits):
                if wait.uid == cell.uid:
                    if wait.number == number and wait.node == self._node:
                        self._found(waits[place:])
                    return
            if cell in followed:
                return
            followed.add(cell)
            actor, action = reply.what
            waits.append(AskWait(cell.uid, cell.name, self._node, number, f"{actor}.{action}"))
            place_of = self._directory.places.get(actor)
            if place_of is None:
                return
            if place_of.port is not None:
                if reply.request:
                    place_of.port.put(AskProbe(place_of.uid, reply.request, tuple(waits)))
                return
            asked = self._directory.cells.get(place_of.uid)
            if asked is None or not owes(asked, reply.asker):
                return
            if asked.serving is not reply.asker and may_let_in(asked, action):
                return  # it is about to be
            cell = asked

    def probed(self, port: PeerPort, probe: AskProbe) -> None:
        """Another node asks how it goes on here."""
        cell = self._directory.cells.get(probe.target)
        asker = None if cell is None else remote_ask(cell, port, probe.request)
        if cell is None or asker is None:
            return
        if cell.serving is asker or not may_let_in(cell, asker.action):
            self._follow(list(probe.waits), cell, set())

    def _found(self, ring: list[AskWait]) -> None:
        victim = max(ring, key=lambda wait: wait.uid)
        at = ring.index(victim)
        ring = [*ring[at:], *ring[:at]]
        way = " → ".join([victim.name, *(wait.asked for wait in ring)])
        words = f"a cycle of asks, in which each waits for the next: {way}"[
            : limits.ASK_CYCLE_CHARS_MAX
        ]
        cycle = AskCycle(victim.uid, victim.number, words)
        if victim.node == self._node:
            self.end(cycle)
            return
        place = self._directory.places.get(victim.name)
        if place is not None and place.port is not None:
            place.port.put(cycle)

    def end(self, cycle: AskCycle) -> None:
        """End that wait, if it goes on."""
        cell = self._directory.cells.get(cycle.uid)
        if cell is None:
            return
        reply = awaited_ask(cell)
        if reply is not None and reply.wait_number == cycle.number:
            advice = "tell instead, or make one action reentrant: @action(reentrant=True)"
            reply.set_error(AskDeadlock(f"{cycle.words}; {advice}"))
