"""The operations that change the cluster, each as a workflow: see workflow.py.

Pure: what is here reads a theory and says what to do. A reader finds the whole story of an
operation in its steps, top to bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.kernel.messages.service import Service
from zactor.supervisor.kb import facts, node_marks, orders
from zactor.supervisor.kb.fact_patterns import (
    TOO_LATE,
    Requirement,
    actor_patterns,
    down_patterns,
    forget_patterns,
    still,
    wanted_patterns,
)
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Policy, start_facts
from zactor.supervisor.kb.wishes import factory_mark, wire_mark
from zactor.supervisor.operations.destroy import DESTROY, DESTROY_TODO
from zactor.supervisor.operations.workflow import (
    Effect,
    PeerCall,
    Step,
    Transact,
    Wait,
    Workflow,
)

START_TIMEOUT_S = 60.0  # an actor may load large libraries
NAMED_MAX = 10  # actors in one refusal
APPEAR_TIMEOUT_S = 10.0  # from its name on until a node is in the knowledge base


# -- connect and disconnect ------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class WireParameters:
    """remoteReactInteraction, removeInteraction: what wires, and what ends it."""

    id: str
    reactor: str
    emitter: str
    action: str
    service: Service = Service.FIFO
    meanwhile: Meanwhile | None = None  # what waits while the reactor is away; None: nothing

    def mark(self) -> str:
        """Return how the wire is written in a file's mark."""
        return wire_mark(self.reactor, self.emitter, self.action)

    def fact(self, service: str, functor: str = "reacts") -> str:
        """Return the wire as a fact, or as a pattern."""
        parts = map(quote_atom, (self.reactor, self.emitter, self.action))
        return f"{functor}({', '.join(parts)}, {service})"

    def meanwhile_fact(self, how: str) -> str:
        """Return what it does meanwhile as a fact, or as a pattern."""
        return facts.meanwhile_fact(self.reactor, self.emitter, self.action, how)


def _wire(parameters: WireParameters, theory: Theory) -> Effect:
    require: list[Requirement] = []
    meanwhile = parameters.meanwhile
    for name in dict.fromkeys((parameters.reactor, parameters.emitter)):
        actor = quote_atom(name)
        require += [
            (f"actor({actor}, _, _)", "NoSuchActor", orders.absent(theory, name)),
            (f"\\+ state({actor}, stopping, _)", "NoSuchActor", f"{name} is being destroyed"),
        ]
    return Transact(
        id=parameters.id,
        why="remoteReactInteraction"
        f"({parameters.reactor}, {parameters.emitter}, {parameters.action})",
        require=tuple(require),
        retract=(parameters.fact("_"), parameters.meanwhile_fact("_")),
        assert_=(
            parameters.fact(parameters.service.value),
            *((parameters.meanwhile_fact(str(meanwhile)),) if meanwhile is not None else ()),
        ),
    )


def _unwire(parameters: WireParameters, theory: Theory) -> Effect:
    words = f"{parameters.reactor} doesn't react to {parameters.action} of {parameters.emitter}"
    down = orders.down(theory, emitter=parameters.emitter, action=parameters.action)
    is_down = any(wire.reactor == parameters.reactor for wire, _ in down)
    functor = "down" if is_down else "reacts"
    return Transact(
        id=parameters.id,
        why=f"removeInteraction({parameters.reactor}, {parameters.emitter}, {parameters.action})",
        require=((parameters.fact("_", functor), "NoSuchThing", words),),
        retract=(
            parameters.fact("_", functor),
            parameters.meanwhile_fact("_"),
            f"owned(_, {parameters.mark()})",
        ),
    )


WIRE = Workflow("react", (Step("wire", _wire),))
UNWIRE = Workflow("remove", (Step("unwire", _unwire),))


# -- declare ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareFactory:
    """declareFactory."""

    id: str
    type: str
    bundle: str


def _declare(parameters: DeclareFactory, theory: Theory) -> Effect:
    kind = quote_atom(parameters.type)
    return Transact(
        id=parameters.id,
        why=f"declareFactory({parameters.type})",
        retract=(f"factory({kind}, _)",),
        assert_=(f"factory({kind}, {quote_atom(parameters.bundle)})",),
    )


