"""What `zactor nodes`, `ps`, `wires`, `status`, `doctor` and the like show: rows of plain data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zactor.kernel import limits
from zactor.kernel.errors import NoSuchThing, ZactorError
from zactor.kernel.groups.names import RESERVED
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Term
from zactor.kernel.knowledge.writer import format_term, text_of, to_json
from zactor.kernel.messages.operations import Inspect
from zactor.supervisor.kb import facts as theory_facts
from zactor.supervisor.kb import provenance
from zactor.supervisor.membership.members import is_there

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

Rows = list[dict[str, Any]]

BUSY_S = 10.0  # an action under way for longer is worth a word
FRESH_S = 1.0  # a change younger than this may not be everywhere yet

KNOWLEDGE = frozenset({"nodes", "actors", "wires", "factories", "facts", "why", "log"})
"""What is the same at all members: who looks sees all that was decided before (K6)."""


def _is_refusal(counter: str) -> bool:
    return "refused" in counter or "failed" in counter


async def look(node: Node, what: str, argument: str, *, everywhere: bool) -> object:
    """Return the rows of `what`; with `everywhere`, what each node knows alone is put together.

    Raises:
        NoSuchThing: there is nothing so called to look at.
    """
    match what:
        case "nodes":
            return nodes(node)
        case "actors":
            return actors(node)
        case "wires":
            return wires(node)
        case "factories":
            found = theory_facts.factories(node.kb.theory)
            return [{"type": name, "bundle": bundle} for name, bundle in found.items()]
        case "facts":
            return facts_at(node, argument) if argument else facts(node)
        case "why":
            return provenance.why(argument, node.kb.theory, node.kb.history())
        case "log":
            return node.kb.history()
        case "status":
            return status(node)
        case "deadletters":
            rows = node.journal.dead_letters()
            return rows if not everywhere else await _gather(node, what, rows)
        case "runtime":
            rows = [{"node": node.me.name, **row} for row in node.runtime.look()]
            return rows if not everywhere else await _gather(node, what, rows)
        case "doctor":
            rows = doctor(node)
            return rows if not everywhere else await _gather(node, what, rows)
        case "groups":
            return groups(node)
        case "group":
            return group_members(node, argument)
        case "bundle":
            return {"held": node.store.held(argument), "complete": node.store.has(argument)}
    raise NoSuchThing(f"there is nothing called {what!r} to look at")


async def _gather(node: Node, what: str, own: Rows) -> Rows:
    """Return `own` and the same of every other node that answers in time."""
    peers = node.members.peers()
    answers = await asyncio.gather(
        *(node.calls.ask(peer, Inspect(what, ""), limits.HELLO_MS / 1000) for peer in peers),
        return_exceptions=True,
    )
    rows = list(own)
    for peer, answer in zip(peers, answers, strict=True):
        if isinstance(answer, ZactorError):
            node.journal.record("look_failed", peer=peer.node.name, what=what, why=str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            rows += answer
    return sorted(rows, key=lambda row: (row.get("at", 0), row.get("node", "")))


def nodes(node: Node) -> Rows:
    """Return every node that is known: configured, and waiting for a name."""
    theory = node.kb.theory
    hosted = [row.node for row in theory_facts.actors(theory)]
    rows: Rows = []
    for row in theory_facts.nodes(theory).values():
        peer = node.members.peer(row.name)
        mine = row.name == node.me.name
        known = node.hub.hello() if mine else peer.hello if peer else None
        clock = node.kb.clock if mine else node.members.clocks.get(row.name, (0, 0))
        rows.append(
            {
                "name": row.name,
                "role": known.role if known else "",
                "state": _state(node, row.name) if known else "unreachable",
                "address": row.address,
                "incarnation": row.incarnation,
                "actors": hosted.count(row.name),
                "clock": list(clock),
            }
        )
    for endpoint in node.requests.waiting_endpoints():
        rows.append(
            {
                "name": "",
                "role": "node",
                "state": "unconfigured",
                "address": endpoint.removeprefix("tcp://"),
                "incarnation": 0,
                "actors": 0,
                "clock": [0, 0],
            }
        )
    return rows


def _state(node: Node, name: str) -> str:
    return "stuck" if name in node.members.stuck else "up"


def actors(node: Node) -> Rows:
    """Return every actor, by name; one whose node is out of sight is "unreachable".

    The primary forgets those. Elsewhere nobody can know whether they run.
    """
    there = node.members.roles()
    rows = []
    for row in theory_facts.actors(node.kb.theory):
        is_there = row.node in there
        rows.append(
            {
                "name": row.name,
                "type": row.type,
                "node": row.node,
                "state": row.state if is_there else "unreachable",
                "reason": row.reason if is_there else f"node {row.node} is out of sight",
                "bundle": row.bundle,
                "uid": row.uid,
            }
        )
    return rows


def wires(node: Node) -> Rows:
    """Return every interaction."""
    return [
        {
            "emitter": wire.emitter,
            "action": wire.action,
            "reactor": wire.reactor,
            "service": wire.service.value,
        }
        for wire in theory_facts.wires(node.kb.theory)
    ]


def groups(node: Node) -> Rows:
    """Return every process group that programs use, by name."""
    names = [name for name in node.groups.names() if not name.startswith(RESERVED)]
    return [{"group": name, "members": len(node.groups.members(name))} for name in names]


def group_members(node: Node, group: str) -> Rows:
    """Return the members of a group, in its order.

    Raises:
        NoSuchThing: it has none, and so isn't there.
    """
    members = node.groups.members(group)
    if not members:
        raise NoSuchThing(f"there is no group {group!r}: `zactor group` shows which there are")
    return [
        {"member": str(member), "session": member.session, "node": member.node.name}
        for member in members
    ]


def facts(node: Node) -> Rows:
    """Return every fact, as a text and in parts."""
    rows = [_fact(fact.term, fact.clock) for fact in node.kb.theory]
    return sorted(rows, key=lambda row: str(row["fact"]))


def facts_at(node: Node, clock: str) -> Rows:
    """Return every fact as it was at a clock, like `facts`; its own clock may be None.

    Raises:
        NoSuchThing: the clock hasn't come yet, or is older than what is kept here.
    """
    kb = node.kb
    when = provenance.read_clock(clock)
    found = provenance.facts_at(when, kb.clock, kb.theory, kb.history())
    return [_fact(parse_term(text), came) for text, came in found.items()]


def _fact(term: Term, clock: Clock | None) -> dict[str, Any]:
    return {
        "fact": format_term(term),
        "functor": getattr(term, "functor", text_of(term)),
        "args": [to_json(argument) for argument in theory_facts.arguments_of(term)],
        "clock": None if clock is None else list(clock),
    }


def status(node: Node) -> dict[str, Any]:
    """Return one page about the cluster as this node sees it."""
    theory = node.kb.theory
    rows = nodes(node)
    all_actors = theory_facts.actors(theory)
    troubles = [f"{row.name} failed: {row.reason}" for row in all_actors if row.state == "failed"]
    troubles += [
        f"{todo.name} is being destroyed for {todo.owner}, which is gone: {todo.assignee} finishes"
        for todo in theory_facts.todos(theory)
        if not is_there(todo.owner, node.members.roles())
    ]
    if node.kb.is_settled and (why := node.kb.why_not()):
        old = f"the facts are those of {node.kb.clock}, {node.kb.age_s():.0f} s old"
        troubles += [f"no changes are taken here: {why}", old]
    troubles += [
        f"node {row['name']} is {row['state']}"
        for row in rows
        if row["state"] in ("unreachable", "stuck")
    ]
    return {
        "cluster": node.hub.keys.cluster,
        "node": node.me.name,
        "primary": list(node.kb.primary),
        "clock": list(node.kb.clock),
        "view": str(node.groups.view.id),
        "members": [str(member) for member in node.groups.view.members],
        "nodes": len([row for row in rows if row["state"] in ("up", "stuck")]),
        "unconfigured": len([row for row in rows if row["state"] == "unconfigured"]),
        "actors": len(all_actors),
        "running": len([row for row in all_actors if row.state == "running"]),
        "wires": len(theory_facts.wires(theory)),
        "under_way": under_way(theory),
        "dead_letters": node.journal.dead_count,
        "failed_actions": node.journal.failures,
        "degraded": bool(troubles),
        "troubles": troubles,
    }


def under_way(theory: Theory) -> list[str]:
    """Return what was begun and isn't at its end, each in words."""
    promised = {todo.name: todo for todo in theory_facts.todos(theory)}
    found = [
        f"{todo.name} is being destroyed for {todo.owner}, and {todo.assignee} watches"
        for todo in promised.values()
    ]
    for row in theory_facts.actors(theory):
        if row.state == "starting":
            found.append(f"{row.name} starts on {row.node}")
        elif row.state == "stopping" and row.name not in promised:
            found.append(f"{row.name} is being destroyed and finishes its work on {row.node}")
    return sorted(found)


