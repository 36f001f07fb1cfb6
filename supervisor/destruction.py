"""destroyActor as tables of steps, without and with a todo: see steps.py. Pure.

Without a todo it is one transaction, which the actor's own node brings to its end, whoever dies
(D24). With one it is the seed's: the clause first, then the references go, then the actor finishes
its work and goes, then the clause (D25).
"""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.terms import format_term, quote_atom
from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor import theoryview
from zactor.supervisor.forms import GONE, no_actor, reference_patterns, still
from zactor.supervisor.steps import Effect, Requirement, Step, Table, Transact, Wait
from zactor.supervisor.theoryview import ActorRow, TodoRow


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
        settled_by=GONE,
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
        settled_by=GONE,
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
        settled_by=GONE,
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
