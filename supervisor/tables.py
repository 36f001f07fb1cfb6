"""The operations that change the cluster, each as a table of steps: see steps.py.

Pure: what is here looks at a theory and says what to do. A reader finds the whole story of an
operation in its table, top to bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.terms import format_term, quote_atom
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.service import Service
from zactor.supervisor import theoryview
from zactor.supervisor.steps import Call, Effect, Requirement, Step, Table, Transact, Wait
from zactor.supervisor.theoryview import ActorRow, TodoRow

START_TIMEOUT_S = 60.0  # an actor may load large libraries
APPEAR_TIMEOUT_S = 10.0  # from its name on until a node is in the knowledge base

_GONE = ("NoSuchActor", "NoSuchThing")


def still(row: ActorRow) -> Requirement:
    """Return the requirement that this very deployment is still there."""
    return _still(row.name, row.deployment)


def _still(name: str, deployment: str) -> Requirement:
    goal = f"spec({quote_atom(name)}, _, _, {quote_atom(deployment)})"
    return goal, "NoSuchActor", f"{name} is gone"


def forget_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every fact that mentions the actor `name`."""
    actor = quote_atom(name)
    return (
        f"actor({actor}, _, _)",
        f"spec({actor}, _, _, _)",
        f"state({actor}, _, _)",
        *reference_patterns(name),
    )


def reference_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every interaction of the actor `name`."""
    actor = quote_atom(name)
    return f"reacts({actor}, _, _, _)", f"reacts(_, {actor}, _, _)"


def no_actor(name: str) -> str:
    """Return the words for an actor that isn't there."""
    return f"no actor {name}: `zactor ps` shows which there are"


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
        settled_by=_GONE,  # its node was quicker
    )


def _deployed(job: Deploy, theory: Theory) -> ActorRow | None:
    row = theoryview.actor(theory, job.name)
    return row if row is not None and row.deployment == job.id else None


DEPLOY = Table(
    "deploy",
    (Step("check", _check), Step("place", _place), Step("start", _start), Step("undo", _undo)),
)


# -- destroy ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Destroy:
    """destroyActor without a todo: one transaction, which the actor's node brings to its end."""

    id: str
    name: str
    drain: str  # "", or "drain S": for how long it may go on working


def _drop(job: Destroy, theory: Theory) -> Effect:
    name = quote_atom(job.name)
    return Transact(
        id=job.id,
        why=f"destroyActor({job.name})",
        require=((f"actor({name}, _, _)", "NoSuchActor", no_actor(job.name)),),
        retract=(*reference_patterns(job.name), f"state({name}, _, _)"),
        assert_=(f"state({name}, stopping, {format_term(job.drain)})",),
    )


def _wait_for_its_end(job: Destroy, theory: Theory) -> Effect:
    def over(now: Theory) -> bool | None:
        row = theoryview.actor(now, job.name)
        return True if row is None or row.state != "stopping" else None

    return Wait(over=over)


DESTROY = Table("destroy", (Step("stop", _drop), Step("finish", _wait_for_its_end)))


# -- destroy with a todo ---------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyTodo:
    """destroyActor with a todo: whoever runs it, it is done once, and the clause goes last."""

    id: str  # of the clause, and of the transaction that writes it
    name: str
    drain: str
    owner: NodeId  # the life of a node that began
    assignee: str  # the node that goes on if that life ends
    note: str = ""  # why it is no better one


def of_clause(row: TodoRow) -> DestroyTodo:
    """Return what the clause `row` asks for."""
    return DestroyTodo(
        id=row.id, name=row.name, drain=row.drain, owner=row.owner, assignee=row.assignee
    )


def _why(job: DestroyTodo) -> str:
    return f"destroyActor({job.name}, true) of {job.owner}"


def todo_fact(id: str, name: str, owner: str, assignee: str) -> str:
    """Return the clause as people read it."""
    parts = (quote_atom(id), f"destroy_actor({quote_atom(name)})", owner, assignee)
    return f"todo({', '.join(parts)})"


def _write(job: DestroyTodo, theory: Theory) -> Effect | None:
    if theoryview.todo(theory, job.id) is not None:
        return None
    name = quote_atom(job.name)
    fact = todo_fact(job.id, job.name, quote_atom(job.owner.name), quote_atom(job.assignee))
    return Transact(
        id=job.id,
        why=f"{_why(job)}: {job.assignee} is to finish it{job.note}",
        require=(
            (f"spec({name}, _, _, Deployment)", "NoSuchActor", no_actor(job.name)),
            (
                f"\\+ todo(_, destroy_actor({name}), _, _)",
                "AlreadyExists",
                f"{job.name} is being destroyed already",
            ),
        ),
        assert_=(
            fact,
            f"errand({quote_atom(job.id)}, {job.owner.incarnation}, Deployment, "
            f"{format_term(job.drain)})",
        ),
    )


def _drop_references(job: DestroyTodo, theory: Theory) -> Effect | None:
    found = _target(job, theory)
    if found is None:
        return None
    _, row = found
    return Transact(
        why=f"{_why(job)}: no references to it any more",
        require=(still(row), _still_due(job)),
        retract=reference_patterns(job.name),
        settled_by=_GONE,
    )


def _stop(job: DestroyTodo, theory: Theory) -> Effect | None:
    found = _target(job, theory)
    if found is None or _is_stopped(*found):
        return None
    _, row = found
    name = quote_atom(job.name)
    return Transact(
        why=f"{_why(job)}: it finishes its work",
        require=(still(row), _still_due(job)),
        retract=(*reference_patterns(job.name), f"state({name}, _, _)"),
        assert_=(f"state({name}, stopping, {format_term(job.drain)})",),
        settled_by=_GONE,
    )


def _finish(job: DestroyTodo, theory: Theory) -> Effect:
    def over(now: Theory) -> bool | None:
        found = _target(job, now)
        if found is None or (_is_stopped(*found) and found[1].state == "failed"):
            return True
        return None

    return Wait(over=over)


def _clear(job: DestroyTodo, theory: Theory) -> Effect | None:
    if theoryview.todo(theory, job.id) is None:
        return None
    id_ = quote_atom(job.id)
    return Transact(
        why=f"{_why(job)}: done",
        require=(_still_due(job),),
        retract=(f"todo({id_}, _, _, _)", f"errand({id_}, _, _, _)"),
        settled_by=_GONE,
    )


def _still_due(job: DestroyTodo) -> Requirement:
    return f"errand({quote_atom(job.id)}, _, _, _)", "NoSuchThing", f"todo {job.id} is done"


def _target(job: DestroyTodo, theory: Theory) -> tuple[TodoRow, ActorRow] | None:
    """Return the clause and the very deployment that it is about, if both are still there."""
    clause = theoryview.todo(theory, job.id)
    row = theoryview.actor(theory, job.name)
    if clause is None or row is None or row.deployment != clause.deployment:
        return None
    return clause, row


def _is_stopped(clause: TodoRow, row: ActorRow) -> bool:
    """Whether it was told to stop for this clause: by whoever ran it first."""
    return row.state in ("stopping", "failed") and row.since > clause.since


DESTROY_TODO = Table(
    "destroy_todo",
    (
        Step("write", _write),
        Step("unwire", _drop_references),
        Step("stop", _stop),
        Step("finish", _finish),
        Step("clear", _clear),
    ),
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
