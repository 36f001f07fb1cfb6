"""Restart groups: actors of a file that are restarted together, and which just now are. Pure.

`together(File, Group, Strategy, Intensity, Actors)` names them in the order in which they start.
`regroup(File, Group, Actor, Cause, Why, Phase)` says that a group is being restarted since one of
its actors failed or was lost: first they stop, then they start, or are failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.supervisor.kb import facts

ONE_FOR_ONE, ONE_FOR_ALL, REST_FOR_ONE = "one_for_one", "one_for_all", "rest_for_one"
STRATEGIES = (ONE_FOR_ONE, ONE_FOR_ALL, REST_FOR_ONE)
FAILED, LOST = "failed", "lost"  # causes
STOP, START, GIVE_UP = "stop", "start", "give_up"  # phases
GROUP_ACTORS_MAX = 256  # of one group: they stop and start one after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartGroup:
    """Actors of a file that are restarted together."""

    file: str
    name: str
    strategy: str
    intensity: str
    actors: tuple[str, ...]  # in the order in which they start

    @property
    def key(self) -> str:
        """What no other group is called."""
        return f"{self.file}.{self.name}"

    def fact(self) -> str:
        """Return the fact that says so."""
        actors = ", ".join(map(quote_atom, self.actors))
        names = f"{quote_atom(self.file)}, {quote_atom(self.name)}"
        return f"together({names}, {self.strategy}, {format_term(self.intensity)}, [{actors}])"

    def pattern(self) -> str:
        """Return its pattern."""
        return f"together({quote_atom(self.file)}, {quote_atom(self.name)}, _, _, _)"

    def affected(self, actor: str) -> tuple[str, ...]:
        """Return who is restarted with an actor, itself included, in the order of starting."""
        if self.strategy == ONE_FOR_ALL or actor not in self.actors:
            return self.actors
        return self.actors[self.actors.index(actor) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regroup:
    """A group that is being restarted."""

    file: str
    group: str
    actor: str  # which of them it was
    cause: str
    why: str
    phase: str
    since: Clock

    def fact(self) -> str:
        """Return the fact that says so."""
        names = ", ".join(map(quote_atom, (self.file, self.group, self.actor)))
        return f"regroup({names}, {self.cause}, {format_term(self.why)}, {self.phase})"

    def pattern(self) -> str:
        """Return the pattern of all of its group."""
        return f"regroup({quote_atom(self.file)}, {quote_atom(self.group)}, _, _, _, _)"


def check_strategy(text: str) -> str:
    """Return `text` if it says who is restarted with whom.

    Raises:
        ConfigError: it doesn't.
    """
    if text not in STRATEGIES:
        raise ConfigError(f"{text!r} is no strategy: want {', '.join(STRATEGIES)}")
    return text


def groups(theory: Theory, file: str | None = None) -> Iterator[RestartGroup]:
    """Yield the groups, or those of one file."""
    for fact in theory.facts("together", 5, Atom(file) if file else None):
        owner, name, strategy, intensity, actors = facts.arguments_of(fact.term)
        yield RestartGroup(
            file=text_of(owner),
            name=text_of(name),
            strategy=text_of(strategy),
            intensity=text_of(intensity),
            actors=tuple(map(text_of, actors)) if isinstance(actors, tuple) else (),
        )


def of(theory: Theory, actor: str) -> RestartGroup | None:
    """Return the group with which an actor is restarted; None: it is restarted alone."""
    if not theory.candidates("together", 5, []):
        return None
    found = (group for group in groups(theory) if actor in group.actors)
    return next((group for group in found if group.strategy != ONE_FOR_ONE), None)


def regroups(theory: Theory) -> list[Regroup]:
    """Return what is being restarted, of each group what stops before what starts."""
    found = []
    for fact in theory.facts("regroup", 6):
        file, group, actor, cause, why, phase = map(text_of, facts.arguments_of(fact.term))
        found.append(
            Regroup(
                file=file,
                group=group,
                actor=actor,
                cause=cause,
                why=why,
                phase=phase,
                since=fact.clock,
            )
        )
    return sorted(found, key=lambda each: (each.file, each.group, each.phase != STOP, each.since))


def is_any(theory: Theory) -> bool:
    """Whether a group is being restarted; it takes no time."""
    return bool(theory.candidates("regroup", 6, []))


def under_way(theory: Theory) -> set[str]:
    """Return the names of all actors of groups that are being restarted."""
    if not is_any(theory):
        return set()
    keys = {(each.file, each.group) for each in regroups(theory)}
    return {
        actor for each in groups(theory) if (each.file, each.name) in keys for actor in each.actors
    }