DECLARE_FACTORY = Workflow(
    "declare_factory",
    (Step("check", lambda parameters, theory: PeerCall(name="check")), Step("declare", _declare)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeclareFactory:
    """undeclareFactory."""

    id: str
    type: str


def _undeclare(parameters: UndeclareFactory, theory: Theory) -> Effect:
    kind, type_name = quote_atom(parameters.type), parameters.type
    users = f"actors of {type_name} are there ({_users(theory, type_name)}): destroy or forget them"
    known = ", ".join(facts.factories(theory)) or "none"
    return Transact(
        id=parameters.id,
        why=f"undeclareFactory({type_name})",
        require=(
            (
                f"factory({kind}, _)",
                "NoSuchThing",
                f"no factory for {type_name} (declared: {known})",
            ),
            *(
                (f"\\+ {goal}", "Refused", users)
                for goal in (
                    f"actor(_, {kind}, _)",
                    f"lost(_, {kind}, _, _)",
                    f"next(_, {kind}, _, _, _, _)",
                )
            ),
        ),
        retract=(f"factory({kind}, _)", f"owned(_, {factory_mark(type_name)})"),
    )


def _users(theory: Theory, type_name: str) -> str:
    """Return who needs the code of a type, in words."""
    names = [row.name for row in facts.actors(theory) if row.type == type_name]
    names += [f"{row.name}, lost" for row in orders.all_lost(theory) if row.type == type_name]
    more = len(names) - NAMED_MAX
    shown = "; ".join(names[:NAMED_MAX]) or "since just now"
    return f"{shown}; {more} more" if more > 0 else shown


UNDECLARE_FACTORY = Workflow("undeclare_factory", (Step("undeclare", _undeclare),))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareNode:
    """declareNode."""

    name: str


def _appear(parameters: DeclareNode, theory: Theory) -> Effect:
    return Wait(
        over=lambda now: facts.nodes(now).get(parameters.name),
        limit_s=APPEAR_TIMEOUT_S,
        late=f"{parameters.name} was named, but has not joined for {APPEAR_TIMEOUT_S:g} s",
    )


DECLARE_NODE = Workflow(
    "declare_node",
    (
        Step("find", lambda parameters, theory: PeerCall(name="find")),
        Step("name", lambda parameters, theory: PeerCall(name="name")),
        Step("appear", _appear),
    ),
)


# -- deploy ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """deployActor. Once it is placed, its node brings it to its end whoever dies: ARCHITECTURE.md
    tells how, in "The way of one deployment"."""

    id: str  # of the deployment, and of the transaction
    type: str
    name: str
    node: str
    bundle: str
    arguments: str  # as text, see constructor_arguments.py
    lost: LostRow | None = None  # what it was, where it is restored
    policy: Policy | None = None  # of a new one; a restored one keeps what it had
    installs: bool = False  # what its bundle wants is installed where it runs


def _check(parameters: Deploy, theory: Theory) -> Effect | None:
    return None if _deployed(parameters, theory) else PeerCall(name="check")


def _place(parameters: Deploy, theory: Theory) -> Effect:
    name, node, lost = quote_atom(parameters.name), quote_atom(parameters.node), parameters.lost
    said = f"{parameters.type}, {parameters.name}, {parameters.node}"
    return Transact(
        id=parameters.id,
        why=f"deployActor({said})" if lost is None else f"restore({said})",
        require=(
            (
                f"\\+ actor({name}, _, _)",
                "AlreadyExists",
                f"actor {parameters.name} exists already",
            ),
            (f"node({node}, _)", "NoSuchThing", f"node {parameters.node} is gone"),
            (
                f"\\+ {node_marks.drained_fact(parameters.node)}",
                "Refused",
                node_marks.drained_words(parameters.node),
            ),
            *((orders.still_lost(lost),) if lost is not None else ()),
        ),
        # What was lost under that name is ordered anew; its wires only if it is restored.
        retract=(
            *orders.lost_patterns(parameters.name),
            *(_stale_patterns(parameters.name) if lost is None else ()),
        ),
        assert_=(
            *start_facts(
                parameters.name,
                parameters.type,
                parameters.node,
                parameters.bundle,
                parameters.arguments,
                parameters.id,
            ),
            *((parameters.policy.fact(parameters.name),) if parameters.policy else ()),
            *((facts.installs_fact(parameters.name),) if parameters.installs else ()),
        ),
    )


def _stale_patterns(name: str) -> tuple[str, ...]:
    return *down_patterns(name), *wanted_patterns(name)


def _start(parameters: Deploy, theory: Theory) -> Effect:
    def over(now: Theory) -> tuple[ActorRow | None] | None:
        row = _deployed(parameters, now)
        if row is None or row.state == "stopping":
            return (None,)
        return None if row.state == "starting" else (row,)

    late = (
        f"{parameters.name} has not started on {parameters.node} for {START_TIMEOUT_S:g} s; "
        "it still may"
    )
    return Wait(over=over, limit_s=START_TIMEOUT_S, late=late)


def _undo(parameters: Deploy, theory: Theory) -> Effect | None:
    row = _deployed(parameters, theory)
    if row is None or row.state != "failed":
        return None
    lost = parameters.lost
    retract, assert_ = forget_patterns(parameters.name), tuple[str, ...]()
    if lost is not None:  # it is lost as before, its wires are down still
        retract = actor_patterns(lost.name)
        assert_ = orders.lost_facts(lost, lost.life, lost.reason)
    return Transact(
        why=f"deployActor({parameters.name}) failed",
        require=(still(row),),
        retract=retract,
        assert_=assert_,
        settled_by=TOO_LATE,  # its node was quicker
    )


def _deployed(parameters: Deploy, theory: Theory) -> ActorRow | None:
    row = facts.actor(theory, parameters.name)
    return row if row is not None and row.deployment == parameters.id else None


DEPLOY = Workflow(
    "deploy",
    (Step("check", _check), Step("place", _place), Step("start", _start), Step("undo", _undo)),
)


WORKFLOWS: tuple[Workflow[Any], ...] = (
    DECLARE_NODE,
    DECLARE_FACTORY,
    UNDECLARE_FACTORY,
    DEPLOY,
    WIRE,
    UNWIRE,
    DESTROY,
    DESTROY_TODO,
)
