"""A cluster in one thread on virtual time, with a history made of a list: to kill nodes at places.

Real are the workflows, their interpreter, the clauses' runner, the registry of nodes and the
reconciler; made up are the knowledge base (one list of changes, which each node comes to know with
a delay of its own), the actors and the view. One seed gives one run.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zactor import Actor
from zactor.kernel.errors import NotPrimary, OutcomeUnknown, ZactorError
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Transaction
from zactor.supervisor.deployment import blueprints
from zactor.supervisor.deployment.blueprints import Blueprints
from zactor.supervisor.deployment.reconciler import Reconciler
from zactor.supervisor.kb import facts
from zactor.supervisor.kb.changed_facts import ChangedFacts
from zactor.supervisor.membership.departures import Departure
from zactor.supervisor.membership.node_registry import NodeRegistry
from zactor.supervisor.observe.events import Event
from zactor.supervisor.operations.changes import Changes
from zactor.supervisor.operations.contracts import Contracts
from zactor.supervisor.operations.crash_points import CrashAt
from zactor.supervisor.operations.todo_runner import TodoRunner
from zactor.supervisor.operations.ways_out import WaysOut
from zactor.supervisor.operations.workflow_runner import WorkflowRunner

NOTICED_S = 0.05  # from a death until the others have another view
HOP_S = 0.003  # at most, from one node to another
WORK_S = 0.3  # what an actor has to finish when it is told to stop


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes when there is nothing to do, and at once."""

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now_s += timeout or 0.0
        return super().select(0)


class Numbered(Actor):
    """Stands for the class of every actor: nothing of it ever runs."""


class FakeKnowledgeBase:
    """The knowledge base of one node."""

    def __init__(self, world: World, node: Node) -> None:
        self.theory = Theory()
        self.applied = 0
        self._world = world
        self._node = node
        self._changed = asyncio.Event()

    @property
    def primary(self) -> tuple[str, ...]:
        return () if self._node.is_out else tuple(sorted(self._node.roles))

    @property
    def acting(self) -> bool:
        roles = self._node.roles
        if self._node.is_out:
            return False
        return min(roles) == self._node.me.name

    @property
    def clock(self) -> Clock:
        return Clock(1, self.applied)

    def new_id(self) -> str:
        return f"{self._node.me}#{next(self._world.numbers)}"

    async def commit(
        self,
        why: str,
        *,
        who: str,
        require: Sequence[tuple[str, str, str]] = (),
        retract: Sequence[str] = (),
        assert_: Sequence[str] = (),
        id: str = "",
    ) -> Clock:
        world = self._world
        transaction = Transaction(
            id or self.new_id(), who, why, tuple(require), tuple(retract), tuple(assert_)
        )
        if self._node.is_out:
            raise NotPrimary(f"{self._node.me} is out of the primary")
        ordered: asyncio.Future[Clock] = world.loop.create_future()
        world.send(self._node, transaction, ordered)  # it may arrive even if we die now
        clock = await ordered
        while self.applied < clock.index:
            self._changed.clear()
            await self._changed.wait()
        return clock

    def apply(self, change: Change) -> None:
        self.applied += 1
        self.theory.apply(change)
        self._changed.set()
        changed = ChangedFacts.of(change)
        self._node.reconciler.on_change(changed)
        self._node.registry.on_change(changed)
        self._node.todos.on_change(changed)

    def replace(self, history: Sequence[Change]) -> None:
        """A snapshot of all these changes takes the place of what is here."""
        for change in history[self.applied :]:
            self.theory.apply(change)
        self.applied = len(history)
        self._changed.set()
        self._node.reconciler.on_reset()
        self._node.registry.nudge()
        self._node.todos.nudge()

    def losses(self) -> None:
        """Nothing is missing where there is a primary."""

    def why_not(self) -> str:
        return ""

    async def until(self, find: Callable[[], Any], timeout_s: float | None) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                while (found := find()) is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return None
        return found


