"""Comparison of one wish with one theory: what its parts share while it is made. Pure."""

from __future__ import annotations

import msgspec

from zactor.kernel.errors import Refused
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.supervisor.desired.draft import Draft
from zactor.supervisor.kb import facts, wishes
from zactor.supervisor.kb.facts import WireRow
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.kb.wishes import Wish, WishedWire


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How far a plan goes."""

    prune: bool = True  # remove what the file made and no longer names
    remove_all: bool = False  # also where that is more than half
    adopt: bool = False  # take over what was made by hand


class Comparison:
    """Gathers what is to be done."""

    def __init__(
        self, wish: Wish, theory: Theory, hosts: list[str], options: PlanOptions, id: str
    ) -> None:
        """As `make_plan`."""
        self.wish = wish
        self.theory = theory
        self.hosts = hosts
        self.options = options
        self.id = id
        self.draft = Draft()
        self.owners: dict[str, list[str]] = {}
        for name, thing in wishes.marks(theory):
            self.owners.setdefault(thing, []).append(name)
        self.mine = {thing for thing, owners in self.owners.items() if wish.name in owners}
        self.bundles = {each.type: each.bundle for each in wish.factories}
        held = facts.meanwhile(theory)
        self.meanwhile = {key: str(Meanwhile.parse(how) or "") for key, how in held.items()}
        self.successors: list[Successor] = []
        self.wired: list[WishedWire] = []  # what is brought
        self.stops: list[str] = []
        self.same = 0

    def claim(self, thing: str, what: str) -> None:
        """Raise Refused where another file made that thing."""
        others = [name for name in self.owners.get(thing, ()) if name != self.wish.name]
        if others:
            raise Refused(
                f"{what} is claimed by two files, {others[0]} and {self.wish.name}: one of them"
                " must let it go"
            )

    def mark(self, thing: str) -> None:
        """The file makes that thing, or takes it over."""
        if thing not in self.mine:
            self.draft.bring(wishes.mark_fact(self.wish.name, thing))

    def as_is(self, kind: str, name: str) -> None:
        """It is as it should be."""
        self.same += 1
        self.draft.row("=", kind, name, "")


def marked_name(thing: str) -> str:
    """Return the first name in a mark."""
    inner = thing.partition("(")[2].rpartition(")")[0]
    return inner.partition(",")[0].strip("'")


def wires_of(theory: Theory, name: str) -> list[WireRow]:
    """Return the wires that an actor is an end of."""
    found = facts.wires(theory, reactor=name) + facts.wires(theory, emitter=name)
    return list(dict.fromkeys(found))
