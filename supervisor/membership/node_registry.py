"""What the acting node does for all: the theory names exactly the nodes that are alive.

What is to be done says departures.py, which is pure. It is done by transactions like any other, so
doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zactor.kernel.errors import AlreadyExists, NoSuchThing, ZactorError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, node_marks, orders, restart_groups
from zactor.supervisor.kb.changed_facts import ActorFact, ChangedFacts, NodeFact, WireFact
from zactor.supervisor.kb.facts import NodeRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.membership import draining, keeping, regrouping, spreading
from zactor.supervisor.membership.departures import Departure, Live, Sweep, next_sweep

log = structlog.get_logger()

RETRY_S = 0.2


class NodeRegistry:
    """Sweeps whenever it is told that something changed. Kernel's loop only."""

    def __init__(
        self,
        me: str,
        kb: KnowledgeBase,
        live: Callable[[], Live],
        departure: Callable[[str], Departure],
        labels: tuple[str, ...] = (),
    ) -> None:
        """`live` tells who is alive now, this node included, `departure` why another isn't.

        Args: labels: of this node.
        """
        self._me = me
        self._kb = kb
        self._live = live
        self._departure = departure
        self._labels = labels
        self._due = asyncio.Event()
        self._silences = keeping.Silences()
        self._group_restarts = regrouping.GroupRestarts()
        self._look_again: asyncio.TimerHandle | None = None

    def nudge(self) -> None:
        """Sweep again soon."""
        self._due.set()

    def on_change(self, changed: ChangedFacts) -> None:
        """These facts were taken away and brought, perhaps later than their node came or went."""
        if any(isinstance(fact, NodeFact) for fact in (*changed.retracted, *changed.asserted)):
            self.nudge()
        elif orders.is_any(self._kb.theory) and any(
            isinstance(fact, ActorFact | WireFact) for fact in changed.asserted
        ):
            self.nudge()  # both ends of a wire may be there, or it came late that one is lost
        elif self._steps_are_due() and any(
            isinstance(fact, ActorFact) for fact in (*changed.retracted, *changed.asserted)
        ):
            self.nudge()  # the next one may stop

    def _steps_are_due(self) -> bool:
        theory = self._kb.theory
        return bool(node_marks.drained(theory)) or restart_groups.is_any(theory)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._label()
                if not self._kb.acting:
                    self._silences.forget()
                    self._group_restarts.forget()
                    continue
                await self._sweep()
            except ZactorError as error:
                overtaken = isinstance(error, AlreadyExists | NoSuchThing)  # others sweep as well
                (log.debug if overtaken else log.warning)("sweep_refused", why=str(error))
                await asyncio.sleep(RETRY_S)
                self._due.set()

    async def _label(self) -> None:
        """Say what labels this node has, once it is written down itself."""
        theory, me = self._kb.theory, self._me
        row = facts.nodes(theory).get(me)
        known = node_marks.labels(theory).get(me, ())
        if not self._kb.primary or row is None or row.incarnation != self._live()[me][0]:
            return
        if known != self._labels:
            await self._kb.commit(
                f"labels of {me}",
                who=me,
                require=((f"node({quote_atom(me)}, _)", "NoSuchThing", f"{me} went"),),
                retract=(node_marks.label_pattern(me),),
                assert_=tuple(node_marks.label_fact(me, label) for label in self._labels),
            )

    async def _sweep(self) -> None:
        while self._kb.acting:
            theory, live = self._kb.theory, self._live()
            due = next_sweep(theory, live, self._departure) or self._regroup(theory, live)
            if due is None:
                due = keeping.next_restoration(theory, live, self._is_safe)
            if due is None:
                due = draining.next_step(theory, live) or spreading.next_placement(theory, live)
            if due is None:
                self._wait_for_silence()
                return
            await self._kb.commit(
                due.why,
                who=self._me,
                require=due.require,
                retract=due.retract,
                assert_=due.assert_,
            )

    def _regroup(self, theory: Theory, live: Live) -> Sweep | None:
        """Return the next step of a group that is restarted; look again when it may start."""
        loop, known = asyncio.get_running_loop(), facts.nodes(theory)

        def place(row: LostRow) -> NodeRow | None:
            return keeping.place_of(theory, row, live, known, self._is_safe)

        step = regrouping.next_step(theory, place, self._group_restarts, loop.time())
        if isinstance(step, regrouping.WaitToStart):
            loop.call_later(step.wait_s, self.nudge)
            return None
        return step

    def _is_safe(self, row: LostRow) -> bool:
        now = asyncio.get_running_loop().time()
        return self._silences.is_safe(row, self._live(), self._departure(row.node).why, now)

    def _wait_for_silence(self) -> None:
        """Look again when a silent node must have stopped what may run elsewhere."""
        loop = asyncio.get_running_loop()
        left_s = self._silences.left_s(orders.all_lost(self._kb.theory), loop.time())
        if left_s is not None and self._look_again is None:
            self._look_again = loop.call_later(left_s, self._looks_again)

    def _looks_again(self) -> None:
        self._look_again = None
        self.nudge()
