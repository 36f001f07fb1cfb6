"""Who can go on by P2, reckoned from what is on disks and without the replica's own code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication.log import Kept


def decides(primary: Primary, present: Collection[str]) -> bool:
    """Whether these are more than half of it, or half with its decider."""
    count = len(set(primary.members) & set(present))
    if 2 * count == len(primary.members):
        return primary.decider in present
    return 2 * count > len(primary.members)


def undecided(
    formed: Collection[Primary], attempts: Iterable[Primary], present: Collection[str]
) -> Primary | None:
    """Return a primary, or an open attempt, that keeps these from going on; None if none does.

    Args:
        formed: what is known of primaries, at least one.
        present: who is there with its memory.
    """
    last = max(formed)
    later = sorted(one for one in attempts if one.epoch > last.epoch)
    return next((one for one in (last, *later) if not decides(one, present)), None)


def obstacle(kept: Mapping[str, Kept], last: Primary | None) -> str:
    """Return what keeps the nodes with these disks from going on, "" if nothing does.

    Args:
        kept: by name.
        last: the last primary that was formed, where that is known; who is here may not know it.
    """
    formed = [one.formed for one in kept.values() if one.formed is not None]
    if not formed:
        return "nobody knows of a primary"
    known = formed if last is None or last < max(formed) else [*formed, last]
    voters = {
        name
        for name, one in kept.items()
        if (one.formed is not None or one.attempts)
        and not any(name in primary.members and one.used < primary.epoch for primary in known)
    }
    attempts = {attempt for one in kept.values() for attempt in one.attempts}
    missing = undecided(formed, attempts, voters) or undecided(known, (), voters)
    if missing is None:
        return ""
    return f"{', '.join(sorted(voters)) or 'nobody'} of {', '.join(missing.members)}"
