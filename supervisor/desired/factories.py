"""Types of actors, as a file names them and as they are declared. Pure."""

from __future__ import annotations

from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.desired.comparison import Comparison, marked_name
from zactor.supervisor.desired.differences import short
from zactor.supervisor.kb import facts, orders, wishes


def compare_types(c: Comparison) -> None:
    """Add types, and change their code."""
    for each in c.wish.factories:
        kind, there = quote_atom(each.type), facts.factory(c.theory, each.type)
        fact = f"factory({kind}, {quote_atom(each.bundle)})"
        words = f"the code of {each.type} was declared anew"
        if there is None:
            different = f"\\+ (factory({kind}, B), B \\= {quote_atom(each.bundle)})"
            c.draft.require(different, words)
            c.draft.bring(fact)
            c.draft.row("+", "type", each.type, short(each.bundle))
        elif there != each.bundle:
            c.claim(wishes.factory_mark(each.type), f"type {each.type}")
            c.draft.require(f"factory({kind}, {quote_atom(there)})", words)
            c.draft.retract(f"factory({kind}, _)")
            c.draft.bring(fact)
            change = f"{short(there)} -> {short(each.bundle)}"
            c.draft.row("~", "type", each.type, change, old=there, new=each.bundle)
        else:
            c.draft.require(fact, words)
            c.as_is("type", each.type)
        c.mark(wishes.factory_mark(each.type))


def remove_types(c: Comparison) -> None:
    """Remove the types that the file made and no longer names, unless an actor needs them."""
    marked = sorted(thing for thing in c.mine if thing.startswith("factory("))
    for name in map(marked_name, marked):
        if name in c.bundles or not c.options.prune:
            continue
        c.draft.retract(wishes.mark_fact(c.wish.name, wishes.factory_mark(name)))
        users = [
            row.name
            for row in [*facts.actors(c.theory), *orders.all_lost(c.theory)]
            if row.type == name and row.name not in c.stops
        ]
        others = [n for n in c.owners[wishes.factory_mark(name)] if n != c.wish.name]
        if not (users or others) and facts.factory(c.theory, name) is not None:
            c.draft.retract(f"factory({quote_atom(name)}, _)")
            c.draft.row("-", "type", name, "no longer in the file, and no actor has it")
