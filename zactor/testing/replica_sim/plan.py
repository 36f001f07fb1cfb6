"""What a seed stands for."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed stands for."""

    seed: int
    names: tuple[str, ...]
    late: tuple[str, ...]  # come when the cluster is founded
    gone: tuple[str, ...]  # never return at the end
    lost_disks: int
    fills: bool  # disks run out of room, and get it again, at any moment
    old_copies: int  # disks that go back: beyond what the protocol promises to bear
    episodes: int
    founds_roughly: bool  # the founding itself is disturbed
    calm: float  # how often all comes to rest between two troubles
    limits: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{', '.join(self.names)}; late: {', '.join(self.late) or 'nobody'}; gone at the end:"
            f" {', '.join(self.gone) or 'nobody'}; lost disks: {self.lost_disks}; older copies:"
            f" {self.old_copies}; disks fill: {self.fills}; {self.episodes} episodes;"
            f" {self.limits}"
        )


def draw_plan(seed: int, old_copies: int = 0) -> Plan:
    """Choose a run."""
    chance = random.Random(seed * 37 + 11)
    count = chance.choice((3, 3, 3, 4, 4, 5, 5, 5, 6, 7))
    masters = chance.choice((0, 0, 0, 0, 1))
    names = [f"n{number}" for number in range(1, count + 1 - masters)]
    names += [f"m{number}" for number in range(1, masters + 1)]
    late = chance.sample(
        names, chance.choice((0, 0, 1, 2)) if count > 3 else chance.choice((0, 0, 1))
    )
    return Plan(
        seed=seed,
        names=tuple(names),
        late=tuple(late),
        gone=tuple(chance.sample(names, chance.choice((0, 0, 0, 1, 2)))),
        lost_disks=chance.choice((0, 0, 0, 1, 1, 2)),
        fills=random.Random(seed * 101 + 3).random() < 0.5,
        old_copies=old_copies,
        episodes=chance.randint(3, 9),
        founds_roughly=chance.random() < 0.15,
        calm=chance.choice((0.1, 0.3, 0.6)),
        limits={
            "HISTORY_KEPT": chance.choice((2, 10_000, 10_000)),
            "KB_PIECE_BYTES": chance.choice((150, 200_000, 200_000)),
            "KB_QUICK_BYTES": chance.choice((0, 1_000_000)),
            "KB_FLIGHT_MAX": chance.choice((1, 256)),
        },
    )
