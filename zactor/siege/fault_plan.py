"""The plan of a siege: which faults come when, drawn from one seed.

Pure. Times are s from the beginning. As far as real time allows, a seed plays again what it played.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zactor.lab.faults import MTU_MIN

PAUSE_S = (1.0, 5.0)  # between the end of one fault and the next
LASTS_S = (1.0, 8.0)
FREEZES_S = (1.0, 10.0)
ROUND_FAULTS = 5  # so many, then all is healed and the hosts are to be one again
HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault: lines to begin it, how long it stands, lines to end it."""

    begin: tuple[str, ...]
    lasts_s: float
    end: tuple[str, ...]
    pause_s: float  # afterwards
    ends_round: bool

    @property
    def kind(self) -> str:
        """The word of its first line."""
        return self.begin[0].split()[0]


class FaultPlan:
    """Draws one fault after the other."""

    def __init__(self, hosts: Sequence[str], seed: int) -> None:
        self._hosts = list(hosts)
        self._chance = random.Random(seed)
        self._count = 0
        self._kinds: list[tuple[int, Callable[[], tuple[list[str], list[str]]]]] = [
            (3, self._cable),
            (3, self._cut),
            (2, self._one_way),
            (2, self._not_transitive),
            (2, self._loss),
            (2, self._delay),
            (1, self._doubled),
            (3, self._freeze),
            (4, self._kill),
            (3, self._crash),
            (1, self._disk),
            (2, self._clock),
            (1, self._flap),
            (1, self._narrow),
        ]

    def draw(self) -> PlannedFault:
        """Return the next fault."""
        weights = [weight for weight, _ in self._kinds]
        ((_, draw),) = self._chance.choices(self._kinds, weights)
        begin, end = draw()
        self._count += 1
        longest = FREEZES_S if begin[0].startswith("freeze") else LASTS_S
        return PlannedFault(
            begin=tuple(begin),
            lasts_s=self._chance.uniform(*longest),
            end=tuple(end),
            pause_s=self._chance.uniform(*PAUSE_S),
            ends_round=self._count % ROUND_FAULTS == 0,
        )

    # -- kinds -------------------------------------------------------------------------------
    def _host(self) -> str:
        return self._chance.choice(self._hosts)

    def _two(self) -> list[str]:
        return self._chance.sample(self._hosts, 2)

    def _cable(self) -> tuple[list[str], list[str]]:
        host = self._host()
        return [f"cable {host} out"], [f"cable {host} in"]

    def _cut(self) -> tuple[list[str], list[str]]:
        sides: list[list[str]] = [[] for _ in range(self._chance.choice((2, 2, 3)))]
        mixed = self._chance.sample(self._hosts, len(self._hosts))
        for number, host in enumerate(mixed):
            sides[number if number < len(sides) else self._chance.randrange(len(sides))].append(
                host
            )
        return ["cut " + " / ".join(",".join(sorted(side)) for side in sides)], ["heal"]

    def _one_way(self) -> tuple[list[str], list[str]]:
        return [f"one-way {' '.join(self._two())}"], ["heal"]

    def _not_transitive(self) -> tuple[list[str], list[str]]:
        one, other = self._two()
        return [f"cut {one} / {other}"], ["heal"]

    def _loss(self) -> tuple[list[str], list[str]]:
        return [f"loss {self._chance.choice((1, 5, 20))}"], ["loss 0"]

    def _delay(self) -> tuple[list[str], list[str]]:
        least = self._chance.choice((5, 20, 50, 100))
        return [f"delay {least}~{least // 2}"], ["delay 0"]

    def _doubled(self) -> tuple[list[str], list[str]]:
        return ["duplicate 10", "reorder 20"], ["duplicate 0", "reorder 0"]

    def _freeze(self) -> tuple[list[str], list[str]]:
        host = self._host()
        return [f"freeze {host}"], [f"thaw {host}"]

    def _kill(self) -> tuple[list[str], list[str]]:
        host = self._host()
        return [f"kill {host}"], [f"start {host}"]

    def _crash(self) -> tuple[list[str], list[str]]:
        host = self._host()
        return [f"crash {host}"], [f"start {host}"]

    def _disk(self) -> tuple[list[str], list[str]]:
        host = self._host()
        return [f"disk {host} full"], [f"disk {host} free"]

    def _clock(self) -> tuple[list[str], list[str]]:
        host, way = self._host(), self._chance.choice((-1, 1))
        return [f"clock {host} {way * HOUR_S}"], [f"clock {host} 0"]

    def _flap(self) -> tuple[list[str], list[str]]:
        host = self._host()
        lines = [f"cable {host} {'out' if number % 2 == 0 else 'in'}" for number in range(6)]
        return lines, [f"cable {host} in"]

    def _narrow(self) -> tuple[list[str], list[str]]:
        return [f"mtu {MTU_MIN}"], ["mtu 0"]