class Stage:
    """The actors of one node: what their runtime would do with them."""

    policy = "pickle"

    def __init__(self, world: World, node: Node) -> None:
        self._world = world
        self._node = node
        self._stops: dict[int, Future[None] | None] = {}
        self._ends: dict[int, Callable[[], None]] = {}

    def spawn(self, blueprint: Any) -> Future[None]:
        started: Future[None] = Future()

        def begin() -> None:
            if blueprint.name in self._world.stillborn:
                started.set_exception(RuntimeError("it fails in __init__"))
                return
            self._stops[blueprint.uid] = None
            self._world.tell("up", blueprint.name, blueprint.uid)
            started.set_result(None)

        self._node.later(HOP_S, begin)
        return started

    def stop(self, uid: int, *, reason: str, drain_s: float | None) -> Future[None]:
        if uid not in self._stops:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        under_way = self._stops[uid]
        if under_way is not None:
            if drain_s == 0.0 and self._world.shortens_stops:
                self._node.later(HOP_S, self._ends[uid])
            return under_way
        stopped: Future[None] = Future()
        self._stops[uid] = stopped

        def end() -> None:
            if self._stops.get(uid) is not stopped:
                return  # it was told to be quicker, and may have begun anew since
            del self._stops[uid]
            self._world.tell("on_stop", str(uid), uid)
            if self._world.fails_to_stop:
                stopped.set_exception(RuntimeError("it fails in on_stop"))
            else:
                stopped.set_result(None)

        self._ends[uid] = end
        self._node.later(WORK_S if drain_s is None else drain_s, end)
        return stopped

    def place(self, name: str, place: object, absent: str = "", life: object = None) -> None:
        pass

    def connect(self, emitter: str, action: str, reactors: object, meanwhile: object) -> None:
        pass

    def end(self, uid: int) -> bool:
        """An actor ends by itself; whether it could."""
        if self._stops.get(uid, 1) is not None:
            return False
        del self._stops[uid]
        return True

    @property
    def alive(self) -> set[int]:
        return set(self._stops)


class Node:
    """One node: dead when `alive` is false, and nothing of it happens any more."""

    def __init__(self, world: World, name: str, crash: CrashAt | None) -> None:
        self.world = world
        self.me = NodeId(name, 1)
        self.alive = True
        self.is_out = False  # of the primary: its process goes on
        self.roles: dict[str, tuple[str, int]] = dict(world.roles)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.kb = FakeKnowledgeBase(world, self)
        self.stage = Stage(world, self)
        self.runner = WorkflowRunner(self.kb, crash)
        self.todos = TodoRunner(
            self.me,
            kb=self.kb,
            runner=self.runner,
            roles=lambda: self.roles,
            spawn=self.spawn,
            tell=self.tell,
        )
        fetcher = SimpleNamespace(need=_nothing)
        store = SimpleNamespace(has=lambda identity: True, folder=Path("bundles"))
        self.reconciler = Reconciler(
            self.me,
            kb=self.kb,
            runtime=self.stage,
            blueprints=_Blueprints(
                "pickle",
                store=store,  # type: ignore[arg-type]
                fetcher=fetcher,  # type: ignore[arg-type]
                environments=SimpleNamespace(),  # type: ignore[arg-type]
            ),
            tell=_mute,
            port_of=lambda name: None,
            spawn_task=self.spawn,
            now_s=world.loop.time,
        )
        self.ways_out = WaysOut(name, self.kb, lambda: ())  # type: ignore[arg-type]
        self.changes = Changes(
            self.me,
            kb=self.kb,  # type: ignore[arg-type]
            runner=self.runner,
            todos=self.todos,
            fetcher=fetcher,
            store=SimpleNamespace(),  # type: ignore[arg-type]
            begin_declaring=_nothing,  # type: ignore[arg-type]
            ask_node=_nothing,
            contracts=Contracts(_nothing),
            local_actors=self.reconciler,
            policy="pickle",
        )
        live = lambda: {name: (life, name) for name, (_, life) in self.roles.items()}  # noqa: E731
        self.registry = NodeRegistry(name, self.kb, live, world.departure)  # type: ignore[arg-type]

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        if not self.alive:
            work.close()
            return
        task = self.world.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.world.broken.append(task.exception())

    def tell(self, event: Event) -> None:
        line = event.trace_line()
        if line is not None:
            kind, fields = line
            self.world.tell(kind, self.me.name, fields)

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        self.world.loop.call_later(delay_s, lambda: work() if self.alive else None)


