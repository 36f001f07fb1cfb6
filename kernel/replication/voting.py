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
from types import MappingProxyType

import msgspec

from zactor.kernel import limits
from zactor.kernel.messages.knowledge import KbStanding, Primary

Standings = Mapping[str, KbStanding]  # by name: what every member of a view said
Forgotten = Mapping[str, int]  # by name: up to which number an operator's word takes its vote
MAKE_ROOM = "make room there, it goes on by itself"
NOBODY: Forgotten = MappingProxyType({})


def majority(count: int) -> int:
    """Return how many of `count` are more than half."""
    return count // 2 + 1


def counted(primary: Primary, forgotten: Forgotten) -> tuple[str, ...]:
    """Return the members of `primary` that have a vote in it: all but who is forgotten."""
    return tuple(name for name in primary.members if forgotten.get(name, 0) < primary.epoch)


def decides(primary: Primary, present: Collection[str], forgotten: Forgotten = NOBODY) -> bool:
    """Whether `present` may go on from `primary`: more than half, or half with its decider."""
    members = counted(primary, forgotten)
    count = sum(member in present for member in members)
    if 2 * count == len(members):
        return primary.decider in present and primary.decider in members
    return 2 * count > len(members)


def room_words(names: Collection[str]) -> str:
    """Return what to do about disks without room, in words for people."""
    whose = ", ".join(sorted(names))
    disks = "the disk" if len(names) == 1 else "the disks"
    have = "has" if len(names) == 1 else "have"
    return f"{disks} of {whose} {have} no space left: {MAKE_ROOM}"


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
    # Its first attempt: a later one may be to recover the cluster, which gives it another name.
    return standing.founding or (standing.attempts[0].founding if standing.attempts else "")


def settled(standings: Standings) -> dict[str, KbStanding]:
    """Return `standings` without attempts that certainly failed.

    Every member of a primary that was formed had recorded it, and forgets it only for a later one:
    so an attempt is dead if a member with its memory is here, knows of no later primary, and lacks
    it. Before there is a cluster nobody can tell who has its memory from who has a new disk: there
    it is dead if all its members are here and one lacks it, for one at least would know more. Who
    was forgotten lacks it, for good. And it yields to a cluster that there is.
    """
    gone_back = went_back(standings)
    recorded = {name: frozenset(standing.attempts) for name, standing in standings.items()}
    founded = {one.formed.founding for one in standings.values() if one.formed is not None}
    founded |= {standing.founding for standing in standings.values() if standing.founding}
    forgotten = forgotten_in(standings)

    def is_dead(attempt: Primary, holder: KbStanding) -> bool:
        here = {n for n in attempt.members if n in standings and n not in gone_back}
        lack_it = [name for name in sorted(here) if attempt not in recorded[name]]
        if attempt.founding in founded:
            return any(_denies(attempt, standings[name]) for name in lack_it)
        if founded and founding_of(holder) not in founded:
            return True
        gone = {*attempt.members}.difference(here, counted(attempt, forgotten))
        return bool(lack_it or gone) and len(here) + len(gone) == len(attempt.members)

    found = dict(standings)
    for name, holder in standings.items():
        kept = tuple(attempt for attempt in holder.attempts if not is_dead(attempt, holder))
        if kept != holder.attempts:
            found[name] = msgspec.structs.replace(holder, attempts=kept)
    return found


def _denies(attempt: Primary, standing: KbStanding) -> bool:
    """Whether a member that stands so, without it, proves that `attempt` failed: its cluster is."""
    if founding_of(standing) != attempt.founding:
        return False
    if standing.formed is None:
        return has_memory(standing)
    return standing.formed.epoch < attempt.epoch


def camps_of(standings: Standings) -> dict[str, str]:
    """Return to which cluster each belongs, or goes: "" if nobody here knows of any.

    Who has no memory, since its disk is new, goes to the cluster that counts it as a member of its
    last primary: elsewhere it would be missing there for ever. Who is new joins the largest.
    """
    known = {one.formed.founding for one in standings.values() if one.formed is not None}
    foundings = {name: _camp_of(standing, known) for name, standing in standings.items()}
    sizes = Counter(founding for founding in foundings.values() if founding)
    largest = sorted(sizes, key=lambda founding: (-sizes[founding], founding))
    members = dict.fromkeys(largest, frozenset[str]())
    for standing in standings.values():
        if (formed := standing.formed) is not None and formed.founding in members:
            members[formed.founding] |= frozenset(formed.members)
    homes = {
        name: next((home for home in largest if name in members[home]), next(iter(largest), ""))
        for name in standings
    }
    return {name: founding or homes[name] for name, founding in foundings.items()}


