"""What was ordered and isn't there: lost actors, wires that are down, nodes that are gone.

Beside the theory of what is, facts say what was ordered: `lost/4` and `ordered/6` of an actor that
went with its node, `down/4` of a wire with such an end, `gone/3` of a node. Pure; see facts.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel.ids import ActorUid, NodeId
from zactor.kernel.knowledge.theory import Fact, Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.kernel.moment import moment
from zactor.supervisor.kb import facts, policies
from zactor.supervisor.kb.fact_patterns import Requirement, no_actor
from zactor.supervisor.kb.facts import ActorRow, WireRow


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRow(ActorRow):
    """An actor that went with its node, in the state `lost`; the reason says why.

    If that life of the node comes back, so does the actor.
    """

    life: int  # incarnation of its node; 0: nothing of it runs anywhere
    yields: bool  # that node ends it when it is cut off, and has said so


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneRow:
    """A node that went without a goodbye."""

    name: str
    life: int
    why: str
    at: float  # s since 1970, for people only


def _texts(fact: Fact) -> list[str]:
    return [text_of(argument) for argument in facts.arguments_of(fact.term)]


def lost(theory: Theory, name: str) -> LostRow | None:
    """Return the lost actor called `name`."""
    for fact in theory.facts("lost", 4, Atom(name)):
        for beside in theory.facts("ordered", 6, Atom(name)):
            _, type_name, node, why = _texts(fact)
            _, bundle, arguments, deployment, life, uid = _texts(beside)
            return LostRow(
                name=name,
                type=type_name,
                node=node,
                state="lost",
                reason=why,
                bundle=bundle,
                arguments=arguments,
                deployment=deployment,
                life=int(life),
                yields=policies.yields(theory, name),
                uid=ActorUid(int(uid)),
                since=fact.clock,
                at=fact.at,
            )
    return None


def all_lost(theory: Theory, node: str | None = None) -> list[LostRow]:
    """Return all lost actors, or those that were on `node`, by name."""
    wanted = (None, None, Atom(node)) if node is not None else ()
    names = sorted(_texts(fact)[0] for fact in theory.facts("lost", 4, *wanted))
    rows = (lost(theory, name) for name in names)
    return [row for row in rows if row is not None]


def is_any(theory: Theory) -> bool:
    """Whether anything is lost or down; it takes no time."""
    return bool(theory.candidates("lost", 4, []) or theory.candidates("down", 4, []))


def standing(theory: Theory, name: str, me: NodeId) -> ActorRow | None:
    """Return the actor `name` as its own node sees it.

    One that was lost with this very life of `me` goes on there: it is taken back, or its name is
    given to another, and until then nothing has happened to it.
    """
    row = facts.actor(theory, name)
    if row is None:
        gone = lost(theory, name)
        if gone is not None and NodeId(gone.node, gone.life) == me:
            return gone
    return row


def down(
    theory: Theory, *, emitter: str | None = None, action: str | None = None
) -> list[tuple[WireRow, float]]:
    """Return the wires that are down, each with since when (s since 1970), sorted."""
    bound = (None, *(Atom(name) if name else None for name in (emitter, action)))
    return facts.read_wires(theory.facts("down", 4, *bound))


def mendable(theory: Theory) -> list[WireRow]:
    """Return the wires that are down though both of their ends run."""
    found = []
    for wire, _ in down(theory):
        ends = [facts.actor(theory, name) for name in dict.fromkeys((wire.reactor, wire.emitter))]
        if all(row is not None and row.state == "running" for row in ends):
            found.append(wire)
    return found


def gone(theory: Theory) -> list[GoneRow]:
    """Return the nodes that are gone, by name."""
    rows = []
    for fact in theory.facts("gone", 3):
        name, life, why = _texts(fact)
        rows.append(GoneRow(name=name, life=int(life), why=why, at=fact.at))
    return sorted(rows, key=lambda row: row.name)


# -- as facts --------------------------------------------------------------------------------
def lost_facts(row: ActorRow, life: int, why: str) -> tuple[str, str]:
    """Return the facts that say that it went with that life of its node."""
    name = quote_atom(row.name)
    parts = (
        quote_atom(row.bundle),
        format_term(row.arguments),
        quote_atom(row.deployment),
        str(life),
        str(row.uid),
    )
    return (
        f"lost({name}, {quote_atom(row.type)}, {quote_atom(row.node)}, {format_term(why)})",
        f"ordered({name}, {', '.join(parts)})",
    )


def wire_fact(functor: str, row: WireRow) -> str:
    """Return the wire as `reacts/4` or as `down/4`."""
    parts = map(quote_atom, (row.reactor, row.emitter, row.action))
    return f"{functor}({', '.join(parts)}, {row.service.value})"


def lost_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of the facts of the lost actor `name`, but for its wires.

    Who was to follow it is among them: where it is another's now, that is settled.
    """
    return (*returned_patterns(name), policies.next_pattern(name), policies.yields_fact(name))


def returned_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of what is no more when a lost actor is back as it was."""
    actor = quote_atom(name)
    return f"lost({actor}, _, _, _)", f"ordered({actor}, _, _, _, _, _)"


def still_lost(row: LostRow) -> Requirement:
    """Return the requirement that this very deployment is lost still, with that life."""
    name, deployment = quote_atom(row.name), quote_atom(row.deployment)
    goal = f"ordered({name}, _, _, {deployment}, {row.life}, {row.uid})"
    return goal, "NoSuchThing", f"{row.name} isn't lost any more"


def absent(theory: Theory, name: str) -> str:
    """Return the words for an actor that isn't there, perhaps since it is lost."""
    return lost_words(theory, name) or no_actor(name)


def lost_words(theory: Theory, name: str) -> str:
    """Return what is to be said of a lost actor to whoever wants it; "": it isn't lost."""
    row = lost(theory, name)
    if row is None:
        return ""
    return (
        f"{name} was lost with {row.node} at {moment(row.at)} ({row.reason}):"
        f" `zactor restore {name}`, or `zactor forget {name}`"
    )
