"""The operations that change the cluster, as they are asked of a node: checks, workflows, answers.

Each checks the words of what was asked, lets the runner take the steps of its workflow, and says
what came of it. What is checked before a transaction only makes for better words: what counts is
checked again where the transaction is ordered. Asked again under the same id an operation is done
once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from zactor.bundles.manifest import pick_type
from zactor.bundles.store import BundleStore
from zactor.kernel.actors.shapes import meant
from zactor.kernel.errors import (
    AlreadyExists,
    NoSuchActor,
    NoSuchThing,
    NotReachable,
    OutcomeUnknown,
    RemoteActionError,
    TimedOut,
    UnfitArguments,
    ZactorError,
    text_of,
)
from zactor.kernel.ids import Clock, NodeId, check_name, check_wire_name
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.kernel.messages.operations import (
    DeclareFactory,
    DeclareNode,
    DeployActor,
    DeployActors,
    DestroyActor,
    FlushLink,
    MoveActor,
    Operation,
    ReceiveActor,
    RestoreActors,
    UndeclareFactory,
    Unwire,
    UpgradeActor,
    Wire,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.wire.payload import Policy
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.operations import constructor_arguments, workflows
from zactor.supervisor.operations.contracts import Contracts
from zactor.supervisor.operations.declare_node import DeclareNodeCall
from zactor.supervisor.operations.deploy import (
    DEPLOY,
    DEPLOY_MANY,
    Deploy,
    DeployTransaction,
    parted,
)
from zactor.supervisor.operations.destroy import DESTROY, DESTROY_TODO, Destroy, DestroyTodo
from zactor.supervisor.operations.todo_runner import TodoRunner
from zactor.supervisor.operations.workflow_runner import WorkflowRunner

HERE_S = 1.0  # in which what was decided is known here
MENDED_S = 5.0  # in which wires are up again whose ends are
RESTORED_AT_ONCE = 16  # more would only wait for each other


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for an operation, and under which id."""

    who: str
    id: str


class BundleSource(Protocol):
    """What brings code to this node."""

    async def need(self, identity: str) -> None:
        """Return when the bundle is in the store."""
        ...


class CodeUpgrades(Protocol):
    """What gives actors of this node other code."""

    async def upgrade(self, name: str, bundle: str, who: str) -> dict[str, object]:
        """Give an actor that code; return what became of it."""
        ...


class ActorMoves(Protocol):
    """What brings actors from and to this node."""

    async def move(
        self,
        name: str,
        node: str,
        who: str,
        ask_node: Callable[[str, Operation], Awaitable[object]],
    ) -> dict[str, object]:
        """Have an actor of this node go on at another; return what became of it."""
        ...

    async def receive(self, op: ReceiveActor) -> None:
        """Do the next step of an actor that comes here."""
        ...

    async def flush(self, node: str) -> None:
        """Return when all that was sent to that node is in mailboxes there."""
        ...


class LocalActors(Protocol):
    """The actors of this node."""

    @property
    def upgrades(self) -> CodeUpgrades:
        """What gives them other code."""
        ...

    @property
    def moves(self) -> ActorMoves:
        """What brings them from and to this node."""
        ...