def _camp_of(standing: KbStanding, formed: Collection[str]) -> str:
    """Return the cluster of who stands so, where primaries of `formed` were formed.

    Who recorded the attempt that recovered a cluster went with it, once that is known to be formed.
    """
    later = (one.founding for one in reversed(standing.attempts) if one.founding in formed)
    return next(later, founding_of(standing))


def forgotten_in(standings: Standings) -> Forgotten:
    """Return who has no vote, up to which number, as anybody of these was told.

    The last primary has settled what was said of those before it: who had no part in that keeps it.
    """
    formed = [standing.formed.epoch for standing in standings.values() if standing.formed]
    last = max(formed, default=0)
    words = (word for standing in standings.values() for word in standing.forgotten)
    # Of several about one name the last counts, so the highest.
    return dict(sorted(word for word in words if word[1] >= last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all members of a view conclude alike."""

    camp: frozenset[str]  # members of our cluster, and those of no cluster that join it
    founding: str  # of our cluster; "" if nobody here has one
    strangers: tuple[str, ...]  # members of clusters that were founded apart
    voters: tuple[str, ...]  # of the camp: who has memory
    source: str  # whose history counts; it proposes. "" if there can be no primary here
    known: int  # the highest number that anybody knows to have been used
    epoch: int  # of the next attempt
    forgotten: Forgotten  # by an operator's word
    blocking: tuple[Primary, ...]  # what may have been formed, and isn't decided here
    cramped: frozenset[str]  # of the camp: who has memory, and a disk without room
    reason: str  # why there can be none, "" if there can

    @property
    def missing(self) -> frozenset[str]:
        """Who would have to come back, or to be forgotten."""
        members = {name for primary in self.blocking for name in counted(primary, self.forgotten)}
        return frozenset(members - {*self.voters} - self.cramped)  # they are here


def judge(me: str, standings: Standings, cramped: Collection[str] = ()) -> Verdict:
    """Return what the view of `standings` (of every member) means for `me`.

    Args:
        cramped: whose disks have no room. They can't record an attempt, so they aren't counted.
    """
    camps = camps_of(standings)
    founding = camps[me]
    camps |= {name: f"{camps[name]}, out of reach" for name in out_of_reach(standings)}
    founding = founding or camps[me]  # who is out of reach founds none either
    camp = frozenset(name for name in camps if camps[name] == camps[me])
    strangers = tuple(sorted(name for name in camps if name not in camp))
    gone_back = went_back({name: standings[name] for name in camp})
    able = {name for name in camp if has_memory(standings[name]) and name not in gone_back}
    voters = tuple(sorted(able.difference(cramped)))
    numbers = [max(standings[name].epoch, standings[name].used) for name in camp]
    for name in sorted(able):
        numbers += [primary.epoch for primary in _known([standings[name]])]
    known = max(numbers, default=0)
    forgotten = forgotten_in({name: standings[name] for name in camp})
    blocking: tuple[Primary, ...] = ()
    reason = f"{me} belongs to no cluster yet, and nobody it sees does"
    if founding:
        reason = f"{me} has no vote yet in its cluster, {founding}, and sees nobody who has"
    if able:
        blocking = _blocking(voters, forgotten, [standings[name] for name in camp])
        waits = frozenset(able.intersection(cramped))
        shortfall = Shortfall(me, voters, camp, frozenset(strangers), forgotten, waits)
        formed = {standings[name].formed for name in camp} - {None}
        reason = shortfall.words(blocking[0], formed) if blocking else ""
    if forgotten and not reason:  # what the dead alone had decided may be with who has no vote
        citizens = (name for name in camp if founding_of(standings[name]))
        voters = tuple(sorted({*voters, *citizens} - gone_back - {*cramped}))
    return Verdict(
        camp=camp,
        founding=founding,
        strangers=strangers,
        voters=voters,
        source="" if reason else chosen({name: standings[name] for name in voters}),
        known=known,
        epoch=known + 1 + (limits.KB_EPOCHS_RECOVERED if forgotten else 0),
        forgotten=forgotten,
        blocking=blocking,
        cramped=frozenset(able.intersection(cramped)),
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
    """Return who names epochs that none of the others can have missed: they aren't believed.

    Who belongs to no cluster has seen hardly any, and nobody follows what it says of them.
    """
    heights = {
        name: max(
            standing.epoch,
            standing.used,
            standing.clock[0],
            *(primary.epoch for primary in _known([standing])),
            *(number for _, number in standing.forgotten),
        )
        for name, standing in standings.items()
    }
    clustered = [name for name, standing in standings.items() if founding_of(standing)]

    def reach(name: str) -> int:
        alone = heights[name] if name in clustered else 0
        known = max((heights[other] for other in clustered if other != name), default=alone)
        return known + limits.KB_EPOCHS_AHEAD_MAX

    return frozenset(name for name in heights if heights[name] > reach(name))


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


def _blocking(
    voters: Sequence[str], forgotten: Forgotten, standings: Sequence[KbStanding]
) -> tuple[Primary, ...]:
    """Return the last primary and what is open beyond it, as far as `voters` don't decide it.

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
    found = [last] if last is not None and not decides(last, voters, forgotten) else []
    for attempt in sorted(open_attempts):
        # An attempt to found a cluster binds those only who have recorded it: it needs them all.
        if set(voters) >= set(counted(attempt, forgotten)):
            continue
        if last is None or not decides(attempt, voters, forgotten):
            found.append(attempt)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Says who is missing, and what an operator can do about it."""

    me: str
    voters: Collection[str]
    camp: Collection[str]
    strangers: Collection[str]
    forgotten: Forgotten
    cramped: Collection[str]

    def words(self, primary: Primary, formed: Collection[Primary | None]) -> str:
        """Return why nothing follows `primary`, which is one of `formed` or may have been."""
        is_formed = primary in formed
        what = "the last primary view"
        if not is_formed:
            what = "a view that may have been the last primary one"
        if not formed:
            what = "a cluster that may have been founded"
        members = counted(primary, self.forgotten)
        here = [name for name in members if name in self.voters]
        missing = [name for name in members if name not in self.voters]
        plural = "member" if len(members) == 1 else "members"
        words = f"{self.me} sees {len(here)} of {len(members)} {plural} of {what}"
        words += f" ({', '.join(members)}): "
        words += self._what_helps(primary, here, missing, needs_all=not formed)
        if full := [name for name in missing if name in self.cramped]:
            words += f"; {room_words(full)}"
        missing = [name for name in missing if name not in self.cramped]
        if not missing:
            return words
        if blank := [name for name in missing if name in self.camp]:
            words += f"; {', '.join(blank)} came without what was on its disk"
        if apart := [name for name in missing if name in self.strangers]:
            return f"{words}; {', '.join(apart)} went to another cluster"
        command = f"`zactor recover {self.me}`" if is_formed else f"`zactor forget {missing[0]}`"
        return f"{words}; if {', '.join(missing)} won't come back: {command}"

    def _what_helps(
        self, primary: Primary, here: Sequence[str], missing: Sequence[str], *, needs_all: bool
    ) -> str:
        if {*missing} <= {*self.cramped}:
            return "changes wait"
        count = len(here) + len(missing)
        if not needs_all and 2 * len(here) == count and primary.decider in missing:
            return f"of two halves the one with {primary.decider} takes changes, bring it back"
        enough = "all" if needs_all else "more than half"
        words = f"changes wait until {enough} are there (missing: {', '.join(missing)})"
        if {*missing} <= {*self.camp, *self.cramped}:
            return words  # they are here, and have no vote
        needed = len(missing) if needs_all else count // 2 + 1 - len(here)
        which = f"{needed} of them" if needed < len(missing) else "them" if needed > 1 else "it"
        return f"{words}: start {which} again, or mend the way there"