class _Blueprints(Blueprints):
    def _load(self, identity: str, type_: str) -> tuple[type[Actor], list[str]]:
        return Numbered, []


class World:
    """All of it. `history` is the one order of changes, `told` what happened besides."""

    shortens_stops = False  # who is told to stop at once while it finishes its work does so

    def __init__(
        self, loop: VirtualLoop, seed: int, roles: dict[str, str], crashes: dict[str, CrashAt]
    ) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.roles = {name: (role, 1) for name, role in roles.items()}
        self.head = Theory()
        self.history: list[Change] = []
        self.told: list[tuple[float, int, str, str, Any]] = []  # s, changes so far, …
        self.ids: dict[str, Clock] = {}
        self.broken: list[object] = []
        self.stillborn: set[str] = set()
        self.fails_to_stop = False
        self.died_at = 0.0
        loop.set_exception_handler(lambda _, context: self.broken.append(context))
        self.nodes = {name: Node(self, name, crashes.get(name)) for name in roles}
        for node in self.nodes.values():
            node.spawn(node.registry.run())
            node.spawn(node.todos.run())
            node.registry.nudge()

    def departure(self, name: str) -> Departure:
        """Why a node isn't there, as the others know it."""
        return Departure(why=f"the process of {name} is gone", is_missed=True)

    def tell(self, kind: str, name: str, detail: Any) -> None:
        self.told.append((self.loop.time(), len(self.history), kind, name, detail))

    def send(self, node: Node, transaction: Transaction, ordered: asyncio.Future[Clock]) -> None:
        """The transaction is on its way; of one whose sender dies now, chance decides."""

        def arrive() -> None:
            if not node.alive and self.random.random() < 0.5:
                return
            if node.is_out:  # who was cut off with its change under way never hears of it
                unknown = OutcomeUnknown(f"{node.me} is out of the primary")
                node.later(self._hop(), lambda: end(lambda: ordered.set_exception(unknown)))
                if self.random.random() < 0.5:
                    return
            try:
                clock = self.ids.get(transaction.id) or self._order(transaction)
            except ZactorError as error:
                refusal = error
                node.later(self._hop(), lambda: end(lambda: ordered.set_exception(refusal)))
            else:
                node.later(self._hop(), lambda: end(lambda: ordered.set_result(clock)))

        def end(settle: Callable[[], None]) -> None:
            if not ordered.done():
                settle()

        self.loop.call_later(self._hop(), arrive)

    def _order(self, transaction: Transaction) -> Clock:
        prepared = self.head.prepare(transaction)
        clock = Clock(1, len(self.history) + 1)
        change = Change(
            *clock,
            transaction.id,
            transaction.who,
            transaction.why,
            0.0,
            prepared.retracted,
            prepared.asserted,
            b"",
        )
        self.head.apply(change)
        self.history.append(change)
        self.ids[transaction.id] = clock
        self.tell("change", transaction.who, transaction.why)
        for node in self.nodes.values():
            node.later(self._hop(), lambda node=node: self._deliver(node, clock.index))
        return clock

    def _deliver(self, node: Node, index: int) -> None:
        while node.kb.applied < index and node.alive and not node.is_out:
            node.kb.apply(self.history[node.kb.applied])

    def _hop(self) -> float:
        return self.random.uniform(0.0, HOP_S)

    def kill(self, name: str) -> None:
        """The node is gone, now; the others notice it a little later."""
        node = self.nodes[name]
        if not node.alive:
            return
        node.alive = False
        self.died_at = self.loop.time()
        self.tell("killed", name, None)
        for task in list(node.tasks):
            task.cancel()
        for other in self.nodes.values():
            other.later(NOTICED_S + self._hop(), lambda other=other: self._miss(other, name))

    def cut(self, name: str) -> None:
        """The node is out of the primary, and goes on; the others notice it a little later."""
        node = self.nodes[name]
        if node.is_out or not node.alive:
            return
        node.is_out = True
        self.tell("cut", name, None)
        node.later(NOTICED_S + self._hop(), lambda: self._alone(node))
        for other in self.nodes.values():
            if other is not node:  # perhaps only when it is about to come back
                after_s = NOTICED_S * self.random.uniform(1.0, 3.0)
                other.later(after_s, lambda other=other: self._miss(other, name))

    def _alone(self, node: Node) -> None:
        if node.is_out:
            node.roles = {node.me.name: self.roles[node.me.name]}
            node.registry.nudge()
            node.todos.nudge()

    def heal(self, name: str) -> None:
        """The node is a member again, and learns what was decided: the changes, or a snapshot."""
        node = self.nodes[name]
        if not node.is_out or not node.alive:
            return
        self.tell("healed", name, None)

        def back() -> None:
            node.is_out = False
            if self.random.random() < 0.5:
                node.kb.replace(self.history)
            if self.random.random() < 0.5:  # it may act before it knows all
                self._deliver(node, len(self.history))
            node.later(self._hop(), lambda: self._deliver(node, len(self.history)))
            there = [other for other in self.nodes.values() if other.alive and not other.is_out]
            for other in there:
                other.roles = {one.me.name: self.roles[one.me.name] for one in there}
                other.registry.nudge()
                other.todos.nudge()

        # Who returns is seen to go first, as views follow each other.
        node.later(2 * NOTICED_S + self._hop(), back)

    def end_one(self, name: str) -> list[int]:
        """The actor of that name ends by itself, wherever it runs; return its uids."""
        ended = []
        for node in self.live():
            here = node.reconciler.hosted(name)
            if here is not None and node.stage.end(here):
                node.reconciler.on_ended(name, here)
                ended.append(here)
        return ended

    def _miss(self, node: Node, name: str) -> None:
        if node.is_out or not (self.nodes[name].is_out or not self.nodes[name].alive):
            return
        node.roles = {other: role for other, role in node.roles.items() if other != name}
        node.registry.nudge()
        node.todos.nudge()

    def live(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.alive]

    async def settle(self, seconds: float = 5.0) -> None:
        """Let all that happens happen."""
        await asyncio.sleep(seconds)
        assert not self.broken, self.broken


