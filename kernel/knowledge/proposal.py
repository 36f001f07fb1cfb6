"""What a proposer proposes: who shall be in the primary, and who must know of it.

Members are those who have the history or can have it in a moment; whoever lacks much is brought up
while the primary works, and let in afterwards. All who count for a majority are voices.
"""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.knowledge.formation import Formation
from zactor.kernel.knowledge.log import Log
from zactor.kernel.knowledge.transfer import is_near
from zactor.kernel.knowledge.voting import make_primary
from zactor.kernel.protocol.messages import KbAttempt, Primary


def first_attempt(formation: Formation, log: Log, founding: str) -> KbAttempt:
    """Return what is proposed by the proposer of a view, or by who founds a cluster."""
    verdict, standings = formation.verdict, formation.standings
    assert verdict is not None, "all have said where they stand"
    roles = {name: standings[name].role for name in verdict.camp}
    members: Collection[str] = verdict.camp
    if verdict.voters:
        members = [name for name in verdict.camp if is_near(log, standings[name])]
    return KbAttempt(
        primary=make_primary(verdict.epoch, roles, members, founding),
        voices=tuple(sorted({*members, *verdict.voters})),
        number=log.end,
        chain=log.end_chain,
    )


def reshaped(
    primary: Primary,
    formation: Formation,
    log: Log,
    joining: Collection[str],
    leaving: Collection[str],
) -> KbAttempt | None:
    """Return the attempt that lets members in and out; None if nothing would change."""
    members = {*primary.members, *joining} - set(leaving)
    if not members or members == set(primary.members):
        return None
    roles = {name: standing.role for name, standing in formation.standings.items()}
    return KbAttempt(
        primary=make_primary(primary.epoch + 1, roles, members, primary.founding),
        voices=tuple(sorted({*members, *primary.members})),
        number=log.end,
        chain=log.end_chain,
    )
