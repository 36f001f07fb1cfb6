"""Moves: an actor goes on at another node, with what it knows, and no message to it is lost.

First all who send to it are told to wait (`moving/2`); what is under way still arrives, and is
handled where the actor is. Then it leaves its cell, is made anew on the other node, and one
transaction says that it is there, on which all go on with what they held. Up to that transaction
the actor goes on where it was, if something fails; then its former node only lets it begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import (
    ActorError,
    ConfigError,
    NoSuchActor,
    NoSuchThing,
    OutcomeUnknown,
    Refused,
    RemoteActionError,
    TimedOut,
    ZactorError,
    said,
    text_of,
)
from zactor.kernel.ids import NodeId, spoken_wire
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.operations import FlushLink, Operation, ReceiveActor
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.emigrant import Immigrant, check_no_groups, emigrate
from zactor.kernel.runtime.envelope import PeerPort
from zactor.kernel.runtime.holding_port import HoldingPort
from zactor.kernel.wire.payload import Policy
from zactor.supervisor.deployment.blueprints import Blueprints
from zactor.supervisor.kb import facts, node_marks, orders
from zactor.supervisor.kb.fact_patterns import Requirement, actor_patterns, still
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.policies import may_leave, start_facts, yields_fact

log = structlog.get_logger()

AskNode = Callable[[str, Operation], Awaitable[object]]

WIRES_NAMED_MAX = 5  # in a refusal
RETRY_S = 0.2  # before it is asked again how a move ended
LOOK_S = 0.001  # how often it is looked whether an actor has handled what waited for it


class MoveHost(Protocol):
    """What this node knows of the actors that it hosts. See Reconciler."""

    def runs(self, row: ActorRow) -> bool:
        """Whether that deployment runs here."""
        ...

    def arrives(self, name: str, uid: int) -> None:
        """It is on its way here, from another node."""
        ...

    def departs(self, name: str, *, is_so: bool) -> None:
        """It is about to be another node's; or stays."""
        ...

    def failed(self, name: str, uid: int, reason: str) -> None:
        """It couldn't begin here."""
        ...


@dataclass(slots=True)
class Arrival:
    """An actor that comes."""

    source: str  # the node it leaves
    blueprint: Blueprint
    immigrant: Immigrant | None = None
    started: asyncio.Future[None] | None = None