async def _nothing(*_: object) -> None:
    return None


async def _at_once(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


@contextmanager
def no_threads() -> Iterator[None]:
    """What the reconciler does aside is done at once: here nothing takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blueprints, "run_blocking", _at_once)
        quiet = SimpleNamespace(error=_mute, info=_mute, warning=_mute)
        patch.setattr("zactor.supervisor.deployment.reconciler.log", quiet)
        patch.setattr("zactor.supervisor.deployment.actor_reports.log", quiet)
        patch.setattr(blueprints, "log", quiet)
        patch.setattr(
            "zactor.supervisor.operations.todo_runner.log",
            SimpleNamespace(info=_mute, warning=_mute),
        )
        patch.setattr(
            "zactor.supervisor.membership.node_registry.log",
            SimpleNamespace(debug=_mute, warning=_mute),
        )
        yield


def _mute(*_: object, **__: object) -> None:
    return None


def play(story: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run a story on virtual time."""
    with no_threads(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(story(loop))


def dangling(theory: Theory) -> list[str]:
    """Return the facts that mention what isn't there."""
    actors = {row.name: row for row in facts.actors(theory)}
    nodes = facts.nodes(theory)
    wires = [str(w) for w in facts.wires(theory) if {w.reactor, w.emitter} - actors.keys()]
    lost = [name for name, row in actors.items() if row.node not in nodes]
    return wires + lost


__all__ = ["CrashAt", "Node", "VirtualLoop", "World", "dangling", "play"]
