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

from zactor.kernel import limits
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
    return standing.attempts[-1].founding if standing.attempts else standing.founding


def settled(standings: Standings) -> dict[str, KbStanding]:
    """Return `standings` without attempts that certainly failed.

    Every member of a primary that was formed had recorded it, and forgets it only for a later one:
    so an attempt is dead if a member with its memory is here, knows of no later primary, and lacks
    it. Before there is a cluster nobody can tell who has its memory from who has a new disk: there
    it is dead if all its members are here and one lacks it, for one at least would know more.
    """
    gone_back = went_back(standings)
    found = dict(standings)
    for holder, standing in standings.items():
        kept = tuple(
            attempt
            for attempt in standing.attempts
            if not _is_dead(attempt, standings, [n for n in attempt.members if n not in gone_back])
        )
        if kept != standing.attempts:
            found[holder] = msgspec.structs.replace(standing, attempts=kept)
    return found


def _is_dead(attempt: Primary, standings: Standings, members: Sequence[str]) -> bool:
    """Whether those of `members` that are here prove that `attempt` failed."""
    here = [standings[name] for name in members if name in standings]
    if any(_was_founded(attempt.founding, standing) for standing in standings.values()):
        return any(_denies(attempt, standing) for standing in here)
    lack_it = any(attempt not in standing.attempts for standing in here)
    return lack_it and len(here) == len(attempt.members)


def _was_founded(founding: str, standing: KbStanding) -> bool:
    """Whether who stands so proves that there is a cluster of that `founding`."""
    formed = standing.formed is not None and standing.formed.founding == founding
    return formed or standing.founding == founding


def _denies(attempt: Primary, standing: KbStanding) -> bool:
    """Whether a member that stands so proves that `attempt`, of a cluster that is, failed."""
    if attempt in standing.attempts or founding_of(standing) != attempt.founding:
        return False
    if standing.formed is None:
        return has_memory(standing)
    return standing.formed.epoch < attempt.epoch


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
    founding: str  # of our cluster; "" if nobody here has one
    strangers: tuple[str, ...]  # members of clusters that were founded apart
    voters: tuple[str, ...]  # of the camp: who has memory
    source: str  # whose history counts; it proposes. "" if there can be no primary here
    epoch: int  # of the next attempt
    reason: str  # why there can be none, "" if there can


def judge(me: str, standings: Standings) -> Verdict:
    """Return what the view of `standings` (of every member) means for `me`."""
    camps = camps_of(standings)
    camps |= {name: f"{camps[name]}, out of reach" for name in out_of_reach(standings)}
    camp = frozenset(name for name in camps if camps[name] == camps[me])
    strangers = tuple(sorted(name for name in camps if name not in camp))
    gone_back = went_back({name: standings[name] for name in camp})
    voters = tuple(
        sorted(name for name in camp if has_memory(standings[name]) and name not in gone_back)
    )
    numbers = [max(standings[name].epoch, standings[name].used) for name in camp]
    for name in voters:
        numbers += [primary.epoch for primary in _known([standings[name]])]
    epoch = max(numbers, default=0) + 1
    reason = f"{me} belongs to no cluster yet, and nobody it sees does"
    if camps[me]:
        reason = f"{me} has no vote yet in its cluster, {camps[me]}, and sees nobody who has"
    if voters:
        reason = _shortfall(me, voters, camp, [standings[name] for name in camp])
    return Verdict(
        camp=camp,
        founding=camps[me],
        strangers=strangers,
        voters=voters,
        source="" if reason else chosen({name: standings[name] for name in voters}),
        epoch=epoch,
        reason=reason,
    )


def went_back(standings: Standings) -> frozenset[str]:
    """Return whose disks have lost what they held: they have no vote, as if they were new.

    All members of a primary that was formed had recorded it, or one with a higher number.
    """
    formed = [standing.formed for standing in standings.values() if standing.formed is not None]
    return frozenset(
        name
        for name, standing in standings.items()
        if any(
            name in primary.members
            and standing.used < primary.epoch
            and founding_of(standing) in ("", primary.founding)
            for primary in formed
        )
    )


def out_of_reach(standings: Standings) -> frozenset[str]:
    """Return who names epochs that none of the others can have missed: they aren't believed."""
    heights = {
        name: max(
            standing.epoch,
            standing.used,
            standing.clock[0],
            *(primary.epoch for primary in _known([standing])),
        )
        for name, standing in standings.items()
        if founding_of(standing)
    }
    return frozenset(
        name
        for name, height in heights.items()
        if height - limits.KB_EPOCHS_AHEAD_MAX
        > max((heights[other] for other in heights if other != name), default=height)
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

    Who is there without its memory completes nothing, not even a view in which all members of the
    last primary are: it may have known of a later one.
    """
    formed = [standing.formed for standing in standings if standing.formed is not None]
    last = max(formed, default=None)
    open_attempts = {
        attempt
        for standing in standings
        for attempt in standing.attempts
        if last is None or attempt.epoch > last.epoch
    }
    if last is not None and not decides(last, voters):
        return f"{me} sees {_seen(last, voters, camp, 'the last primary view')}"
    for attempt in sorted(open_attempts):
        # An attempt to found a cluster binds those only who have recorded it: it needs them all.
        if not (set(voters) >= set(attempt.members) or (last and decides(attempt, voters))):
            what = "a view that may have been the last primary one"
            return f"{me} sees {_seen(attempt, voters, camp, what)}"
    return ""


def _seen(primary: Primary, voters: Sequence[str], camp: frozenset[str], what: str) -> str:
    here = [name for name in primary.members if name in voters]
    missing = [name for name in primary.members if name not in voters]
    blank = [name for name in missing if name in camp]
    count = len(primary.members)
    members = "member" if count == 1 else "members"
    words = f"{len(here)} of {count} {members} of {what} ({', '.join(primary.members)})"
    what_to_do = f"changes wait until more than half are there (missing: {', '.join(missing)})"
    if 2 * len(here) == count:
        what_to_do = f"of two halves the one with {primary.decider} takes changes, bring it back"
    if blank:
        what_to_do += f"; {', '.join(blank)} came without what was on its disk"
    return f"{words}: {what_to_do}"
