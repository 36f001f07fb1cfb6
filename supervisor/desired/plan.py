"""The plan: what would make the network as a file wants it. Pure: wish and theory → rows, changes.

Each row is for people; the changes of all rows are one transaction, which requires every fact that
was looked at here. Nothing to do is a plan without changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

import msgspec

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import check_name, check_wire_name, spoken_wire
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.kernel.messages.service import Service
from zactor.supervisor.desired.actors import (
    compare_actor,
    guard,
    remove_actor,
    tell_of_strangers,
)
from zactor.supervisor.desired.comparison import Comparison, PlanOptions, marked_name
from zactor.supervisor.desired.draft import PlanRow, Transaction
from zactor.supervisor.desired.factories import compare_types, remove_types
from zactor.supervisor.desired.groups import check_groups, compare_groups
from zactor.supervisor.desired.wires import compare_wires
from zactor.supervisor.kb import expansion, node_marks, policies, wishes
from zactor.supervisor.kb.expansion import NODE, expanded
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedWire


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    wish: Wish
    rows: tuple[PlanRow, ...]
    transaction: Transaction
    successors: tuple[Successor, ...]  # actors that are started, or started anew
    wired: tuple[WishedWire, ...]  # wires that are made, or made anew
    stops: tuple[str, ...]  # names of actors that are removed
    same: int  # things that are as they should be
    scope: tuple[str, ...]  # names of actors and types that it is about
    digest: str  # of all that it would do; another plan has another

    @property
    def starts(self) -> list[str]:
        """The names of those actors."""
        return [new.name for new in self.successors]

    @property
    def problems(self) -> list[PlanRow]:
        """What can't be done."""
        return [row for row in self.rows if row.sign == "x"]

    @property
    def differs(self) -> bool:
        """Whether anything isn't as the file wants it."""
        return any(row.sign in "+~-x" or row.differs for row in self.rows)


def make_plan(
    wish: Wish, theory: Theory, hosts: Collection[str], options: PlanOptions, id: str
) -> Plan:
    """Compare `wish` with `theory`.

    Args:
        hosts: names of the nodes on which actors may run.
        id: of the request: unique; deployments are called by it.

    Raises:
        ConfigError: the wish contradicts itself. Refused: another file claims a thing of it, or
            too much would be removed.
    """
    check_wish(wish)
    c = Comparison(expanded(wish, theory, hosts), theory, sorted(hosts), options, id)
    wished = {actor.name for actor in c.wish.actors}
    mine = sorted(marked_name(thing) for thing in c.mine if thing.startswith("actor("))
    _compare_wishes(c, wish)
    _note_made(c)
    compare_types(c)
    for actor in c.wish.actors:
        compare_actor(c, actor)
    for name in mine:
        if name not in wished:
            remove_actor(c, name)
    guard(c, len(mine))
    compare_groups(c)
    compare_wires(c)
    remove_types(c)
    tell_of_strangers(c, wished)
    return _whole(c)


def check_wish(wish: Wish) -> None:
    """Raise ConfigError where a wish contradicts itself, or has a name that is none."""
    check_name("wish", wish.name)
    _once("type", [each.type for each in wish.factories])
    _once("actor", [each.name for each in wish.actors])
    _once("group", [each.name for each in wish.groups])
    _once("wire", [spoken_wire(w.emitter, w.action, w.reactor) for w in wish.wires])
    for actor in wish.actors:
        check_name("actor", actor.name.replace(NODE, "n") if actor.each else actor.name)
        check_name("type of actor", actor.type)
        policies.check_restart(actor.restart)
        policies.check_intensity(actor.intensity)
        if actor.each:
            _check_each(actor)
        elif not 0 < len(actor.on) <= policies.ON_MAX:
            raise ConfigError(f"{actor.name} has {len(actor.on)} nodes: want 1 to 64")
        if not 0 <= actor.drain_s < 1e6:
            raise ConfigError(f"{actor.name} drains for {actor.drain_s} s: want 0 or more")
    check_groups(wish)
    for wire in wish.wires:
        if check_wire_name(wire.action) != wire.action:
            raise ConfigError(f"{wire.action} of {wire.emitter} is {check_wire_name(wire.action)}")
        how = Meanwhile.parse(wire.meanwhile)
        if how is not None:
            how.check(Service.parse(wire.service))
        if str(how or "") != wire.meanwhile:
            raise ConfigError(f"{wire.meanwhile!r} of a wire of {wire.reactor} is written {how}")


def _check_each(actor: WishedActor) -> None:
    node_marks.read_label(actor.each)
    if NODE not in actor.name or actor.on:
        raise ConfigError(
            f"{actor.name} is to be on each {actor.each}: want {NODE} in its name, and no node"
        )


def _once(what: str, names: Iterable[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise ConfigError(f"{what} {name} stands there twice")
        seen.add(name)


_ORDER: Mapping[str, int] = {"wish": 0, "type": 1, "actor": 2, "group": 3, "wire": 4}


def _whole(c: Comparison) -> Plan:
    draft = c.draft
    transaction = draft.transaction(f"apply({c.wish.name})")
    scope = {actor.name for actor in c.wish.actors} | set(c.bundles)
    scope |= set(map(marked_name, c.mine))
    # Deployments are called by the request: another request of the same plan is the same plan.
    brings = [text for text in transaction.assert_ if not text.startswith("born(")]
    changes = (draft.rows, transaction.require, transaction.retract, brings)
    text = msgspec.json.encode(changes).decode()
    return Plan(
        wish=c.wish,
        rows=tuple(sorted(draft.rows, key=lambda row: _ORDER[row.kind])),
        transaction=transaction,
        successors=tuple(c.successors),
        wired=tuple(c.wired),
        stops=tuple(c.stops),
        same=c.same,
        scope=tuple(sorted(scope)),
        digest=hashlib.sha256(text.replace(c.id, "").encode()).hexdigest()[:32],
    )


def _note_made(c: Comparison) -> None:
    """Note which actors were made on each node: no other is made there by itself."""
    made = expansion.made(c.theory, c.wish.name)
    wanted = {actor.name for actor in c.wish.actors if actor.each}
    c.draft.bring(*(expansion.each_fact(c.wish.name, name) for name in sorted(wanted - made)))
    c.draft.retract(*(expansion.each_fact(c.wish.name, name) for name in sorted(made - wanted)))


def _compare_wishes(c: Comparison, wish: Wish) -> None:
    """Keep the new wish in place of the old, unless they are the same."""
    name, draft = wish.name, c.draft
    old = wishes.wish(c.theory, name)
    if old is None:
        draft.require(f"\\+ wish({quote_atom(name)}, _, _)", f"{name} was applied meanwhile")
    else:
        hashed = quote_atom(wishes.kept_hash(c.theory, name))
        draft.require(f"wish({quote_atom(name)}, {hashed}, _)", f"{name} was applied meanwhile")
    if old is not None and old.to_text() == wish.to_text():
        return
    draft.retract(*(wishes.wish_patterns(name) if old is not None else ()))
    draft.bring(*wishes.wish_facts(wish, c.id))
    if old is not None and old.keep != wish.keep:
        words = ("once", "keep")
        draft.row("~", "wish", name, f"{words[old.keep]} -> {words[wish.keep]}")
