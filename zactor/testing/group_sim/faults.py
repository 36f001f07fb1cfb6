"""Faults of a simulated run, as one value."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Times in ms of the virtual clock, rates in events per second, shares from 0 to 1."""

    # -- the network, all the time while faults last
    delay_ms_min: float = 0.1  # of a frame or heartbeat
    delay_ms_max: float = 2.0
    spike: float = 0.0  # share of frames that take up to 50 times as long (what follows waits too)
    loss: float = 0.0  # of heartbeats and UNRELIABLE data; links lose nothing
    duplication: float = 0.0  # of the same
    reordering: float = 0.0  # of the same: share that is delayed by up to 150 ms
    bytes_per_ms: float = 0.0  # of each link, each way, for good; 0: as many as there are

    # -- things that happen
    breaks: float = 0.0  # a link stands still for up to 400 ms, both ways
    crashes: float = 0.0  # a process ends without a word
    refused: float = 0.7  # share of crashes that leave the host up: connections are refused
    stops: float = 0.0  # a process ends in good order
    restart_ms_max: float = 2_000.0  # a process that ended comes back by then, incarnation + 1
    pauses: float = 0.0  # a process stands still (SIGSTOP)
    hangs: float = 0.0  # a process's loop stands still, its connections live
    grabs: float = 0.0  # the same, right after it has asked for a ticket: others wait for it
    pause_ms_max: float = 3_000.0  # of both
    partitions: float = 0.0  # the nodes fall into two or three parts
    one_way_cuts: float = 0.0  # one node's frames don't reach another
    bridges: float = 0.0  # two nodes are cut off from each other, a third hears both
    heal_ms_max: float = 3_000.0  # each of these three ends by then
    gone_wrong: float = 0.0  # share of link breaks that begin in the middle of a view change

    # -- the nodes
    clock_rates: float = 0.0  # clocks run up to so much faster or slower
    slow_members: float = 0.0  # share of nodes whose sessions read 20 messages/s each
    sleepers: float = 0.0  # share of sessions that read nothing, until long after all is healed

    @property
    def any_cut(self) -> float:
        """Rate of all that separates nodes."""
        return self.partitions + self.one_way_cuts + self.bridges

    def calm(self) -> Faults:
        """The same nodes on a perfect network: what a run ends with."""
        return Faults(clock_rates=self.clock_rates, bytes_per_ms=self.bytes_per_ms)

    def __str__(self) -> str:
        """What differs from no faults, as `name=value` words."""
        none = Faults()
        return " ".join(
            f"{field.name}={getattr(self, field.name):g}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(none, field.name)
        )


def draw_faults(chance: random.Random) -> Faults:
    """Choose faults for one run: each kind is in about half of all runs."""

    def maybe(high: float) -> float:
        return round(chance.uniform(0, high), 3) if chance.random() < 0.5 else 0.0

    return Faults(
        delay_ms_max=chance.choice((0.5, 2.0, 10.0, 30.0)),
        spike=maybe(0.02),
        loss=maybe(0.3),
        duplication=maybe(0.2),
        reordering=maybe(0.3),
        breaks=maybe(2.0),
        crashes=maybe(0.5),
        refused=chance.choice((0.0, 0.7, 1.0)),
        stops=maybe(0.2),
        restart_ms_max=chance.choice((100.0, 2_000.0, 5_000.0)),
        pauses=maybe(0.5),
        hangs=maybe(0.4),
        partitions=maybe(0.8),
        one_way_cuts=maybe(0.8),
        bridges=maybe(0.6),
        heal_ms_max=chance.choice((300.0, 1_500.0, 4_000.0)),
        clock_rates=maybe(0.02),
        slow_members=maybe(0.4),
    )
