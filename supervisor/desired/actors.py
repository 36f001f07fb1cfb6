"""Actors, as a file wants them and as they are: what is added, changed, removed. Pure."""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.errors import Refused
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.supervisor.desired.comparison import Comparison, marked_name, wires_of
from zactor.supervisor.desired.differences import differences, policy_words, row_fact
from zactor.supervisor.kb import facts, node_marks, orders, policies, wishes
from zactor.supervisor.kb.fact_patterns import actor_patterns, reference_patterns, still
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Policy, Successor
from zactor.supervisor.kb.wishes import WishedActor

FEW = 4  # things; of so many or more not over half is removed without a word for it


def compare_actor(c: Comparison, actor: WishedActor) -> None:
    """Add or change an actor, or leave it."""
    thing = wishes.actor_mark(actor.name)
    c.claim(thing, f"actor {actor.name}")
    row, lost = facts.actor(c.theory, actor.name), orders.lost(c.theory, actor.name)
    if row is not None:
        c.draft.require(*still(row)[::2])
        c.draft.require(row_fact(row), f"{actor.name} isn't on {row.node} any more")
    else:
        name = quote_atom(actor.name)
        c.draft.require(f"\\+ actor({name}, _, _)", f"{actor.name} was deployed meanwhile")
    bundle = c.bundles.get(actor.type) or facts.factory(c.theory, actor.type)
    if bundle is None:
        c.draft.row("x", "actor", actor.name, f"there is no type {actor.type}")
    elif row is None:
        _begin(c, actor, bundle, lost)
    elif row.name not in map(marked_name, c.mine) and not c.options.adopt:
        _hand_made(c, actor, row, bundle)
    else:
        _compare(c, actor, row, bundle)


def _place(c: Comparison, actor: WishedActor) -> str:
    """Return the node for it, "" if none of those that it may run on is there."""
    there = [node for node in actor.on if node in c.hosts]
    if not there:
        known = ", ".join(c.hosts) or "none"
        wanted = " or ".join(actor.on)
        drained = [node for node in actor.on if node_marks.is_drained(c.theory, node)]
        hint = f"; {node_marks.drained_words(drained[0])}" if drained else ""
        c.draft.row("x", "actor", actor.name, f"no node {wanted} (there are: {known}){hint}")
        return ""
    node = quote_atom(there[0])
    c.draft.require(f"node({node}, _)", f"node {there[0]} is gone")
    return there[0]


def _begin(c: Comparison, actor: WishedActor, bundle: str, lost: LostRow | None) -> None:
    if lost is not None and not set(actor.on) & set(c.hosts) and _waits(c, actor, lost):
        return
    waiting = policies.successor(c.theory, actor.name) if lost is not None else None
    if waiting is not None and _is_wanted(waiting, actor, bundle):
        _keep_policy(c, actor, policies.policy(c.theory, actor.name))
        c.mark(wishes.actor_mark(actor.name))
        c.as_is("actor", actor.name)
        return
    node = _place(c, actor)
    if not node:
        return
    draft, said = c.draft, f"{actor.type} on {node}"
    new = _follow(c, actor, bundle, node)
    if lost is not None:  # the acting node places it, when it can't run where it was any more
        draft.require(orders.still_lost(lost)[0], f"{actor.name} isn't lost any more")
        draft.retract(policies.next_pattern(actor.name))
        draft.bring(new.fact())
        said += f"; it was lost with {lost.node}, and begins when it can't run there any more"
    else:
        draft.bring(*new.begins(_policy(c, actor)))
    _keep_policy(c, actor, policies.policy(c.theory, actor.name))
    c.mark(wishes.actor_mark(actor.name))
    draft.row("+", "actor", actor.name, said, new=actor.arguments)


def _waits(c: Comparison, actor: WishedActor, lost: LostRow) -> bool:
    """Say, of an actor that is brought back with its node, that it waits; whether it does."""
    if actor.each:
        c.as_is("actor", actor.name)
        return True
    is_same = (lost.type, lost.arguments) == (actor.type, actor.arguments)
    if not (is_same and c.wish.keep and lost.node in actor.on):
        return False
    c.draft.require(orders.still_lost(lost)[0], f"{actor.name} isn't lost any more")
    _keep_policy(c, actor, policies.policy(c.theory, actor.name))
    c.mark(wishes.actor_mark(actor.name))
    words = f"{actor.type} on {lost.node}: lost, and back when {' or '.join(actor.on)} is there"
    drained = next((node for node in actor.on if node_marks.is_drained(c.theory, node)), "")
    hint = f"; {node_marks.drained_words(drained)}" if drained else ""
    c.draft.row("!", "actor", actor.name, words + hint, differs=True)
    return True


def _is_wanted(new: Successor, actor: WishedActor, bundle: str) -> bool:
    """Whether who follows a lost actor is what the file says."""
    wanted = (actor.type, bundle, actor.arguments)
    return new.node in actor.on and (new.type, new.bundle, new.arguments) == wanted


def _follow(c: Comparison, actor: WishedActor, bundle: str, node: str) -> Successor:
    new = Successor(
        name=actor.name,
        type=actor.type,
        node=node,
        bundle=bundle,
        arguments=actor.arguments,
        deployment=f"{c.id} {actor.name}",
    )
    c.successors.append(new)
    return new


