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
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import (
    Requirement,
)
from zactor.supervisor.kb.wishes import factory_mark, wire_mark
from zactor.supervisor.operations.deploy import DEPLOY, DEPLOY_MANY
from zactor.supervisor.operations.destroy import DESTROY, DESTROY_TODO
from zactor.supervisor.operations.workflow import (
    Effect,
    PeerCall,
    Step,
    Transact,
    Wait,
    Workflow,
)

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


WORKFLOWS: tuple[Workflow[Any], ...] = (
    DECLARE_NODE,
    DECLARE_FACTORY,
    UNDECLARE_FACTORY,
    DEPLOY,
    DEPLOY_MANY,
    WIRE,
    UNWIRE,
    DESTROY,
    DESTROY_TODO,
)
