"""A failing run made short: moves are dropped as long as the same invariant still breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.order import Reach
from zactor.testing.replica_sim.plan import Plan
from zactor.testing.replica_sim.run import replay

TRIES_MAX = 3_000


def shrink(plan: Plan, actions: Sequence[Action], invariant: str) -> list[Action]:
    """Return moves after which `invariant` breaks, none of which can be dropped alone."""
    tries = 0

    def fails(some: Sequence[Action]) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIES_MAX and invariant in replay(plan, some, until=invariant)

    return _simpler(_shorter(list(actions), fails), fails)


def _shorter(actions: list[Action], fails: Callable[[Sequence[Action]], bool]) -> list[Action]:
    size = max(1, len(actions) // 2)
    while True:
        place = len(actions)
        before = place
        while place > 0:  # from the end: what comes late depends on what comes early
            first = max(0, place - size)
            rest = actions[:first] + actions[place:]
            if fails(rest):
                actions = rest
            place = first
        if size == 1 and len(actions) == before:
            return actions
        size = max(1, size // 2)


def _simpler(actions: list[Action], fails: Callable[[Sequence[Action]], bool]) -> list[Action]:
    """Take back what the adversary needn't have chosen in the moves that are left."""
    for number, action in enumerate(actions):
        for simple in _simpler_forms(action):
            rest = [*actions[:number], simple, *actions[number + 1 :]]
            if fails(rest):
                actions = rest
                break
    return actions


def _simpler_forms(action: Action) -> list[Action]:
    forms = []
    if action.reach:
        forms.append(action._replace(reach=()))
        forms += [
            action._replace(reach=(*action.reach[:n], Reach(), *action.reach[n + 1 :]))
            for n in range(len(action.reach))
        ]
        forms += [action._replace(reach=tuple(one._replace(holes=()) for one in action.reach))]
    return forms