def _compare(c: Comparison, actor: WishedActor, row: ActorRow, bundle: str) -> None:
    changes = differences(actor, row, bundle)
    c.mark(wishes.actor_mark(actor.name))
    known = policies.policy(c.theory, actor.name)
    wanted = _policy(c, actor)
    if not changes:
        _keep_policy(c, actor, known)
        if known is not None and known != wanted:
            c.draft.row("~", "actor", actor.name, policy_words(known, wanted))
        else:
            c.as_is("actor", actor.name)
        return
    node = row.node if row.node in actor.on else _place(c, actor)
    if not node:
        return
    _keep_policy(c, actor, known)
    words = "; ".join(changes)
    wires = wires_of(c.theory, actor.name)
    many = f", its {len(wires)} wires stay"
    stay = many if len(wires) > 1 else ", its wire stays" * len(wires)
    words = f"{actor.type} on {row.node}: {words}; it restarts{stay}"
    c.draft.row("~", "actor", actor.name, words, old=row.arguments, new=actor.arguments)
    _replace(c, actor, row, bundle, node)


def _replace(c: Comparison, actor: WishedActor, row: ActorRow, bundle: str, node: str) -> None:
    new = _follow(c, actor, bundle, node)
    name = quote_atom(actor.name)
    if row.state == "failed":  # nothing runs that would have to stop first
        c.draft.require(f"state({name}, failed, _)", f"{actor.name} isn't failed any more")
        c.draft.retract(*actor_patterns(actor.name))
        c.draft.bring(*new.begins(_policy(c, actor)))
        return
    c.draft.retract(f"state({name}, _, _)", policies.next_pattern(actor.name))
    drain = format_term(f"drain {actor.drain_s:g}")
    c.draft.bring(f"state({name}, stopping, {drain})", new.fact())


def _hand_made(c: Comparison, actor: WishedActor, row: ActorRow, bundle: str) -> None:
    changes = differences(actor, row, bundle)
    if not changes:
        c.as_is("actor", actor.name)
        return
    made = f"made by hand{_by_whom(c.theory, row)}, left alone (--adopt takes it over)"
    words = f"{row.type} on {row.node}: {'; '.join(changes)}; {made}"
    c.draft.row("!", "actor", actor.name, words, differs=True)


def _by_whom(theory: Theory, row: ActorRow) -> str:
    for fact in theory.facts("actor", 3, Atom(row.name)):
        return f" by {fact.who}"
    return ""


def _policy(c: Comparison, actor: WishedActor) -> Policy:
    return Policy(
        restart=actor.restart,
        intensity=actor.intensity,
        drain_s=actor.drain_s,
        on=actor.on if c.wish.keep else (),
    )


def _keep_policy(c: Comparison, actor: WishedActor, known: Policy | None) -> None:
    wanted = _policy(c, actor)
    if wanted != known:
        if known is not None:
            c.draft.retract(policies.policy_pattern(actor.name))
        c.draft.bring(wanted.fact(actor.name))


def remove_actor(c: Comparison, name: str) -> None:
    """Remove an actor that the file made and no longer names."""
    row, lost = facts.actor(c.theory, name), orders.lost(c.theory, name)
    draft, mark = c.draft, wishes.mark_fact(c.wish.name, wishes.actor_mark(name))
    if not c.options.prune:
        if row is not None or lost is not None:
            draft.row("!", "actor", name, "no longer in the file, stays (--no-prune)")
        return
    draft.retract(mark, policies.policy_pattern(name))
    if lost is not None:
        draft.require(orders.still_lost(lost)[0], f"{name} isn't lost any more")
        draft.retract(*orders.lost_patterns(name), *reference_patterns(name))
        draft.row("-", "actor", name, "no longer in the file, which made it; it is lost")
    elif row is not None:
        drain = (policies.policy(c.theory, name) or Policy()).drain_s
        draft.require(*still(row)[::2])
        draft.retract(
            f"state({quote_atom(name)}, _, _)",
            policies.next_pattern(name),
            *reference_patterns(name),
        )
        stopping = format_term(f"drain {drain:g}")
        draft.bring(f"state({quote_atom(name)}, stopping, {stopping})")
        words = f"{row.type} on {row.node}: no longer in the file, which made it"
        draft.row("-", "actor", name, f"{words}; drains for {drain:g} s")
        c.stops.append(name)


def guard(c: Comparison, owned: int) -> None:
    """Raise Refused where more than half of what a file made would be removed."""
    removed = [row for row in c.draft.rows if row.kind == "actor" and row.sign == "-"]
    if owned >= FEW and 2 * len(removed) > owned and not c.options.remove_all:
        raise Refused(
            f"{len(removed)} of the {owned} actors that {c.wish.name} made would be removed:"
            " --remove-all does that"
        )


def tell_of_strangers(c: Comparison, wished: Collection[str]) -> None:
    """Tell of actors that no file made."""
    for row in facts.actors(c.theory):
        if row.name not in wished and wishes.actor_mark(row.name) not in c.owners:
            words = f"{row.type} on {row.node}: made by hand{_by_whom(c.theory, row)}, left alone"
            c.draft.row("!", "actor", row.name, words)
