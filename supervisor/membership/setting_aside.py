"""Setting aside: an actor is told to stop, its wires go down, and it is lost when it has. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.supervisor.kb import facts, node_marks, orders, policies
from zactor.supervisor.kb.fact_patterns import Requirement, actor_patterns, still
from zactor.supervisor.kb.facts import ActorRow, WireRow
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.membership.departures import Sweep


def as_it_is(row: ActorRow) -> tuple[Requirement, ...]:
    """Return the requirements that an actor is still in the state that it was seen in."""
    state = f"state({quote_atom(row.name)}, {row.state}, _)"
    return still(row), (state, "NoSuchThing", f"{row.name} isn't {row.state}")


def stopping(theory: Theory, row: ActorRow, drain_s: float | None) -> str:
    """Return the fact that an actor is to stop; None: it has the time that its policy gives."""
    policy = policies.policy(theory, row.name) or Policy()
    words = f"drain {policy.drain_s if drain_s is None else drain_s:g}"
    return f"state({quote_atom(row.name)}, stopping, {format_term(words)})"


def set_aside(
    theory: Theory,
    rows: Sequence[ActorRow],
    *,
    why: str,
    require: Requirement,
    drain_s: float | None = None,
) -> Sweep:
    """Return how these are told to stop; one that has failed is lost at once."""
    wires: dict[WireRow, None] = {}
    for row in rows:
        wires |= dict.fromkeys(facts.wires(theory, reactor=row.name))
        wires |= dict.fromkeys(facts.wires(theory, emitter=row.name))
    up = [orders.wire_fact("reacts", wire) for wire in wires]
    needed = [require, *((fact, "NoSuchThing", f"{fact} went") for fact in up)]
    retract, assert_ = list(up), [orders.wire_fact("down", wire) for wire in wires]
    for row in rows:
        needed += as_it_is(row)
        if row.state == "failed":  # nothing runs
            retract += actor_patterns(row.name)
            assert_ += orders.lost_facts(row, 0, why)
            continue
        was_aside = node_marks.aside(theory, row.name) is not None
        retract += [f"state({quote_atom(row.name)}, _, _)", node_marks.aside_pattern(row.name)]
        assert_.append(stopping(theory, row, drain_s))
        if row.state != "stopping" or was_aside:  # else somebody destroys it
            assert_.append(node_marks.aside_fact(row.name, why))
    names = ", ".join(row.name for row in rows[:5])
    return Sweep(
        why=f"because {why}: {names} stop{'s' * (len(rows) == 1)}",
        require=tuple(needed),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )
