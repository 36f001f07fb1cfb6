"""Requirements, patterns and words that several operations share. Pure."""

from __future__ import annotations

from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb.facts import ActorRow

Requirement = tuple[str, str, str]  # goal, class of the error where it fails, its words

TOO_LATE = ("NoSuchActor", "NoSuchThing")
"""Refusals that say that somebody was quicker."""


def still(row: ActorRow) -> Requirement:
    """Return the requirement that this very deployment is still there."""
    goal = f"spec({quote_atom(row.name)}, _, _, {quote_atom(row.deployment)})"
    return goal, "NoSuchActor", f"{row.name} is gone"


def forget_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every fact that mentions the actor `name`."""
    return *actor_patterns(name), *wanted_patterns(name), *reference_patterns(name)


def actor_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every fact about the actor `name`, but for its wires."""
    actor = quote_atom(name)
    return (
        f"actor({actor}, _, _)",
        f"spec({actor}, _, _, _)",
        f"state({actor}, _, _)",
        f"born({actor}, _)",
        f"moving({actor}, _)",
        f"yields({actor})",
    )


def wanted_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of what a file or a person wants of the actor `name`."""
    actor = quote_atom(name)
    return (
        f"policy({actor}, _, _, _, _)",
        f"next({actor}, _, _, _, _, _)",
        f"aside({actor}, _)",
        f"installs({actor})",
        f"owned(_, actor({actor}))",
    )


def reference_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every wire of the actor `name`, also of those that are down."""
    actor = quote_atom(name)
    return f"reacts({actor}, _, _, _)", f"reacts(_, {actor}, _, _)", *down_patterns(name)


def down_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every wire of the actor `name` that is down, if it has no other."""
    actor = quote_atom(name)
    return (
        f"down({actor}, _, _, _)",
        f"down(_, {actor}, _, _)",
        f"meanwhile({actor}, _, _, _)",
        f"meanwhile(_, {actor}, _, _)",
    )


def no_actor(name: str) -> str:
    """Return the words for an actor that isn't there."""
    return f"no actor {name}: `zactor ps` shows which there are"