class Moves:
    """Those from and to one node. Kernel's loop only."""

    def __init__(
        self,
        me: NodeId,
        *,
        kb: KnowledgeBase,
        runtime: Any,
        blueprints: Blueprints,
        policy: Policy,
        hosting: MoveHost,
        port_of: Callable[[str], PeerPort | None],
    ) -> None:
        """Args: port_of: gives the port of another node that is up."""
        self._me = me
        self._kb = kb
        self._runtime = runtime
        self._blueprints = blueprints
        self._policy = policy
        self._hosting = hosting
        self._port_of = port_of
        self._arrivals: dict[str, Arrival] = {}
        self._holding: dict[str, HoldingPort] = {}
        self._giving_up: set[asyncio.Task[bool]] = set()

    # -- who sends to one that moves ---------------------------------------------------------
    def hold(self, name: str, node: NodeId) -> HoldingPort:
        """Return where messages to it wait."""
        return self._holding.setdefault(name, HoldingPort(node, self._runtime.remoting))

    def release(self, name: str, port: PeerPort | None, *, is_here: bool) -> None:
        """It is there, or here, or nowhere: what was held goes there first."""
        held = self._holding.pop(name, None)
        if held is not None:
            held.release(port, is_here=is_here)

    async def flush(self, node: str) -> None:
        """Return when all that was sent to that node is in mailboxes there, or it is gone."""
        port = self._port_of(node)
        if port is None:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def done() -> None:
            loop.call_soon_threadsafe(end)

        def end() -> None:
            if not future.done():
                future.set_result(None)

        self._runtime.remoting.fence(port, "", done)
        await future

    # -- one that leaves ---------------------------------------------------------------------
    async def move(self, name: str, node: str, who: str, ask_node: AskNode) -> dict[str, object]:
        """Have an actor of this node go on at another.

        Raises:
            ZactorError: why it is here still; or that it came to the other node and failed there.
        """
        row = self._row(name, node)
        told = {"name": name, "type": row.type, "node": node, "former": row.node}
        if node == row.node:
            return {**told, "changed": False, "pause_ms": 0.0}
        await ask_node(node, ReceiveActor("load", name))
        loop = asyncio.get_running_loop()
        began = loop.time()
        marks = (quote_atom(name), quote_atom(node))
        moving = f"moving({marks[0]}, {marks[1]})"
        try:
            await self._kb.commit(
                f"move({name}, {node}): who sends to it waits",
                who=who,
                require=(
                    still(row),
                    (f"state({marks[0]}, running, _)", "Refused", f"{name} doesn't run any more"),
                    (f"node({marks[1]}, _)", "NoSuchThing", f"node {node} is gone"),
                    (f"\\+ moving({marks[0]}, _)", "Refused", f"{name} moves already"),
                    *_fit(name, node),
                ),
                assert_=(moving,),
            )
        except OutcomeUnknown:
            self._give_up_later(row, moving)
            raise
        try:
            await self._arrived(ask_node)
            await self._handled(row)
            await self._hand_over(row, node, moving, who, ask_node)
        except BaseException as error:
            if not await self._is_elsewhere(row, moving, said(error)):
                raise
            log.warning("move_went_on", actor=name, to=node, why=said(error))
        await asyncio.gather(*(self.flush(each) for each in self._others()))
        await ask_node(node, ReceiveActor("begin", name))
        pause_ms = round((loop.time() - began) * 1000, 3)
        log.info("actor_moved", actor=name, to=node, pause_ms=pause_ms)
        return {**told, "changed": True, "pause_ms": pause_ms}

    def _row(self, name: str, node: str) -> ActorRow:
        theory = self._kb.theory
        row = facts.actor(theory, name)
        if row is None:
            raise NoSuchActor(orders.absent(theory, name))
        if node not in facts.nodes(theory):
            known = ", ".join(facts.nodes(theory))
            raise NoSuchThing(f"no node {node} (there are: {known})")
        if row.state != "running" or not self._hosting.runs(row):
            why = f" ({row.reason})" if row.reason else ""
            raise Refused(f"{name} is {row.state}{why}: only who runs can move")
        cell = self._runtime.directory.cells.get(row.uid)
        if cell is None:
            raise Refused(f"{name} doesn't run on {self._me.name} any more")
        check_no_groups(cell)
        if wires := _ordered_wires(theory, name):
            raise Refused(f"{_is_ordered(name)} ({', '.join(wires)})")
        if facts.meanwhile(theory, emitter=name):
            raise Refused(_holds(name))
        if node in node_marks.drained(theory):
            raise Refused(f"{node} is drained: `zactor resume {node}` first")
        return row

    def _others(self) -> list[str]:
        return [name for name in facts.nodes(self._kb.theory) if name != self._me.name]

    async def _arrived(self, ask_node: AskNode) -> None:
        """Return when what was under way to this node is in mailboxes."""

        async def one(node: str) -> None:
            try:
                await ask_node(node, FlushLink(self._me.name))
            except ZactorError as error:  # it is gone, and what it sent with it
                log.info("link_unflushed", node=node, why=str(error))

        await asyncio.gather(*map(one, self._others()))

    async def _handled(self, row: ActorRow) -> None:
        """Return when the actor has handled all that waited for it."""
        until = asyncio.get_running_loop().time() + limits.MOVE_DRAIN_S
        while (cell := self._runtime.directory.cells.get(row.uid)) is not None and cell.mailbox:
            if asyncio.get_running_loop().time() > until:
                raise TimedOut(
                    f"{row.name} stays on {row.node}: {len(cell.mailbox)} messages wait for it"
                    f" after {limits.MOVE_DRAIN_S:g} s"
                )
            await asyncio.sleep(LOOK_S)

    async def _hand_over(
        self, row: ActorRow, node: str, moving: str, who: str, ask_node: AskNode
    ) -> None:
        cell = self._runtime.directory.cells.get(row.uid)
        if cell is None:
            raise ActorError(f"{row.name} has ended meanwhile")
        loop = asyncio.get_running_loop()

        async def arrive(state: bytes | None) -> None:
            if state is not None and len(state) > limits.MOVE_STATE_BYTES_MAX:
                most = limits.MOVE_STATE_BYTES_MAX
                raise ConfigError(
                    f"the state of {row.name} has {len(state)} bytes: one that moves {most}"
                )
            await ask_node(node, ReceiveActor("restore", row.name, state))
            self._hosting.departs(row.name, is_so=True)
            try:
                await self._commit(row, node, moving, who)
            except BaseException as error:
                # It may have begun there: nothing of it goes on here before that is known.
                if isinstance(error, OutcomeUnknown) and await self._took_place(row, moving):
                    return
                self._hosting.departs(row.name, is_so=False)
                raise

        def settle(state: bytes | None) -> Future[None]:
            return asyncio.run_coroutine_threadsafe(arrive(state), loop)

        later = self._runtime.shared.later
        await asyncio.wrap_future(emigrate(cell, settle, self._policy, later))

    async def _commit(self, row: ActorRow, node: str, moving: str, who: str) -> None:
        name = quote_atom(row.name)
        placed = start_facts(row.name, row.type, node, row.bundle, row.arguments, row.deployment)
        await self._kb.commit(
            f"move({row.name}, {node})",
            who=who,
            require=(
                still(row),
                (moving, "Refused", f"{row.name} doesn't move any more"),
                (f"node({quote_atom(node)}, _)", "NoSuchThing", f"node {node} is gone"),
                (f"state({name}, running, _)", "Refused", f"{row.name} doesn't run any more"),
                *_fit(row.name, node),
            ),
            retract=actor_patterns(row.name),
            assert_=(
                *(*placed[:2], f'state({name}, running, "")', f"born({name}, {row.uid})"),
                *((yields_fact(row.name),) if may_leave(self._kb.theory, row.name, node) else ()),
            ),
        )

    async def _is_elsewhere(self, row: ActorRow, moving: str, why: str) -> bool:
        """Have all go on with it as it was, unless the cluster knows that it is elsewhere."""
        if not await self._gives_up(row, moving, why):
            self._give_up_later(row, moving)
        return self._is_at_another(row)

    def _give_up_later(self, row: ActorRow, moving: str) -> None:
        """Until then all who send to it wait."""
        task = asyncio.ensure_future(self._took_place(row, moving))
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)

    async def _took_place(self, row: ActorRow, moving: str) -> bool:
        """Give a move up, as soon as that can be said; return whether it was too late for that."""
        why = "it isn't known whether it took place"
        while not await self._gives_up(row, moving, why):  # noqa: ASYNC110 - what is awaited is a commit
            await asyncio.sleep(RETRY_S)
        return self._is_at_another(row)

    async def _gives_up(self, row: ActorRow, moving: str, why: str) -> bool:
        """Give a move up; return whether it is known now how it ended."""
        try:
            await self._kb.commit(
                f"move({row.name}) was given up: {why}",
                who=self._me.name,
                require=(still(row), (moving, "NoSuchThing", "it doesn't move")),
                retract=(moving,),
            )
        except (NoSuchActor, NoSuchThing):
            return True
        except ZactorError as error:
            log.warning("move_not_given_up", actor=row.name, why=str(error))
            return False
        return True

    def _is_at_another(self, row: ActorRow) -> bool:
        now = facts.actor(self._kb.theory, row.name)
        return now is not None and now.deployment == row.deployment and now.node != row.node

    # -- one that comes ----------------------------------------------------------------------
    async def receive(self, op: ReceiveActor) -> None:
        """Do the next step of an actor that comes here."""
        name = op.name
        if op.step == "load":
            row = facts.actor(self._kb.theory, name)
            if row is None or row.node == self._me.name:
                raise NoSuchActor(f"{name} doesn't come here")
            blueprint = await self._blueprints.make(row)
            self._arrivals[name] = Arrival(row.node, blueprint)
            return
        arrival = self._arrivals.get(name)
        if arrival is None:
            raise NoSuchActor(f"{name} doesn't come here any more")
        if op.step == "restore":
            await self._restore(arrival, op.state)
        elif arrival.immigrant is not None and arrival.started is not None:
            arrival.immigrant.go()
            try:
                await asyncio.shield(arrival.started)
            except Exception as error:  # on_start is user code
                raise self._failure(name, "on_start", error) from None

    async def _restore(self, arrival: Arrival, state: bytes | None) -> None:
        blueprint = arrival.blueprint
        immigrant = Immigrant(blueprint.name, state, self._policy)
        blueprint = replace(blueprint, begin=immigrant.begin)
        self._hosting.arrives(blueprint.name, blueprint.uid)
        started = asyncio.wrap_future(self._runtime.spawn(blueprint))
        arrival.immigrant, arrival.started = immigrant, started
        started.add_done_callback(lambda done: self._begun(blueprint, done))
        restored = asyncio.wrap_future(immigrant.restored)
        await asyncio.wait((restored, started), return_when="FIRST_COMPLETED")
        if started.done() and (error := started.exception()) is not None:
            raise self._failure(blueprint.name, "restore", error)

    def _failure(self, name: str, hook: str, error: BaseException) -> ZactorError:
        """Return what is told of code that raised here."""
        if isinstance(error, ZactorError):
            return error
        return RemoteActionError(
            text_of(error),
            remote_type=type(error).__name__,
            traceback=trace_of(error),
            node=self._me.name,
            actor=name,
            action=hook,
        )

    def _begun(self, blueprint: Blueprint, started: asyncio.Future[None]) -> None:
        self._arrivals.pop(blueprint.name, None)
        error = None if started.cancelled() else started.exception()
        if error is not None:
            self._hosting.failed(blueprint.name, blueprint.uid, said(error))

    def look(self, name: str, row: ActorRow | None) -> None:
        """Something about it has changed, or a node went."""
        arrival = self._arrivals.get(name)
        if arrival is None:
            return
        is_mine = row is not None and row.node == self._me.name
        is_coming = facts.moving_to(self._kb.theory, name) == self._me.name
        immigrant = arrival.immigrant
        if immigrant is None:
            return
        if is_mine and self._port_of(arrival.source) is None:
            immigrant.go()  # nobody else will say so: the former one is gone with its node
        elif is_mine:
            asyncio.get_running_loop().call_later(limits.MOVE_GO_S, immigrant.go)
        elif not is_coming:
            del self._arrivals[name]
            self._hosting.departs(name, is_so=True)
            self._runtime.stop(arrival.blueprint.uid, reason="it stays where it was", drain_s=0.0)

    def coming(self) -> list[str]:
        """Return the names of those that come."""
        return list(self._arrivals)


