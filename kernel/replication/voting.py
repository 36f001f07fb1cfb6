"""Dynamic voting: which members of a view may be the primary, and whose history counts.

Pure functions of what all members of a view said. A primary may follow the last one if it has a
majority of that one's members; so the cluster can shrink step by step to one node. An attempt that
may have succeeded counts like a primary that did, until a later one has.

Source: Yeger-Lotem, Keidar, Dolev, *Dynamic voting for consistent primary components*, PODC 1997.
The rule a reader must not break: all who count for a majority must record the attempt, or they
could be counted again for another one that doesn't know of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from zactor.kernel.messages.knowledge import KbStanding, Primary

Standings = Mapping[str, KbStanding]  # by name: what every member of a view said


def majority(count: int) -> int:
    """Return how many of `count` are more than half."""
    return count // 2 + 1


def decides(primary: Primary, present: Collection[str]) -> bool:
    """Whether `present` may go on from `primary`: more than half, or half with its decider."""
    count = sum(member in present for member in primary.members)
    if 2 * count == len(primary.members):
        return primary.decider in present
    return 2 * count > len(primary.members)


def make_primary(
    epoch: int, standings: Standings, members: Collection[str], founding: str
) -> Primary:
    """Return the primary of `members`."""
    names = tuple(sorted(members))
    hosts = [name for name in names if standings[name].role != "master"]
    # A console is what comes and goes: it never outvotes a node that hosts actors.
    return Primary(epoch, names, (hosts or names)[0], founding)


def has_memory(standing: KbStanding) -> bool:
    """Whether it has been in a primary, or an attempt to make one: others have no vote."""
    return standing.formed is not None or bool(standing.attempts)


def founding_of(standing: KbStanding) -> str:
    """Return which cluster it belongs to, "" if to none yet."""
    if standing.formed is not None:
        return standing.formed.founding
    return standing.attempts[-1].founding if standing.attempts else ""


def settled(standings: Standings) -> dict[str, KbStanding]:
    """Return `standings` without attempts to found a cluster that certainly failed.

    An attempt with no primary before it can't have been formed if a member that is here never
    recorded it: it needed every voice. Who recorded it, and nothing since, is free again.
    """
    found = dict(standings)
    for name, standing in standings.items():
        if standing.formed is None and standing.number == 0 and standing.attempts:
            kept = tuple(one for one in standing.attempts if _is_open(one, standings))
            found[name] = msgspec.structs.replace(standing, attempts=kept)
    return found


def _is_open(attempt: Primary, standings: Standings) -> bool:
    for name in attempt.members:
        standing = standings.get(name)
        if standing is None or attempt in standing.attempts:
            continue
        if standing.formed is None or standing.formed.founding != attempt.founding:
            return False
    return True


def camps_of(standings: Standings) -> dict[str, str]:
    """Return to which cluster each belongs, or goes: "" if nobody here knows of any.

    Who has no memory, since its disk is new, goes to the cluster that counts it as a member of its
    last primary: elsewhere it would be missing there for ever. Who is new joins the largest.
    """
    foundings = {name: founding_of(standing) for name, standing in standings.items()}
    sizes = Counter(founding for founding in foundings.values() if founding)
    largest = sorted(sizes, key=lambda founding: (-sizes[founding], founding))
    members = dict.fromkeys(largest, frozenset[str]())
    for standing in standings.values():
        if (formed := standing.formed) is not None:
            members[formed.founding] |= frozenset(formed.members)
    homes = {
        name: next((home for home in largest if name in members[home]), next(iter(largest), ""))
        for name in standings
    }
    return {name: founding or homes[name] for name, founding in foundings.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all members of a view conclude alike."""

    camp: frozenset[str]  # members of our cluster, and those of no cluster that join it
    strangers: tuple[str, ...]  # members of clusters that were founded apart
    voters: tuple[str, ...]  # of the camp: who has memory
    source: str  # whose history counts; it proposes. "" if there can be no primary here
    epoch: int  # of the next attempt
    reason: str  # why there can be none, "" if there can


def judge(me: str, standings: Standings) -> Verdict:
    """Return what the view of `standings` (of every member) means for `me`."""
    camps = camps_of(standings)
    camp = frozenset(name for name in camps if camps[name] == camps[me])
    strangers = tuple(sorted(name for name in camps if name not in camp))
    voters = tuple(sorted(name for name in camp if has_memory(standings[name])))
    numbers = [standings[name].epoch for name in camp]
    for name in voters:
        numbers += [primary.epoch for primary in _known([standings[name]])]
    epoch = max(numbers, default=0) + 1
    reason = f"{me} belongs to no cluster yet, and nobody it sees does"
    if voters:
        reason = _shortfall(me, voters, camp, [standings[name] for name in voters])
    return Verdict(
        camp=camp,
        strangers=strangers,
        voters=voters,
        source="" if reason else chosen({name: standings[name] for name in voters}),
        epoch=epoch,
        reason=reason,
    )


def chosen(standings: Standings) -> str:
    """Return whose log is the newest: of the highest epoch the longest; the first of equals.

    What a majority had on disk is in it. Nobody's wall clock plays a part.
    """

    def worth(name: str) -> tuple[int, int, bytes]:
        standing = standings[name]
        return standing.epoch, standing.number, standing.chain

    return max(sorted(standings), key=worth)


def _known(standings: Sequence[KbStanding]) -> list[Primary]:
    found = [primary for standing in standings for primary in standing.attempts]
    return found + [standing.formed for standing in standings if standing.formed is not None]


def _shortfall(
    me: str, voters: Sequence[str], camp: frozenset[str], standings: Sequence[KbStanding]
) -> str:
    """Return why `voters` can't be the primary, "" if they can.

    Where all members of a primary are there, some perhaps without memory (a new disk, or the
    attempt never reached them), nobody else can know more: there is nothing to wait for.
    """
    formed = [standing.formed for standing in standings if standing.formed is not None]
    last = max(formed, default=None)
    open_attempts = {
        attempt
        for standing in standings
        for attempt in standing.attempts
        if last is None or attempt.epoch > last.epoch
    }
    if last is not None and not (decides(last, voters) or camp >= set(last.members)):
        return f"{me} sees {_seen(last, voters, 'the last primary view')}"
    for attempt in sorted(open_attempts):
        # An attempt to found a cluster binds those only who have recorded it: it needs them all.
        enough = last is not None and decides(attempt, voters)
        if not (enough or camp >= set(attempt.members)):
            what = "a view that may have been the last primary one"
            return f"{me} sees {_seen(attempt, voters, what)}"
    return ""


def _seen(primary: Primary, voters: Sequence[str], what: str) -> str:
    here = [name for name in primary.members if name in voters]
    missing = [name for name in primary.members if name not in voters]
    count = len(primary.members)
    members = "member" if count == 1 else "members"
    words = f"{len(here)} of {count} {members} of {what} ({', '.join(primary.members)})"
    if 2 * len(here) == count:
        return f"{words}: of two halves the one with {primary.decider} takes changes, bring it back"
    return f"{words}: changes wait until more than half are there (missing: {', '.join(missing)})"
