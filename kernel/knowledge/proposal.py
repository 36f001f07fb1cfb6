"""What a proposer proposes: who shall be in the primary, and who must know of it.

Members are those who have the history or can have it in a moment; whoever lacks much is brought up
while the primary works, and let in afterwards. All who count for a majority are voices.
"""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.knowledge.log import Log
from zactor.kernel.knowledge.terms import quote_atom
from zactor.kernel.knowledge.transfer import is_near
from zactor.kernel.knowledge.voting import Standings, Verdict, make_primary
from zactor.kernel.protocol.messages import KbAttempt, Primary, Transaction


def first_attempt(verdict: Verdict, standings: Standings, log: Log, founding: str) -> KbAttempt:
    """Return what is proposed by the proposer of a view, or by who founds a cluster."""
    members: Collection[str] = verdict.camp
    if verdict.voters:
        members = [
            name
            for name in verdict.camp
            if is_near(log, standings[name], is_voter=name in verdict.voters)
        ]
    return KbAttempt(
        primary=make_primary(verdict.epoch, standings, members, founding),
        voices=tuple(sorted({*members, *verdict.voters})),
        number=log.end,
        chain=log.end_chain,
    )


def next_attempt(
    primary: Primary, members: Collection[str], standings: Standings, log: Log
) -> KbAttempt | None:
    """Return the attempt that makes `members` those of the primary; None if they are, or nobody."""
    if not members or set(members) == set(primary.members):
        return None
    return KbAttempt(
        primary=make_primary(primary.epoch + 1, standings, members, primary.founding),
        voices=tuple(sorted({*members, *primary.members})),
        number=log.end,
        chain=log.end_chain,
    )


def founding_change(founding: str, who: str) -> Transaction:
    """Return the first change of every history: which founding it goes back to."""
    return Transaction(
        id=f"founding {founding}",
        who=who,
        why="the cluster is founded",
        require=(),
        retract=(),
        assert_=(f"founded({quote_atom(founding)})",),
    )
