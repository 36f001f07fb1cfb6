"""Formation of a primary in one view: who stands where, what is proposed, who has agreed."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import replace

import msgspec

from zactor.kernel import limits
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.knowledge import KbAttempt, KbStanding, Primary, Transaction
from zactor.kernel.messages.views import View
from zactor.kernel.replication.log import Log
from zactor.kernel.replication.state_transfer import is_near
from zactor.kernel.replication.voting import (
    Standings,
    Verdict,
    chosen,
    decides,
    founding_of,
    judge,
    make_primary,
    settled,
)


def first_attempt(
    verdict: Verdict, standings: Standings, log: Log, founding: str, cramped: Collection[str]
) -> KbAttempt:
    """Return what is proposed by the proposer of a view, or by who founds a cluster.

    Args:
        cramped: whose disks have no room.
    """
    members = _near(verdict, standings, log) if verdict.voters else verdict.camp.difference(cramped)
    return KbAttempt(
        primary=make_primary(verdict.epoch, standings, members, founding),
        voices=tuple(sorted({*members, *verdict.voters})),
        number=log.end,
        chain=log.end_chain,
        log_epoch=log.epoch,
    )


def _near(verdict: Verdict, standings: Standings, log: Log) -> Collection[str]:
    """Return which voters are there as soon as they have little more of the history.

    Who has no memory is let in when it has: or it couldn't say that an attempt never came to it.
    Whoever lacks more is brought up while those work who can do so without it; where they can't,
    all who have a vote are waited for, as far as what they lack is kept.
    """
    near = [name for name in verdict.voters if is_near(log, standings[name], is_voter=False)]
    formed = [standings[name].formed for name in verdict.voters]
    last = max((primary for primary in formed if primary is not None), default=None)
    if last is not None and decides(last, near, verdict.forgotten):
        return near
    return [name for name in verdict.voters if is_near(log, standings[name], is_voter=True)]


def next_attempt(
    primary: Primary,
    members: Collection[str],
    standings: Standings,
    log: Log,
    *,
    counted: Collection[str],
    epoch: int,
) -> KbAttempt | None:
    """Return the attempt that makes `members` those of the primary; None if they are, or nobody.

    Args:
        counted: of the primary: whose disks have room. It can't be if these don't decide it.
        epoch: its number.
    """
    if not members or set(members) == set(primary.members) or not decides(primary, counted):
        return None
    return KbAttempt(
        primary=make_primary(epoch, standings, members, primary.founding),
        voices=tuple(sorted({*members, *counted})),
        number=log.end,
        chain=log.end_chain,
        log_epoch=log.epoch,
    )


def founding_fact(founding: str) -> str:
    """Return the fact that says which founding a history goes back to."""
    return f"founded({quote_atom(founding)})"


def founding_change(founding: str, who: str, log: Log) -> Transaction | None:
    """Return the first change of a cluster: which founding it goes back to; None if `log` has it.

    A cluster that was recovered goes on with the history of another.
    """
    fact, id_ = founding_fact(founding), f"founding {founding}"
    if fact in log.theory or any(entry.transaction.id == id_ for entry in log.tail):
        return None
    is_first = not log.end
    return Transaction(
        id=id_,
        who=who,
        why="the cluster is founded" if is_first else "the cluster is recovered, by an operator",
        require=(),
        retract=() if is_first else ("founded(_)",),
        assert_=(fact,),
    )


class Phase(enum.Enum):
    """How far a view has come."""

    EXCHANGING = "exchanging"  # somebody hasn't said yet where it stands
    WAITING = "waiting"  # there can be no primary here, or nobody has founded a cluster yet
    FORMING = "forming"  # an attempt is expected, or under way
    PRIMARY = "primary"  # one was formed


class Step(enum.Enum):
    """What moves a view."""

    QUORUM = "quorum"  # all stand, and may form a primary
    NO_QUORUM = "no quorum"  # all stand, and may not
    FOUNDED = "founded"  # somebody founds the cluster
    RECOVERED = "recovered"  # an operator says to go on without a quorum
    FORMED = "formed"  # all voices have recorded the attempt


TRANSITIONS: Mapping[Phase, Mapping[Step, Phase]] = {
    Phase.EXCHANGING: {Step.QUORUM: Phase.FORMING, Step.NO_QUORUM: Phase.WAITING},
    Phase.WAITING: {
        Step.FOUNDED: Phase.FORMING,
        Step.RECOVERED: Phase.FORMING,
        Step.QUORUM: Phase.FORMING,  # an operator has said who is to be forgotten
        Step.NO_QUORUM: Phase.WAITING,
    },
    Phase.FORMING: {Step.FORMED: Phase.PRIMARY},
    Phase.PRIMARY: {Step.FORMED: Phase.PRIMARY},
}

"""A new view begins at EXCHANGING. What asks for a step that isn't here is dropped."""


