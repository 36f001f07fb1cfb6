"""The operations that change the cluster, each as a table of steps: see steps.py.

Pure: what is here looks at a theory and says what to do. A reader finds the whole story of an
operation in its table, top to bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zactor.kernel.knowledge.terms import format_term, quote_atom
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.service import Service
from zactor.supervisor import theoryview
from zactor.supervisor.destruction import DESTROY, DESTROY_TODO
from zactor.supervisor.forms import GONE, forget_patterns, no_actor, still
from zactor.supervisor.steps import Call, Effect, Requirement, Step, Table, Transact, Wait
from zactor.supervisor.theoryview import ActorRow

START_TIMEOUT_S = 60.0  # an actor may load large libraries
APPEAR_TIMEOUT_S = 10.0  # from its name on until a node is in the knowledge base


# -- connect and disconnect ------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class React:
    """remoteReactInteraction, removeInteraction."""

    id: str
    reactor: str
    emitter: str
    action: str
    service: Service = Service.FIFO

    def fact(self, service: str) -> str:
        """Return the interaction as a fact, or as a pattern."""
        parts = map(quote_atom, (self.reactor, self.emitter, self.action))
        return f"reacts({', '.join(parts)}, {service})"


def _wire(job: React, theory: Theory) -> Effect:
    require: list[Requirement] = []
    for name in dict.fromkeys((job.reactor, job.emitter)):
        actor = quote_atom(name)
        require += [
            (f"actor({actor}, _, _)", "NoSuchActor", no_actor(name)),
            (f"\\+ state({actor}, stopping, _)", "NoSuchActor", f"{name} is being destroyed"),
        ]
    return Transact(
        id=job.id,
        why=f"remoteReactInteraction({job.reactor}, {job.emitter}, {job.action})",
        require=tuple(require),
        retract=(job.fact("_"),),
        assert_=(job.fact(job.service.value),),
    )


def _unwire(job: React, theory: Theory) -> Effect:
    words = f"{job.reactor} doesn't react to {job.action} of {job.emitter}"
    return Transact(
        id=job.id,
        why=f"removeInteraction({job.reactor}, {job.emitter}, {job.action})",
        require=((job.fact("_"), "NoSuchThing", words),),
        retract=(job.fact("_"),),
    )


REACT = Table("react", (Step("wire", _wire),))
REMOVE = Table("remove", (Step("unwire", _unwire),))


# -- declare ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareFactory:
    """declareFactory."""

    id: str
    type: str
    bundle: str


def _declare(job: DeclareFactory, theory: Theory) -> Effect:
    kind = quote_atom(job.type)
    return Transact(
        id=job.id,
        why=f"declareFactory({job.type})",
        retract=(f"factory({kind}, _)",),
        assert_=(f"factory({kind}, {quote_atom(job.bundle)})",),
    )


DECLARE_FACTORY = Table(
    "declare_factory",
    (Step("check", lambda job, theory: Call(name="check")), Step("declare", _declare)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareNode:
    """declareNode."""

    name: str


def _appear(job: DeclareNode, theory: Theory) -> Effect:
    return Wait(
        over=lambda now: theoryview.nodes(now).get(job.name),
        limit_s=APPEAR_TIMEOUT_S,
        late=f"{job.name} was named, but has not joined for {APPEAR_TIMEOUT_S:g} s",
    )


DECLARE_NODE = Table(
    "declare_node",
    (
        Step("find", lambda job, theory: Call(name="find")),
        Step("name", lambda job, theory: Call(name="name")),
        Step("appear", _appear),
    ),
)


# -- deploy ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """deployActor. Once it is placed, its node brings it to its end whoever dies (D24)."""

    id: str  # of the deployment, and of the transaction
    type: str
    name: str
    node: str
    bundle: str
    arguments: str  # as text, see arguments.py


def _check(job: Deploy, theory: Theory) -> Effect | None:
    return None if _deployed(job, theory) else Call(name="check")


def _place(job: Deploy, theory: Theory) -> Effect:
    name, node = quote_atom(job.name), quote_atom(job.node)
    return Transact(
        id=job.id,
        why=f"deployActor({job.type}, {job.name}, {job.node})",
        require=(
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"actor {job.name} exists already"),
            (f"node({node}, _)", "NoSuchThing", f"node {job.node} is gone"),
        ),
        assert_=(
            f"actor({name}, {quote_atom(job.type)}, {node})",
            f"spec({name}, {quote_atom(job.bundle)}, {format_term(job.arguments)}, "
            f"{quote_atom(job.id)})",
            f'state({name}, starting, "")',
        ),
    )


def _start(job: Deploy, theory: Theory) -> Effect:
    def over(now: Theory) -> tuple[ActorRow | None] | None:
        row = _deployed(job, now)
        if row is None or row.state == "stopping":
            return (None,)
        return None if row.state == "starting" else (row,)

    late = f"{job.name} has not started on {job.node} for {START_TIMEOUT_S:g} s; it still may"
    return Wait(over=over, limit_s=START_TIMEOUT_S, late=late)


def _undo(job: Deploy, theory: Theory) -> Effect | None:
    row = _deployed(job, theory)
    if row is None or row.state != "failed":
        return None
    return Transact(
        why=f"deployActor({job.name}) failed",
        require=(still(row),),
        retract=forget_patterns(job.name),
        settled_by=GONE,  # its node was quicker
    )


def _deployed(job: Deploy, theory: Theory) -> ActorRow | None:
    row = theoryview.actor(theory, job.name)
    return row if row is not None and row.deployment == job.id else None


DEPLOY = Table(
    "deploy",
    (Step("check", _check), Step("place", _place), Step("start", _start), Step("undo", _undo)),
)


TABLES: tuple[Table[Any], ...] = (
    DECLARE_NODE,
    DECLARE_FACTORY,
    DEPLOY,
    REACT,
    REMOVE,
    DESTROY,
    DESTROY_TODO,
)