def doctor(node: Node) -> Rows:
    """Return the checks of this node, each with what was found."""
    clock, why_not = tuple(node.kb.clock), node.kb.why_not()
    behind = sorted(name for name, there in node.members.clocks.items() if there != clock)
    refused = node.hub.refusals()
    frames = node.hub.counters()
    long = [row for row in node.runtime.look() if row["busy_s"] > BUSY_S]
    rows: Rows = [
        {
            "check": "actors",
            "ok": not long,
            "detail": "; ".join(
                f"{row['name']} has been busy in {row['action']} for {row['busy_s']:.0f} s"
                " (destroy --drain S ends it)"
                for row in long
            )
            or "none is busy for long",
        },
        {
            "check": "knowledge base",
            "ok": not why_not and (not behind or node.kb.quiet_s() < FRESH_S),
            "detail": f"clock {node.kb.clock}"
            + (f"; not at the same place: {', '.join(behind)}" if behind else "")
            + (f"; no changes are taken: {why_not}" if why_not else ""),
        },
        {
            "check": "loop",
            "ok": node.members.lag_ms < limits.GROUP_SILENCE_MS_MIN // 2,
            "detail": f"{node.members.lag_ms} ms late",
        },
        {
            "check": "links",
            "ok": all(peer.connected for peer in node.hub.peers.values()),
            "detail": ", ".join(
                f"{name}: {peer.backlog} waiting" for name, peer in sorted(node.hub.peers.items())
            )
            or "none",
        },
        {
            "check": "refused",
            "ok": not any(count for name, count in refused.items() if _is_refusal(name)),
            "detail": ", ".join(f"{name} {count}" for name, count in refused.items()),
        },
        {
            "check": "frames",
            "ok": not frames["frames_refused"],
            "detail": ", ".join(f"{name} {count}" for name, count in frames.items()),
        },
    ]
    return [{"node": node.me.name, **row} for row in rows]