class Changes:
    """Carries out changes on behalf of one node. Kernel's loop only."""

    def __init__(
        self,
        me: NodeId,
        *,
        kb: KnowledgeBase,
        runner: WorkflowRunner,
        todos: TodoRunner,
        fetcher: BundleSource,
        store: BundleStore,
        begin_declaring: Callable[[str, str], DeclareNodeCall],
        ask_node: Callable[[str, Operation], Awaitable[object]],
        contracts: Contracts,
        local_actors: LocalActors,
        policy: Policy,
    ) -> None:
        """Ask other nodes by `ask_node`.

        Args:
            begin_declaring: gets the name and address of a node that is to be declared.
            policy: of constructor arguments.
        """
        self._policy = policy
        self._upgrades = local_actors.upgrades
        self._moves = local_actors.moves
        self._me = me
        self._kb = kb
        self._runner = runner
        self._todos = todos
        self._fetcher = fetcher
        self._store = store
        self._begin_declaring = begin_declaring
        self._ask_node = ask_node
        self._contracts = contracts

    # -- declaring ---------------------------------------------------------------------------
    async def declare_node(self, op: DeclareNode, asked: Asked) -> object:
        """Name a node, or meet one that has that name."""
        call = self._begin_declaring(op.name, op.address)
        try:
            done = await self._runner.run(
                workflows.DECLARE_NODE,
                workflows.DeclareNode(name=op.name),
                who=asked.who,
                calls={"find": call.find, "name": call.name},
            )
        except TimedOut:
            if why := call.why_not():  # it came to be known late
                raise NotReachable(why) from None
            raise
        return call.result(done["appear"])

    async def declare_factory(self, op: DeclareFactory, asked: Asked) -> object:
        """Hold the code of a type, and say so."""
        check_name("type of actor", op.type)

        async def check() -> None:
            await self._fetcher.need(op.bundle)
            bundle = await run_blocking(self._store.open, op.bundle)
            pick_type(bundle.manifest, op.type)

        await self._runner.run(
            workflows.DECLARE_FACTORY,
            workflows.DeclareFactory(id=asked.id, type=op.type, bundle=op.bundle),
            who=asked.who,
            calls={"check": check},
        )
        return {"type": op.type, "bundle": op.bundle}

    async def undeclare_factory(self, op: UndeclareFactory, asked: Asked) -> object:
        """Take the code of a type away, unless actors need it."""
        parameters = workflows.UndeclareFactory(id=asked.id, type=op.type)
        await self._runner.run(workflows.UNDECLARE_FACTORY, parameters, who=asked.who)
        return {"type": op.type}

    # -- actors ------------------------------------------------------------------------------
    async def deploy(self, op: DeployActor, asked: Asked) -> object:
        """Create an actor, and wait until it runs."""
        row = await self._start(self._deployment(op, asked), asked)
        return {
            "name": row.name,
            "uid": row.uid,
            "node": row.node,
            "type": row.type,
            "bundle": row.bundle,
        }

    async def _start(self, parameters: Deploy, asked: Asked) -> ActorRow:
        async def check() -> object:
            await self._contracts.check_code(parameters)
            await self._contracts.check_constructor(parameters, parameters.arguments)
            return {}

        done = await self._runner.run(DEPLOY, parameters, who=asked.who, calls={"check": check})
        outcome = done["start"]
        assert isinstance(outcome, tuple), outcome
        return _running(parameters, outcome[0])

    async def deploy_many(self, op: DeployActors, asked: Asked) -> object:
        """Create actors, and wait until they run: rows of name, type, node and error."""
        names = [each.name for each in op.actors]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise AlreadyExists(f"{twice} is among them twice")
        orders = [self._deployment(each, asked, f"{asked.id} {each.name}") for each in op.actors]
        for each in {(each.node, each.bundle, each.type): each for each in orders}.values():
            await self._contracts.check_code(each)
        for each in orders:
            await self._contracts.check_constructor(each, each.arguments)
        parts = parted(orders)
        placed = (
            self._place(DeployTransaction(id=f"{asked.id} {number}", actors=part), asked)
            for number, part in enumerate(parts)
        )
        outcomes = await asyncio.gather(*placed, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if len(errors) == len(parts) and errors:
            raise errors[0]
        return [
            {"name": each.name, "type": each.type, "node": each.node, "error": error}
            for part, outcome in zip(parts, outcomes, strict=True)
            for each, error in zip(part, self._errors(part, outcome), strict=True)
        ]

    async def _place(
        self, parameters: DeployTransaction, asked: Asked
    ) -> dict[str, ActorRow | None]:
        """Return, by name, what became of actors that were placed by one change."""

        async def check() -> None:
            """They were, see above."""

        done = await self._runner.run(
            DEPLOY_MANY, parameters, who=asked.who, calls={"check": check}
        )
        outcome = done["start"]
        assert isinstance(outcome, dict), outcome
        return outcome

    def _errors(
        self, part: Iterable[Deploy], outcome: dict[str, ActorRow | None] | BaseException
    ) -> Iterator[str]:
        """Yield why each doesn't run, "" if it does."""
        for each in part:
            try:
                if isinstance(outcome, BaseException):
                    raise outcome
                _running(each, outcome[each.name])
            except ZactorError as error:
                row = facts.actor(self._kb.theory, each.name)
                runs = row is not None and row.deployment == each.id and row.state == "running"
                yield "" if runs else text_of(error)
            else:
                yield ""

    def _deployment(self, op: DeployActor, asked: Asked, id_: str = "") -> Deploy:
        check_name("actor", op.name)
        theory = self._kb.theory
        bundle = facts.factory(theory, op.type)
        if bundle is None:
            there = list(facts.factories(theory))
            known = ", ".join(there) or "none"
            what = f"no factory for {op.type} (declared: {known}): declareFactory first"
            raise NoSuchThing(f"{what}{meant(op.type, there)}")
        if op.node not in facts.nodes(theory):
            known = ", ".join(facts.nodes(theory))
            raise NoSuchThing(f"no node {op.node} (there are: {known})")
        taken = facts.actor(theory, op.name)
        if taken is not None and taken.deployment != (id_ or asked.id):
            raise AlreadyExists(f"an actor {op.name} exists already, on {taken.node}")
        return Deploy(
            id=id_ or asked.id,
            type=op.type,
            name=op.name,
            node=op.node,
            bundle=bundle,
            arguments=constructor_arguments.to_text(op.arguments, self._policy),
            policy=_policy(op),
            installs=op.install,
        )

    async def upgrade(self, op: UpgradeActor, asked: Asked) -> object:
        """Have an actor get its type's newest code, or that of a bundle, at the node it runs on.

        Returns what `Upgrades.upgrade` does.
        """
        theory = self._kb.theory
        row = facts.actor(theory, op.name)
        if row is None:
            raise NoSuchActor(orders.absent(theory, op.name))
        bundle = op.bundle or facts.factory(theory, row.type)
        if bundle is None:
            raise NoSuchThing(
                f"no factory for {row.type}, the type of {op.name}: declareFactory first"
            )
        if row.bundle != bundle:
            await self._contracts.check_code(replace(row, bundle=bundle))
        who = self._author(op, asked)
        if row.node != self._me.name:
            return await self._ask_node(row.node, UpgradeActor(op.name, bundle, who))
        return await self._upgrades.upgrade(op.name, bundle, who)

    def _author(self, op: UpgradeActor | MoveActor, asked: Asked) -> str:
        """Return who wants it: whom a node asks for is its to say, a client is who it is."""
        is_node = asked.who in facts.nodes(self._kb.theory)
        return op.who if op.who and is_node else asked.who

    async def move(self, op: MoveActor, asked: Asked) -> object:
        """Have an actor go on at another node. Returns what `Moves.move` does."""
        row = facts.actor(self._kb.theory, op.name)
        if row is None:
            raise NoSuchActor(orders.absent(self._kb.theory, op.name))
        who = self._author(op, asked)
        if row.node != self._me.name:
            return await self._ask_node(row.node, MoveActor(op.name, op.node, who))
        if row.installs and op.node in facts.nodes(self._kb.theory):
            await self._contracts.check_code(replace(row, node=op.node))
        return await self._moves.move(op.name, op.node, who, self._ask_node)

    async def receive(self, op: ReceiveActor) -> object:
        """Take the next step of an actor that comes here."""
        await self._moves.receive(op)
        return {}

    async def flush(self, op: FlushLink) -> object:
        """Answer when all that was sent to a node is in mailboxes there."""
        await self._moves.flush(op.node)
        return {}

    async def restore(self, op: RestoreActors, asked: Asked) -> object:
        """Deploy again what was lost, and wait until it runs and has its wires.

        Returns rows of name, type, node and error, which says why one is lost still.
        """
        names = op.names or self._restorable(asked)
        turns = asyncio.Semaphore(RESTORED_AT_ONCE)

        async def one(name: str) -> dict[str, str]:
            async with turns:
                try:
                    return await self._restore(name, op.node, asked)
                except ZactorError as error:
                    if len(op.names) == 1:
                        raise
                    row = orders.lost(self._kb.theory, name)
                    known = (row.type, row.node) if row is not None else ("", "")
                    return {"name": name, "type": known[0], "node": known[1], "error": str(error)}

        rows = await asyncio.gather(*map(one, names))
        kb = self._kb
        await kb.until(lambda: None if orders.mendable(kb.theory) else True, MENDED_S)
        return rows

    def _restorable(self, asked: Asked) -> list[str]:
        """Return what is lost, and what was while the same was asked for before."""
        theory = self._kb.theory
        actors, mine = facts.actors(theory), f"{asked.id} "
        begun = {row.name for row in actors if row.deployment.startswith(mine)}
        return sorted(begun | {row.name for row in orders.all_lost(theory)})

    async def _restore(self, name: str, node: str, asked: Asked) -> dict[str, str]:
        theory, id_ = self._kb.theory, f"{asked.id} {name}"
        lost, begun = orders.lost(theory, name), facts.actor(theory, name)
        if lost is None and (begun is None or begun.deployment != id_):
            words = orders.absent(theory, name) if begun is None else f"{name} is there, not lost"
            raise NoSuchThing(words)
        row = lost if lost is not None else begun
        assert row is not None
        place = node or row.node
        if place not in facts.nodes(theory):
            known = ", ".join(facts.nodes(theory))
            raise NoSuchThing(
                f"no node {place} for {name} (there are: {known}): start it again, or"
                f" `zactor restore {name} --on NODE`"
            )
        parameters = Deploy(
            id=id_,
            type=row.type,
            name=name,
            node=place,
            bundle=facts.factory(theory, row.type) or row.bundle,
            arguments=row.arguments,
            lost=lost,
            installs=facts.installs(theory, name),
        )
        actor = await self._start(parameters, asked)
        return {"name": name, "type": actor.type, "node": actor.node, "error": ""}

    async def destroy(self, op: DestroyActor, asked: Asked) -> object:
        """End an actor, and wait until it is gone."""
        drain = "" if op.drain_s < 0 else f"drain {op.drain_s:g}"
        end = self._destroy_with_todo if op.todo else self._destroy
        before = facts.actor(self._kb.theory, op.name)
        since = await end(op.name, drain, asked)
        row = facts.actor(self._kb.theory, op.name)
        is_same = before is not None and row is not None and before.uid == row.uid
        if row is not None and is_same and row.since > since and row.state == "failed":
            raise ZactorError(
                f"{op.name} on {row.node} failed while it was destroyed ({row.reason}):"
                " destroy it again to remove what is left of it"
            )
        return {}

    async def _destroy(self, name: str, drain: str, asked: Asked) -> Clock:
        """Tell the actor to stop and wait until it has; return when it was told."""
        parameters = Destroy(id=asked.id, name=name, drain=drain)
        done = await self._runner.run(DESTROY, parameters, who=asked.who)
        clock = done["stop"]
        assert isinstance(clock, Clock), clock
        return clock

    async def _destroy_with_todo(self, name: str, drain: str, asked: Asked) -> Clock:
        """Write the clause and wait until it is gone, whoever does what it says; see above."""
        kb, todos = self._kb, self._todos
        assignee, remark = todos.assignee(name)
        parameters = DestroyTodo(
            id=asked.id, name=name, drain=drain, owner=self._me, assignee=assignee, remark=remark
        )
        try:
            with todos.writing(asked.id):
                done = await self._runner.run(
                    DESTROY_TODO, parameters, who=asked.who, only=("write",)
                )
        except AlreadyExists:  # another master was quicker: what it began is what was asked for
            found = await kb.until(lambda: facts.todo_about(kb.theory, name), HERE_S)
            if found is None:
                raise
            id_, since = found.id, found.since
        else:
            id_ = asked.id
            clock = done.get("write") or kb.clock  # asked again: it has been written
            assert isinstance(clock, Clock), clock
            since = clock
        await todos.finished(id_)
        return since

    # -- wires -------------------------------------------------------------------------------
    async def wire(self, op: Wire, asked: Asked) -> object:
        """Let a reactor do what an emitter signals.

        Raises:
            NoSuchThing: the one has no such signal, or the other no such action.
            UnfitArguments: what the signal carries can't be taken.
        """
        wire, theory = check_wire_name(op.action), self._kb.theory
        service, meanwhile = Service.parse(op.service), Meanwhile.parse(op.meanwhile)
        if meanwhile is not None:
            meanwhile.check(service)
        if not op.anyway:
            emitter, reactor = facts.actor(theory, op.emitter), facts.actor(theory, op.reactor)
            await self._contracts.check_wire(emitter, reactor, wire)
        parameters = workflows.WireParameters(
            id=asked.id,
            reactor=op.reactor,
            emitter=op.emitter,
            action=wire,
            service=service,
            meanwhile=meanwhile,
        )
        await self._runner.run(workflows.WIRE, parameters, who=asked.who)
        return {}

    async def unwire(self, op: Unwire, asked: Asked) -> object:
        """Let it do so no more."""
        parameters = workflows.WireParameters(
            id=asked.id, reactor=op.reactor, emitter=op.emitter, action=check_wire_name(op.action)
        )
        await self._runner.run(workflows.UNWIRE, parameters, who=asked.who)
        return {}


def _policy(op: DeployActor) -> policies.Policy | None:
    """Return what its ends and deaths are answered with; None: it is never restarted."""
    if not op.restart:
        return None
    intensity, restart = op.intensity or policies.INTENSITY, policies.check_restart(op.restart)
    policies.check_intensity(intensity)
    on = () if restart == policies.TEMPORARY else (op.node,)
    return policies.Policy(restart=restart, intensity=intensity, on=on)


def _running(op: Deploy, row: ActorRow | None) -> ActorRow:
    """Return the actor that was deployed, if it runs."""
    if row is None:
        raise OutcomeUnknown(
            f"{op.name} was destroyed, or node {op.node} went, while it was being deployed"
        )
    if row.state == "failed":
        in_hook = row.reason.startswith("on_start: ")
        kind, _, message = row.reason.removeprefix("on_start: ").partition(": ")
        if kind == UnfitArguments.__name__:
            raise UnfitArguments(message)
        raise RemoteActionError(
            message or row.reason,
            remote_type=kind,
            node=op.node,
            actor=op.name,
            action="on_start" if in_hook else "__init__",
        )
    return row
