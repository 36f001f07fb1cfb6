"""destroyActor as workflows, without and with a todo: see workflow.py. Pure.

Without a todo it is one transaction, which the actor's own node brings to its end, whoever dies.
With one it takes several steps: the clause is written first, then the references go, then the actor
finishes its work and goes, then the clause.
"""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import (
    TOO_LATE,
    Requirement,
    down_patterns,
    reference_patterns,
    still,
)
from zactor.supervisor.kb.facts import ActorRow, TodoRow
from zactor.supervisor.operations.workflow import (
    Effect,
    Step,
    Transact,
    Wait,
    Workflow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroy:
    """destroyActor without a todo: one transaction, which the actor's node brings to its end."""

    id: str
    name: str
    drain: str  # "", or "drain S": for how long it may go on working


def _drop(parameters: Destroy, theory: Theory) -> Effect:
    name = quote_atom(parameters.name)
    return Transact(
        id=parameters.id,
        why=f"destroyActor({parameters.name})",
        require=((f"actor({name}, _, _)", "NoSuchActor", orders.absent(theory, parameters.name)),),
        retract=(*reference_patterns(parameters.name), f"state({name}, _, _)"),
        assert_=(f"state({name}, stopping, {format_term(parameters.drain)})",),
    )


def _wait_for_its_end(parameters: Destroy, theory: Theory) -> Effect:
    def over(now: Theory) -> bool | None:
        row = facts.actor(now, parameters.name)
        return True if row is None or row.state != "stopping" else None

    return Wait(over=over)


DESTROY = Workflow("destroy", (Step("stop", _drop), Step("finish", _wait_for_its_end)))


# -- destroy with a todo ---------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyTodo:
    """destroyActor with a todo: whoever runs it, it is done once, and the clause goes last."""

    id: str  # of the clause, and of the transaction that writes it
    name: str
    drain: str
    owner: NodeId  # the life of a node that began
    assignee: str  # the node that goes on if that life ends
    remark: str = ""  # why it is no better one


def of_clause(row: TodoRow) -> DestroyTodo:
    """Return what the clause `row` asks for."""
    return DestroyTodo(
        id=row.id, name=row.name, drain=row.drain, owner=row.owner, assignee=row.assignee
    )


def _why(parameters: DestroyTodo) -> str:
    return f"destroyActor({parameters.name}, true) of {parameters.owner}"


def todo_fact(id: str, name: str, owner: str, assignee: str) -> str:
    """Return the clause as people read it."""
    parts = (quote_atom(id), f"destroy_actor({quote_atom(name)})", owner, assignee)
    return f"todo({', '.join(parts)})"


def _write(parameters: DestroyTodo, theory: Theory) -> Effect | None:
    if facts.todo(theory, parameters.id) is not None:
        return None
    name = quote_atom(parameters.name)
    fact = todo_fact(
        parameters.id,
        parameters.name,
        quote_atom(parameters.owner.name),
        quote_atom(parameters.assignee),
    )
    return Transact(
        id=parameters.id,
        why=f"{_why(parameters)}: {parameters.assignee} is to finish it{parameters.remark}",
        require=(
            (
                f"spec({name}, _, _, Deployment)",
                "NoSuchActor",
                orders.absent(theory, parameters.name),
            ),
            (
                f"\\+ todo(_, destroy_actor({name}), _, _)",
                "AlreadyExists",
                f"{parameters.name} is being destroyed already",
            ),
        ),
        assert_=(
            fact,
            f"errand({quote_atom(parameters.id)}, {parameters.owner.incarnation}, Deployment, "
            f"{format_term(parameters.drain)})",
        ),
    )


def _drop_references(parameters: DestroyTodo, theory: Theory) -> Effect | None:
    found = _target(parameters, theory)
    if found is None:
        return None
    _, row = found
    return Transact(
        why=f"{_why(parameters)}: no references to it any more",
        require=(still(row), _still_due(parameters)),
        retract=reference_patterns(parameters.name),
        settled_by=TOO_LATE,
    )


def _stop(parameters: DestroyTodo, theory: Theory) -> Effect | None:
    found = _target(parameters, theory)
    if found is None or _is_stopped(*found):
        return None
    _, row = found
    name = quote_atom(parameters.name)
    return Transact(
        why=f"{_why(parameters)}: it finishes its work",
        require=(still(row), _still_due(parameters)),
        retract=(*reference_patterns(parameters.name), f"state({name}, _, _)"),
        assert_=(f"state({name}, stopping, {format_term(parameters.drain)})",),
        settled_by=TOO_LATE,
    )


def _finish(parameters: DestroyTodo, theory: Theory) -> Effect:
    def over(now: Theory) -> bool | None:
        found = _target(parameters, now)
        if found is None or (_is_stopped(*found) and found[1].state == "failed"):
            return True
        return None

    return Wait(over=over)


def _clear(parameters: DestroyTodo, theory: Theory) -> Effect | None:
    clause = facts.todo(theory, parameters.id)
    if clause is None:
        return None
    id_ = quote_atom(parameters.id)
    lost = orders.lost(theory, parameters.name)
    if lost is not None and lost.deployment != clause.deployment:
        lost = None
    require, gone = [_still_due(parameters)], list[str]()
    if lost is not None:  # its node went meanwhile: it isn't wanted back
        require.append(orders.still_lost(lost))
        gone += [*orders.lost_patterns(lost.name), *down_patterns(lost.name)]
    return Transact(
        why=f"{_why(parameters)}: done",
        require=tuple(require),
        retract=(f"todo({id_}, _, _, _)", f"errand({id_}, _, _, _)", *gone),
        settled_by=TOO_LATE,
    )


def _still_due(parameters: DestroyTodo) -> Requirement:
    return (
        f"errand({quote_atom(parameters.id)}, _, _, _)",
        "NoSuchThing",
        f"todo {parameters.id} is done",
    )


def _target(parameters: DestroyTodo, theory: Theory) -> tuple[TodoRow, ActorRow] | None:
    """Return the clause and the very deployment that it is about, if both are still there."""
    clause = facts.todo(theory, parameters.id)
    row = facts.actor(theory, parameters.name)
    if clause is None or row is None or row.deployment != clause.deployment:
        return None
    return clause, row


def _is_stopped(clause: TodoRow, row: ActorRow) -> bool:
    """Whether it was told to stop for this clause: by whoever ran it first."""
    return row.state in ("stopping", "failed") and row.since > clause.since


DESTROY_TODO = Workflow(
    "destroy_todo",
    (
        Step("write", _write),
        Step("unwire", _drop_references),
        Step("stop", _stop),
        Step("finish", _finish),
        Step("clear", _clear),
    ),
)
