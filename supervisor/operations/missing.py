"""What was ordered and isn't there, as rows of reports and as sentences."""

from __future__ import annotations

import time

from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.kb import facts, node_marks, orders, policies, restart_groups
from zactor.supervisor.kb.orders import GoneRow, LostRow
from zactor.supervisor.membership.members import out_of_reach
from zactor.supervisor.operations.report_rows import ActorReport, NodeReport, WireReport

SENTENCES_MAX = 100  # about actors; a person reads no more, `zactor ps` has all
WIRES_SHOWN = 5


def gone_nodes(theory: Theory) -> list[NodeReport]:
    """Return the nodes that went without a goodbye."""
    return [
        NodeReport(
            name=row.name,
            role="",
            state="gone",
            address="",
            incarnation=row.life,
            actors=0,
            clock=(0, 0),
            since=row.at,
        )
        for row in orders.gone(theory)
    ]


def lost_actors(theory: Theory) -> list[ActorReport]:
    """Return the actors that went with their nodes."""
    return [ActorReport.of(row) for row in orders.all_lost(theory)]


def down_wires(theory: Theory) -> list[WireReport]:
    """Return the wires of which an end isn't there."""
    held = facts.meanwhile(theory)
    return [WireReport.of(wire, at, "down", held) for wire, at in orders.down(theory)]


def sentences(theory: Theory) -> list[str]:
    """Return a sentence for each thing that was ordered and isn't there, and how that ends."""
    found = [
        _of_node(row) + (" with what was lost with it" * bool(orders.all_lost(theory, row.name)))
        for row in orders.gone(theory)
    ]
    actors = orders.all_lost(theory)
    found += [_of_actor(theory, row) for row in actors[:SENTENCES_MAX]]
    if len(actors) > SENTENCES_MAX:
        found.append(f"{len(actors) - SENTENCES_MAX} more actors are lost: `zactor restore --all`")
    if wires := orders.down(theory):
        shown = [f"{row.emitter}.{row.action} -> {row.reactor}" for row, _ in wires[:WIRES_SHOWN]]
        more = [f"{len(wires) - WIRES_SHOWN} more"] if len(wires) > WIRES_SHOWN else []
        many = "1 wire is" if len(wires) == 1 else f"{len(wires)} wires are"
        found.append(
            f"{many} down until both ends run (`zactor restore --all`):"
            f" {', '.join([*shown, *more])}"
        )
    return found


def _of_actor(theory: Theory, row: LostRow) -> str:
    lost = f"{row.name} was lost with {row.node} at {_moment(row.at)}"
    may_run = row.life and row.reason == out_of_reach(row.node) and not row.yields
    if may_run and (
        policies.may_leave(theory, row.name, row.node) or policies.successor(theory, row.name)
    ):
        return (
            f"{lost}, which may run it still, for it hasn't heard that it may run elsewhere:"
            f" it waits for {row.node}; `zactor restore {row.name} --on NODE` if that has ended"
        )
    if not row.life:  # it was told to stop
        lost = f"{row.name} was stopped on {row.node} at {_moment(row.at)} ({row.reason})"
    if row.name in restart_groups.under_way(theory):
        return f"{lost}: its group is being restarted"
    if node_marks.is_drained(theory, row.node):
        return f"{lost}: `zactor resume {row.node}`, or `zactor restore {row.name} --on NODE`"
    policy = policies.policy(theory, row.name)
    if policy is not None and policy.on:
        nodes = " or ".join(policy.on)
        return (
            f"{lost}: it is back as soon as it may run on {nodes};"
            f" on another: `zactor restore {row.name} --on NODE`"
        )
    return f"{lost}: `zactor restore {row.name}`"


def _of_node(row: GoneRow) -> str:
    since = _moment(row.at)
    if row.why == out_of_reach(row.name):
        return (
            f"node {row.name} is out of reach since {since}: it is back when it is reached again;"
            f" if it has ended, start it again, or `zactor forget {row.name}`"
        )
    return (
        f"node {row.name} is gone since {since} ({row.why}): start it again, or"
        f" `zactor forget {row.name}`"
    )


def _moment(at: float) -> str:
    """Return a wall clock time as this machine's people read it; of today only the hours."""
    when, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if when[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", when)
