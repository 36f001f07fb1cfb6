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
    actor = quote_atom(name)
    return (
        f"actor({actor}, _, _)",
        f"spec({actor}, _, _, _)",
        f"state({actor}, _, _)",
        *reference_patterns(name),
    )


def reference_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of every wire of the actor `name`."""
    actor = quote_atom(name)
    return f"reacts({actor}, _, _, _)", f"reacts(_, {actor}, _, _)"


def no_actor(name: str) -> str:
    """Return the words for an actor that isn't there."""
    return f"no actor {name}: `zactor ps` shows which there are"
