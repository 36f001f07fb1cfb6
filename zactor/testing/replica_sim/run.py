"""One run: what the adversary drew, or a list of its moves, played to the end and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from zactor.kernel import limits as kernel_limits
from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.adversary import Adversary
from zactor.testing.replica_sim.healing import heal
from zactor.testing.replica_sim.plan import Plan, draw_plan
from zactor.testing.replica_sim.shell import Tell
from zactor.testing.replica_sim.world import World
from zactor.testing.seeds import Found


@dataclass(frozen=True, slots=True)
class Played:
    """How a run went."""

    plan: Plan
    actions: tuple[Action, ...]
    found: Found
    world: World


@contextmanager
def with_limits(plan: Plan) -> Iterator[None]:
    """The limits that are made small so that they are reached, for as long as a run takes."""
    before = {name: getattr(kernel_limits, name) for name in plan.limits}
    try:
        for name, value in plan.limits.items():
            setattr(kernel_limits, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(kernel_limits, name, value)


def play(plan: Plan, coverage: ReplicaCoverage | None = None) -> Played:
    """Let the adversary draw its moves."""
    with with_limits(plan):
        world = World(plan.names, coverage)
        adversary = Adversary(world, plan)
        adversary.play()
        heal(world, plan.gone)
        world.coverage.run_ends()
        return Played(plan, tuple(adversary.actions), world.judge.found, world)


def play_seed(seed: int, coverage: ReplicaCoverage | None = None, old_copies: int = 0) -> Played:
    """The run that `seed` stands for; so many disks may go back to an older copy."""
    return play(draw_plan(seed, old_copies), coverage)


def replay(
    plan: Plan, actions: Sequence[Action], tell: Tell | None = None, until: str = ""
) -> Found:
    """Play these moves instead, then the end.

    Args:
        tell: is told what happens.
        until: an invariant: when it is broken, nothing more is played.
    """
    with with_limits(plan):
        world = World(plan.names)
        world.tell = world.judge.tell = tell
        for action in actions:
            if tell is not None and action.kind not in ("give", "link"):
                tell(f"- {action}")
            world.do(action)
            if until in world.judge.found:
                return world.judge.found
        if tell is not None:
            tell("- all who can return meet in one view")
        heal(world, plan.gone)
        world.coverage.run_ends()
        return world.judge.found