def _holds(name: str) -> str:
    return (
        f"{name} has wires out of it that hold: what waits for their reactors waits at its node,"
        " and would be overtaken by what it sends from another. Have them drop first"
    )


def _fit(name: str, node: str) -> tuple[Requirement, ...]:
    """Return what may change while it moves, and hinders it."""
    actor, drained = quote_atom(name), node_marks.drained_fact(node)
    ordered = [level.value for level in Service if level > Service.FIFO]
    ends = [
        f"reacts({end}, _, {level})" for level in ordered for end in (f"{actor}, _", f"_, {actor}")
    ]
    return (
        *((f"\\+ {end}", "Refused", _is_ordered(name)) for end in ends),
        (f"\\+ meanwhile(_, {actor}, _, _)", "Refused", _holds(name)),
        (f"\\+ {drained}", "Refused", f"{node} is drained"),
    )


def _is_ordered(name: str) -> str:
    return f"{name} has wires above fifo: it can't move in their order. Unwire them first"


def _ordered_wires(theory: Theory, name: str) -> list[str]:
    wires = [*facts.wires(theory, reactor=name), *facts.wires(theory, emitter=name)]
    ordered = [wire for wire in wires if wire.service > Service.FIFO][:WIRES_NAMED_MAX]
    return [spoken_wire(wire.emitter, wire.action, wire.reactor) for wire in ordered]
