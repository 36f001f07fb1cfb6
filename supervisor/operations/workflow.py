"""Workflow: what a change of the cluster consists of, as named steps, and which step is next.

A workflow is data; the one interpreter is `workflow_runner.py`. What a step has to do, if anything,
depends on the knowledge base alone, so whoever finds an operation half done goes on with it, and
doing a step again changes nothing. Between any two effects the process may die: `crash_points.py`
lists all these places, from the workflows.

The rule a reader must not break: what takes more than one transaction, and isn't brought to its end
by the knowledge base itself, begins with a clause `todo/4` and ends with its removal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.kb.fact_patterns import Requirement

Parameters = TypeVar("Parameters")
"""What an operation is about, as a frozen dataclass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transact:
    """Change the knowledge base: all of it or nothing."""

    why: str
    require: tuple[Requirement, ...] = ()
    retract: tuple[str, ...] = ()
    assert_: tuple[str, ...] = ()
    id: str = ""  # of the transaction, where the same may be asked twice; "": a new one
    settled_by: tuple[str, ...] = ()  # classes of refusals that say: it is done already


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Read the knowledge base until `over` gives something, which is the step's outcome."""

    over: Callable[[Theory], object | None]
    limit_s: float | None = None
    late: str = ""  # words of the error where it takes longer


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCall:
    """Do something outside of the knowledge base; the shell knows it by its name."""

    name: str


Effect: TypeAlias = Transact | Wait | PeerCall


@dataclass(frozen=True, slots=True)
class Step(Generic[Parameters]):
    """One step: its name, and what it has to do now, None where that is nothing."""

    name: str
    effect: Callable[[Parameters, Theory], Effect | None]


@dataclass(frozen=True, slots=True)
class Workflow(Generic[Parameters]):
    """The steps of one operation, in their order."""

    name: str
    steps: tuple[Step[Parameters], ...]

    def number(self, step: str) -> int:
        """Return the place of a step, from 0."""
        return [each.name for each in self.steps].index(step)


def next_step(
    workflow: Workflow[Parameters], parameters: Parameters, theory: Theory, taken: Collection[str]
) -> tuple[Step[Parameters], Effect] | None:
    """Return the step that is due, with its effect; None: the operation is at its end.

    Args:
        taken: steps that whoever asks has taken already, in this run.
    """
    for step in workflow.steps:
        if step.name not in taken:
            effect = step.effect(parameters, theory)
            if effect is not None:
                return step, effect
    return None