class Formation:
    """What one member knows of one view."""

    def __init__(self, me: str, view: View) -> None:
        """All members of `view` are to be heard."""
        self.view = view
        self.phase = Phase.EXCHANGING
        self.standings: dict[str, KbStanding] = {}
        self.verdict: Verdict | None = None  # None while EXCHANGING
        self.proposer = ""  # of this view: whose history counts, or who founds
        self.attempt: KbAttempt | None = None  # under way
        self.is_undecided = False  # it was agreed to after the view had ended for us
        self.primary: Primary | None = None  # the last one formed here
        self.joining: set[str] = set()  # who said that it is ready to be a member
        self.leaving: set[str] = set()  # who said that it stops
        self.cramped: set[str] = set()  # who said that its disk has no room
        self.is_proposing = False  # what we proposed isn't formed yet
        self._is_frozen = False  # the attempt can't be agreed to any more, nor be given up yet
        self._is_outdated = False  # other disks have room than when we proposed
        self._used = 0  # the highest number of an attempt that was given up here
        self._recovering = ""  # the founding of what an operator recovers
        self._said: set[str] = set()
        self._me = me
        self._names = {node.name for node in view.members}

    def _move(self, step: Step) -> bool:
        phase = TRANSITIONS[self.phase].get(step)
        if phase is None:
            return False
        self.phase = phase
        return True

    def stands(self, name: str, standing: KbStanding) -> bool:
        """A member says where it stands; True when the last one has."""
        if standing.view != self.view.id or self.phase is not Phase.EXCHANGING:
            return False  # of an earlier view: it waited in its sender's queue
        self.standings[name] = standing
        (self.cramped.discard if standing.has_room else self.cramped.add)(name)
        if self.standings.keys() != self._names:
            return False
        self.standings = settled(self.standings)
        self._judge()
        return True

    def _judge(self) -> Verdict:
        self.verdict = verdict = judge(self._me, self.standings, self.cramped)
        self.proposer = verdict.source
        self._move(Step.QUORUM if verdict.source else Step.NO_QUORUM)
        return verdict

    def forget(self, name: str) -> Verdict | None:
        """An operator's word: `name` is gone for good. Return what all conclude from it.

        None: nothing waits for it.
        """
        verdict = self.verdict
        if verdict is None or self.phase is not Phase.WAITING or name not in verdict.missing:
            return None
        word = (name, verdict.known)
        for member in verdict.camp:
            standing = self.standings[member]
            told = msgspec.structs.replace(standing, forgotten=(*standing.forgotten, word))
            self.standings[member] = told
        self.standings = settled(self.standings)
        return self._judge()

    def cramp(self, name: str, *, transitional: bool) -> KbAttempt | None:
        """The disk of `name` has no room. Return the attempt that is given up, as it waits for it.

        After the signal it is only frozen: who goes on in the view may not have heard of this.
        """
        self.cramped.add(name)
        self._is_outdated = self.is_proposing
        if self.primary is not None and name in self.primary.members:
            self.joining.add(name)  # it has all, so it is let in again as soon as it has room
        attempt = self.attempt
        if attempt is None or name not in attempt.voices or self.is_undecided:
            return None
        if transitional:
            self._is_frozen = True
            return None
        self.attempt, self.is_proposing, self._is_outdated = None, False, False
        self._used = attempt.primary.epoch
        return attempt

    def uncramp(self, name: str) -> None:
        """The disk of `name` has room again."""
        self.cramped.discard(name)
        self._is_outdated = self.is_proposing

    def begin_anew(self) -> Formation:
        """Return the formation in which those of our cluster are to be heard once more."""
        assert self.verdict is not None, "all have been heard"
        anew = Formation(self._me, self.view)
        apart = self.verdict.strangers  # they have their own, and needn't begin it anew
        anew.standings = {name: self.standings[name] for name in apart}
        anew.cramped = self.cramped & {*apart}
        return anew

    @property
    def waits_for_room(self) -> tuple[str, ...]:
        """Of whose disks the primary of this view needs one, to go on; () if it goes on."""
        if self.primary is None:
            return ()
        full = self.cramped.intersection(self.primary.members)
        able = {*self.primary.members} - full
        return () if not full or decides(self.primary, able) else tuple(sorted(full))

    def recover(self, founding: str) -> bool:
        """An operator's word: go on without a quorum, as `founding`. False: it isn't time."""
        verdict = self.verdict
        if verdict is None or not verdict.founding or self.phase is not Phase.WAITING:
            return False
        citizens = {
            name: self.standings[name]
            for name in sorted(verdict.camp)
            if founding_of(self.standings[name]) and name not in self.cramped
        }
        if not citizens:
            return False
        self._move(Step.RECOVERED)
        self.verdict = replace(
            verdict,
            voters=tuple(citizens),
            source=chosen(citizens),
            epoch=verdict.known + 1 + limits.KB_EPOCHS_RECOVERED,
            reason="",
        )
        self.proposer = self.verdict.source
        self._recovering = founding
        return True

    @property
    def may_be_founded(self) -> bool:
        """Whether nobody here belongs to a cluster, and nobody has begun one."""
        verdict = self.verdict
        return self.phase is Phase.WAITING and verdict is not None and not verdict.founding

    @property
    def founding(self) -> str:
        """Of the cluster whose history counts here: of the primary, or of what was before it."""
        if self.primary is not None:
            return self.primary.founding
        if self.verdict is not None and self.verdict.founding:
            return self.verdict.founding  # also of what is recovered, until that is formed
        return self.attempt.primary.founding if self.attempt is not None else ""

    def is_ours(self, name: str) -> bool:
        """Whether `name` belongs to our cluster, or to none and so joins it."""
        return self.verdict is not None and name in self.verdict.camp

    def first_attempt(self, log: Log, founding: str) -> KbAttempt:
        """As the proposer, or as who founds a cluster: return what to propose."""
        assert self.verdict is not None, "all have said where they stand"
        self.is_proposing = True
        return first_attempt(self.verdict, self.standings, log, founding, self.cramped)

    def next_attempt(self, log: Log) -> KbAttempt | None:
        """As the proposer: return how to let members in and out, None if it isn't time."""
        if self.primary is None or self.proposer != self._me or self.is_proposing:
            return None
        members = {*self.primary.members, *self.joining} - self.leaving - self.cramped
        attempt = next_attempt(
            self.primary,
            members,
            self.standings,
            log,
            counted={*self.primary.members} - self.cramped,
            epoch=self._next_epoch(self.primary),
        )
        self.is_proposing = attempt is not None
        return attempt

    def _next_epoch(self, primary: Primary) -> int:
        return max(primary.epoch, self._used) + 1

    def propose(self, name: str, attempt: KbAttempt) -> bool:
        """Take up what the proposer wants; False: it isn't its turn, or its number's."""
        if self.attempt is not None or self.verdict is None:
            return False
        is_founder = self.may_be_founded
        is_turn = name == self.proposer and self.phase in (Phase.FORMING, Phase.PRIMARY)
        if not (is_founder or is_turn) or not self._is_expected(name, attempt):
            if name == self._me and self._is_outdated:
                self.is_proposing = self._is_outdated = False
            return False
        if is_founder:
            self.proposer = name
            self._move(Step.FOUNDED)
        self.attempt = attempt
        self._said = set()
        return True

    def _is_expected(self, name: str, attempt: KbAttempt) -> bool:
        """Whether `name` proposes what all expect: only who of them is a member is its to say."""
        before, standing, verdict = self.primary, self.standings[name], self.verdict
        assert verdict is not None, "all stand"
        if before is None:
            number, counted = verdict.epoch, {*verdict.voters}
            able = {*(verdict.voters or verdict.camp)} - self.cramped
            founding = self._recovering or verdict.founding or attempt.primary.founding
            end = (standing.number, standing.chain, standing.epoch)
        else:
            number, counted = self._next_epoch(before), {*before.members} - self.cramped
            able = {*before.members, *self.joining} - self.cramped
            if not decides(before, counted):
                return False
            founding = before.founding
            end = (attempt.number, attempt.chain, min(attempt.log_epoch, before.epoch))
        members = {*attempt.primary.members}
        return (
            bool(founding and members)
            and members <= able
            and attempt.primary == make_primary(number, self.standings, members, founding)
            and attempt.voices == tuple(sorted({*members, *counted}))
            and (attempt.number, attempt.chain, attempt.log_epoch) == end
        )

    def say(self, name: str, epoch: int) -> bool:
        """A voice has recorded the attempt; True when all have."""
        if self.attempt is None or self._is_frozen or epoch != self.attempt.primary.epoch:
            return False
        self._said.add(name)
        return self._said >= set(self.attempt.voices)

    def form(self) -> KbAttempt:
        """All voices have been heard: the attempt is a primary."""
        assert self.attempt is not None, "only an attempt can be formed"
        attempt, self.attempt = self.attempt, None
        self.primary = attempt.primary
        self.is_proposing = False
        self._move(Step.FORMED)
        return attempt

    def staying(self) -> set[str] | None:
        """Return who goes on without us, who leave; None while we are needed.

        That is nobody where all members leave at once.
        """
        if self.primary is None or self._me not in self.leaving:
            return None
        members = {*self.primary.members}
        staying = members - self.leaving
        return None if staying and self._me in members else staying

    def reason(self) -> str:
        """Return why no changes are taken in this view, as far as the view is to blame."""
        if self.verdict is not None and self.verdict.reason:
            return self.verdict.reason
        if self.phase is Phase.EXCHANGING:
            missing = ", ".join(sorted(self._names - self.standings.keys()))
            return f"{self._me} hasn't heard yet where {missing} stands"
        return f"{self._me} waits for the others of its view to agree on a primary"
