"""Rarer faults of a run of knowledge bases, as one value, and the table of those that happened.

They are drawn from a stream of chance of their own, so that a seed's other faults are what they
were without them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace

from zactor.testing.coverage import Coverage

KEPT_MS = 5_000.0  # who is apart for longer is given up, as PEER_KEPT_S says for real nodes
_CALM = 0.4  # share of runs without any of them
_SHARE = 0.22  # of the others, in which each kind is

FAULTS = {
    "a view ended between two KbAttempted": "the cut was aimed there",
    "a view ended when some had all KbAttempted": "and others hadn't; likewise",
    "an attempt was left undecided": "",
    "a view began during an attempt": "by chance",
    "three parts and more": "",
    "a disk went back": "to an older copy",
    "a disk was lost": "beside the one of the usual faults",
    "a second disk was lost": "in one run",
    "a life had a number again": "its folder was lost while nobody ran",
    "a buried life came back": "it counted as dead somewhere",
    "a write was torn": "",
    "apart for longer than is kept": "",
    "a view of more than eight": "",
    "heartbeats came less often": "of a large view",
    "a change of 100 kB and more": "took place",
    "behind more than is kept": "a snapshot in place of a history",
    "some never returned": "the others are enough",
    "too many never returned": "the others stand still",
    "a line had much to carry": "for more than 100 ms",
    "a heartbeat overtook its link": "",
    "a ballot out of reach": "refused",
    "a promise out of reach": "refused",
    "an epoch out of reach": "its sender is a stranger",
    "an attempt's number out of reach": "dropped",
    "silent before it had met the others": "",
    "a fork": "was told of",
}
"""What can be shown to have happened."""


class FaultCoverage(Coverage):
    """Counts of faults that happened."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__({"faults that happened": FAULTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class RareFaults:
    """Rates in events per second, shares from 0 to 1; what is once, is once in a run."""

    strikes: float = 0.0  # share of attempts that a cut hits at a chosen step
    shatters: float = 0.0  # the nodes fall into three parts and more
    lost_disks: int = 0  # one after the other, as long as the others are enough
    goes_back: bool = False  # one disk is replaced by an older copy of it, once
    same_life: bool = False  # a folder is lost while nobody runs, once: lives count anew
    long_cut: bool = False  # two parts for longer than a peer is kept, once; hold-down is long too
    more_nodes: int = 0
    large: float = 0.0  # share of changes of hundreds of kB
    gone: int = 0  # nodes that don't come back at the end
    bytes_per_ms: float = 0.0  # of each link; 0: as many as there are
    lag_ms: float = 0.0  # of links up to so much, of heartbeats not
    lies: float = 0.0  # a member names numbers out of reach
    held: float = 0.0  # share of starts that have no say before they have met the others

    def __str__(self) -> str:
        """What differs from none."""
        none = RareFaults()
        return " ".join(
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(none, field.name)
        )


def draw_rare_faults(seed: int) -> RareFaults:
    """Choose those of one run."""
    chance = random.Random(seed * 53 + 17)
    if chance.random() < _CALM:
        return RareFaults()

    def does() -> bool:
        return chance.random() < _SHARE

    goes_back, lost, gone = does(), does(), does()
    faults = RareFaults(
        strikes=chance.choice((0.5, 1.0)) if does() or does() else 0.0,
        shatters=chance.uniform(0.2, 0.8) if does() else 0.0,
        lost_disks=chance.choice((1, 2, 3)) if lost else 0,
        goes_back=goes_back,
        same_life=does(),
        long_cut=does(),
        more_nodes=chance.randint(4, 7) if does() and does() else 0,
        large=chance.choice((0.02, 0.1)) if does() else 0.0,
        gone=chance.choice((1, 2)) if gone else 0,
        bytes_per_ms=chance.choice((100.0, 400.0, 1_000.0)) if does() else 0.0,
        lag_ms=chance.choice((20.0, 200.0)) if does() else 0.0,
        lies=chance.uniform(0.2, 0.8) if does() else 0.0,
        held=chance.choice((0.3, 1.0)) if does() else 0.0,
    )
    if goes_back:  # what it takes with it must be anywhere else, or nobody could tell of the fork
        faults = replace(faults, lost_disks=0, same_life=False, gone=0)
    return faults
