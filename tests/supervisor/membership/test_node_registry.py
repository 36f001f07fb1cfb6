"""The registry of nodes: what a node leaves behind goes with it, whatever is ordered in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import cast

from zactor.kernel import limits
from zactor.kernel.errors import from_wire
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Entry, Transaction
from zactor.kernel.replication.log import Kept, Log
from zactor.supervisor.kb.changed_facts import ChangedFacts
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership.departures import Departure, next_sweep
from zactor.supervisor.membership.node_registry import NodeRegistry
from zactor.supervisor.operations.deploy import DEPLOY, Deploy
from zactor.supervisor.operations.workflow import Transact, next_step

SOON_S = 30.0


class FakeKnowledgeBase:
    """Its order is that of its calls; `before` is ordered ahead of the next one."""

    acting = True
    primary = ("n1",)

    def __init__(self) -> None:
        self.on_change: Callable[[ChangedFacts], None] | None = None
        self._log = Log(Kept(theory=Theory()))
        self._numbers = itertools.count(1)
        self.before: list[Transaction] = []
        self.is_quiet = asyncio.Event()

    @property
    def changes(self) -> list[str]:
        """Why each change was."""
        return [change.why for change in self._log.history.changes()]

    @property
    def theory(self) -> Theory:
        return self._log.theory

    def texts(self) -> list[str]:
        return sorted(fact.text for fact in self.theory)

    def order(self, transaction: Transaction) -> None:
        self._log.extend((Entry(1, 0.0, transaction),))
        for outcome in self._log.commit(self._log.end):
            if outcome.kind:
                raise from_wire(outcome.kind, outcome.message, {})
            if self.on_change is not None:
                self.on_change(ChangedFacts.of(self._log.history.changes()[-1]))

    async def commit(
        self,
        why: str,
        *,
        who: str = "n1",
        require: Sequence[tuple[str, str, str]] = (),
        retract: Sequence[str] = (),
        assert_: Sequence[str] = (),
    ) -> Clock:
        while self.before:
            self.order(self.before.pop(0))
        id_ = f"t{next(self._numbers)}"
        self.order(Transaction(id_, who, why, tuple(require), tuple(retract), tuple(assert_)))
        self.is_quiet.set()
        return self._log.clock


def _dead(name: str) -> Departure:
    return Departure(why=f"the process of {name} is gone", is_missed=True)


async def until_gone(kb: FakeKnowledgeBase, word: str) -> None:
    async with asyncio.timeout(SOON_S):
        while any(word in text for text in kb.texts()):
            kb.is_quiet.clear()
            await kb.is_quiet.wait()


def placed(kb: FakeKnowledgeBase, name: str, node: str) -> Transaction:
    """The transaction by which an actor is deployed there now."""
    parameters = Deploy(id=f"d-{name}", type="t", name=name, node=node, bundle="b", arguments="{}")
    due = next_step(DEPLOY, parameters, kb.theory, taken=("check",))
    assert due is not None
    effect = due[1]
    assert isinstance(effect, Transact)
    return Transaction(effect.id, "me", effect.why, effect.require, effect.retract, effect.assert_)


def test_an_actor_that_is_placed_while_its_node_is_forgotten_is_forgotten_too() -> None:
    async def play() -> list[str]:
        kb = FakeKnowledgeBase()
        for name in ("n1", "n2"):
            await kb.commit("it is here", assert_=(f"node({name}, a)", f"incarnation({name}, 1)"))
        kb.order(placed(kb, "c1", "n1"))
        kb.order(placed(kb, "c2", "n2"))
        kb.before.append(placed(kb, "c3", "n2"))  # after the registry has been read
        registry = NodeRegistry("n1", cast(KnowledgeBase, kb), lambda: {"n1": (1, "a")}, _dead)
        running = asyncio.create_task(registry.run())
        registry.nudge()
        await until_gone(kb, "node(n2,")
        running.cancel()
        return kb.texts()

    why = "the process of n2 is gone"
    assert asyncio.run(play()) == [
        "actor(c1,t,n1)",
        f'gone(n2,1,"{why}")',
        "incarnation(n1,1)",
        f'lost(c2,t,n2,"{why}")',
        f'lost(c3,t,n2,"{why}")',
        "node(n1,a)",
        "ordered(c2,b,\"{}\",'d-c2',1,1099511627780)",
        "ordered(c3,b,\"{}\",'d-c3',1,1099511627781)",
        "spec(c1,b,\"{}\",'d-c1')",
        'state(c1,starting,"")',
    ]


def test_a_node_that_is_written_down_after_it_went_is_forgotten_too() -> None:
    """Its last change was on the disks when it died; it is applied after the registry has swept."""

    async def play() -> list[str]:
        kb = FakeKnowledgeBase()
        await kb.commit("it is here", assert_=("node(n1, a)", "incarnation(n1, 1)"))
        registry = NodeRegistry("n1", cast(KnowledgeBase, kb), lambda: {"n1": (1, "a")}, _dead)
        kb.on_change = registry.on_change
        running = asyncio.create_task(registry.run())
        registry.nudge()
        await asyncio.sleep(0)  # it sweeps, and finds nothing to do
        await kb.commit("n2 is here", assert_=("node(n2, a)", "incarnation(n2, 1)"))
        await until_gone(kb, "node(n2,")
        running.cancel()
        return kb.texts()

    gone = 'gone(n2,1,"the process of n2 is gone")'
    assert asyncio.run(play()) == [gone, "incarnation(n1,1)", "node(n1,a)"]


def test_nodes_that_come_together_are_written_down_by_one_commit() -> None:
    async def play() -> list[str]:
        kb = FakeKnowledgeBase()
        await kb.commit("it was here", assert_=("gone(n3, 1, asleep)",))
        live = {f"n{number}": (2, f"a{number}") for number in range(1, 5)}
        registry = NodeRegistry("n1", cast(KnowledgeBase, kb), lambda: live, _dead)
        running = asyncio.create_task(registry.run())
        registry.nudge()
        async with asyncio.timeout(SOON_S):
            while len(kb.texts()) < 8:
                kb.is_quiet.clear()
                await kb.is_quiet.wait()
        running.cancel()
        assert kb.changes == ["it was here", "n1, n2, n3, n4 are here"]
        return kb.texts()

    assert asyncio.run(play()) == [
        *(f"incarnation(n{number},2)" for number in range(1, 5)),
        *(f"node(n{number},a{number})" for number in range(1, 5)),
    ]


def test_more_nodes_than_one_commit_may_hold_take_several() -> None:
    live = {f"n{number:03}": (1, "a") for number in range(limits.SWEPT_AT_ONCE + 1)}
    sweep = next_sweep(Theory(), live, _dead)
    assert sweep is not None
    assert len(sweep.assert_) == 2 * limits.SWEPT_AT_ONCE
    last = next_sweep(Theory(), {"n1": (1, "a")}, _dead)
    assert last is not None
    assert last.why == "node n1 is here"
