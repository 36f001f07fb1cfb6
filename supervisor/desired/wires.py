"""Wires, as a file wants them and as they are. Pure."""

from __future__ import annotations

from zactor.kernel.ids import spoken_wire
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.desired.comparison import Comparison
from zactor.supervisor.kb import facts, orders, wishes
from zactor.supervisor.kb.facts import WireRow
from zactor.supervisor.kb.wishes import WishedWire


def compare_wires(c: Comparison) -> None:
    """Add, change and remove wires."""
    up = {(w.reactor, w.emitter, w.action): w for w in facts.wires(c.theory)}
    down = {(w.reactor, w.emitter, w.action): w for w, _ in orders.down(c.theory)}
    wished = {(w.reactor, w.emitter, w.action): w for w in c.wish.wires}
    for key, wire in wished.items():
        there, functor = (up.get(key), "reacts") if key in up else (down.get(key), "down")
        _wire(c, wire, there, functor)
    marked = sorted(thing for thing in c.mine if thing.startswith("reacts("))
    for thing in marked:
        for key, there in (up | down).items():
            if key not in wished and wishes.wire_mark(*key) == thing:
                _unwire(c, there, "reacts" if key in up else "down")
        if thing not in {wishes.wire_mark(*key) for key in wished} and c.options.prune:
            c.draft.retract(wishes.mark_fact(c.wish.name, thing))


def _wire(c: Comparison, wire: WishedWire, there: WireRow | None, functor: str) -> None:
    key = (wire.reactor, wire.emitter, wire.action)
    thing, said = wishes.wire_mark(*key), spoken_wire(wire.emitter, wire.action, wire.reactor)
    c.claim(thing, f"wire {said}")
    parts = ", ".join(map(quote_atom, key))
    before = c.meanwhile.get(key, "")
    if there is not None and (there.service.value, before) == (wire.service, wire.meanwhile):
        c.draft.require(f"{functor}({parts}, {wire.service})", f"wire {said} was changed meanwhile")
        _change_meanwhile(c, key, said, wire.meanwhile)
        if thing in c.mine or c.options.adopt:
            c.mark(thing)
        c.as_is("wire", said)
        return
    if lacking := _lacking(c, wire):
        c.draft.row("x", "wire", said, f"there is no actor {lacking}")
        return
    wanted = f"{wire.service} {wire.meanwhile}".rstrip()
    if there is None:
        # With a lost end it goes up when both run (R5).
        is_down = any(orders.lost(c.theory, end) for end in (wire.emitter, wire.reactor))
        made = "down" if is_down else "reacts"
        c.draft.require(f"\\+ {made}({parts}, _)", f"wire {said} was made meanwhile")
        c.draft.row("+", "wire", said, wanted)
        c.draft.bring(f"{made}({parts}, {wire.service})")
        c.wired.append(wire)
        _change_meanwhile(c, key, said, wire.meanwhile)
        c.mark(thing)
        return
    service = there.service.value
    is_now = f"{service} {before}".rstrip()
    if thing not in c.mine and not c.options.adopt:
        words = f"{is_now}, not {wanted}: made by hand, left alone (--adopt)"
        c.draft.row("!", "wire", said, words, differs=True)
        return
    c.draft.require(f"{functor}({parts}, {service})", f"wire {said} was changed meanwhile")
    c.draft.row("~", "wire", said, f"{is_now} -> {wanted}", old=is_now, new=wanted)
    if service != wire.service:
        c.draft.retract(f"{functor}({parts}, _)")
        c.draft.bring(f"{functor}({parts}, {wire.service})")
        c.wired.append(wire)
    _change_meanwhile(c, key, said, wire.meanwhile)
    c.mark(thing)


def _change_meanwhile(c: Comparison, key: tuple[str, str, str], said: str, wanted: str) -> None:
    before, words = c.meanwhile.get(key, ""), f"wire {said} was changed meanwhile"
    if before:
        c.draft.require(facts.meanwhile_fact(*key, before), words)
    elif wanted:
        c.draft.require(f"\\+ {facts.meanwhile_fact(*key, '_')}", words)
    if before != wanted:
        if before:
            c.draft.retract(facts.meanwhile_fact(*key, "_"))
        if wanted:
            c.draft.bring(facts.meanwhile_fact(*key, wanted))


def _lacking(c: Comparison, wire: WishedWire) -> str:
    wished = {actor.name for actor in c.wish.actors}
    for name in (wire.emitter, wire.reactor):
        is_there = facts.actor(c.theory, name) is not None and name not in c.stops
        if name not in wished and not is_there:
            return name
        if name not in wished:
            actor = quote_atom(name)
            c.draft.require(f"actor({actor}, _, _)", f"{name} is gone")
    return ""


def _unwire(c: Comparison, there: WireRow, functor: str) -> None:
    said = spoken_wire(there.emitter, there.action, there.reactor)
    if not c.options.prune:
        c.draft.row("!", "wire", said, "no longer in the file, stays (--no-prune)")
        return
    gone = [name for name in (there.emitter, there.reactor) if name in c.stops]
    words = f"goes with {gone[0]}" if gone else "no longer in the file, which made it"
    c.draft.row("-", "wire", said, words)
    if not gone:
        parts = ", ".join(map(quote_atom, (there.reactor, there.emitter, there.action)))
        c.draft.require(
            f"{functor}({parts}, {there.service.value})", f"wire {said} was changed meanwhile"
        )
        key = (there.reactor, there.emitter, there.action)
        c.draft.retract(f"{functor}({parts}, _)", facts.meanwhile_fact(*key, "_"))
