"""What the adversary and the clients can do, one thing at a time: a run is a list of these.

An action that isn't possible where it stands is passed over, so that any part of a list is a run.
"""

from __future__ import annotations

from typing import NamedTuple

from zactor.testing.replica_sim.order import ALL, Reach

WORDS = {
    "give": "{who} is delivered the next message of {other}",
    "link": "{who} gets the next message over the link from {other}",
    "sync": "the disk of {who} does {count} of its writes",
    "mute": "what {who} says doesn't get out for now",
    "unmute": "what {who} had to say gets out",
    "burn": "a ticket of the view of {who} is never used",
    "view": "{names} install a view{reach}",
    "recover": "{names} recover for a view that isn't installed{reach}",
    "crash": "{who} is killed; {count} of its waiting writes get through",
    "start": "{who} starts",
    "hold": "{who} starts, and has no say yet",
    "begin": "{who} has met whom it can find",
    "lose": "{who} gets a new disk",
    "back": "{who} gets an older copy of its disk, without the last {count} writes",
    "fill": "the disk of {who} has no room any more",
    "room": "the disk of {who} has room again",
    "fail": "the disk of {who} fails",
    "found": "{who} founds a cluster",
    "forget": "an operator tells {who} that {other} is gone for good",
    "retire": "{who} wants to stop in good order",
    "submit": "a client of {who} wants {other}",
    "read": "a client of {who} reads ({other})",
    "tick": "{count} ms pass at {who}",
}


class Action(NamedTuple):
    """One step."""

    kind: str
    who: str = ""
    other: str = ""
    count: int = 0  # type: ignore[assignment]  # tuple.count is not used
    names: tuple[str, ...] = ()
    reach: tuple[Reach, ...] = ()  # of each cohort, in the order of its first members

    def __str__(self) -> str:
        return WORDS[self.kind].format(
            who=self.who,
            other=self.other,
            count=self.count,
            names=", ".join(self.names),
            reach=_reached(self.reach),
        )


def _reached(reach: tuple[Reach, ...]) -> str:
    return "".join(f"; {_words(one)}" for one in reach if one != Reach())


def _words(reach: Reach) -> str:
    words = []
    if reach.extent != ALL:
        words.append(f"a cohort holds the first {reach.extent} messages")
    if reach.holes:
        words.append(f"none of what {', '.join(reach.holes)} sent")
    if reach.stable != ALL:
        words.append(f"knows {reach.stable} places more to be with all")
    return ", ".join(words)
