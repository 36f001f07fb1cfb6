"""Which rows of the tables and which rules of PROTOCOL.md, section 9, a run has exercised.

What is looked at inside of the machines is looked at in `_Look` and in `Coverage`, nowhere else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from zactor.kernel.ids import Clock
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.knowledge import (
    KbAttempt,
    KbAttempted,
    KbBehind,
    KbDurable,
    KbLinked,
    KbNote,
    KbOrdered,
    KbPiece,
    KbStanding,
    KbSubmission,
    NoteKind,
    Primary,
)
from zactor.kernel.replication import effects
from zactor.kernel.replication.formation import Formation, Phase, Step
from zactor.kernel.replication.log import Kept
from zactor.kernel.replication.replica import Replica
from zactor.kernel.replication.voting import founding_of, has_memory, out_of_reach, went_back
from zactor.testing.coverage import Coverage
from zactor.testing.replica_rules import TABLES

PHASES = {Phase.EXCHANGING: "EXCHANGING", Phase.WAITING: "WAITING", Phase.FORMING: "FORMING"}


class _Look(NamedTuple):
    """A replica before it is given something."""

    phase: Phase
    formation: Formation
    attempt: KbAttempt | None
    is_undecided: bool
    primary: Primary | None
    attempts: int
    end: int
    durable: int
    order_epoch: int
    is_synced: bool
    clock: Clock


class ReplicaCoverage(Coverage):
    """Counts of rows and rules, over any number of runs."""

    def __init__(self) -> None:
        """Nothing has been exercised yet."""
        super().__init__(TABLES)
        self._sent: set[tuple[int, str]] = set()
        self._founders: set[tuple[object, str]] = set()

    def look(self, replica: Replica) -> _Look:
        """Return how it stands now."""
        stay, state = replica._view_state, replica._state
        formation = stay.formation
        return _Look(
            phase=formation.phase,
            formation=formation,
            attempt=formation.attempt,
            is_undecided=formation.is_undecided,
            primary=formation.primary,
            attempts=len(state.attempts),
            end=state.log.end,
            durable=state.writes.durable,
            order_epoch=stay._order_epoch,
            is_synced=stay._is_synced,
            clock=replica.clock,
        )

    # -- what is told ------------------------------------------------------------------------
    def viewed(self, before: _Look, replica: Replica, members: tuple[str, ...], held: bool) -> None:
        """A view was installed."""
        if held:
            self.hit("P10 silent")
            return
        self.hit("any: a view")
        state = replica._state
        if before.attempt is not None and not before.is_undecided:
            if len(state.attempts) < before.attempts:
                self.hit("any: a view, attempt void")
                self.hit("P6 struck out")
            elif before.attempt.primary in state.attempts and state.formed is None:
                self.hit("P6 first attempt kept")
        if state.log.tail:
            self.hit("D6 a tail outlives its view")
        if replica.clock > before.clock:
            self.hit("T1 kept when the view ends")

    def gave(
        self, before: _Look, replica: Replica, sender: str, said: KbOrdered, transitional: bool
    ) -> None:
        """Something was delivered."""
        match said:
            case KbStanding():
                if before.phase is Phase.EXCHANGING is not before.formation.phase:
                    self._judged(before, replica)
            case KbAttempt():
                self._attempted(before, replica, sender, said)
            case KbAttempted():
                self._agreed(before, replica, transitional)
            case KbSubmission():
                self._submitted(before, replica, transitional)
            case KbDurable():
                self._claimed(before, replica)
            case KbNote():
                if said.kind in (NoteKind.CRAMPED, NoteKind.ROOMY):
                    self._roomed(before, replica, sender, said.kind, transitional)
                elif said.kind is NoteKind.FORGET:
                    if len(replica._state.attempts) < before.attempts:
                        self.hit("P13 a first attempt fails")
                elif said.kind is NoteKind.READY:
                    self.hit("T2 ready")
                elif said.kind is NoteKind.FORKED and said.id == replica.me:
                    self.hit("D10 told of a fork")

    def linked(self, replica: Replica, said: KbLinked) -> None:
        """Something comes over a link."""
        if isinstance(said, KbPiece) and said.last:
            self.hit("T1 snapshot" if said.is_snapshot else "T1 changes")
            if said.piece:
                self.hit("T1 more than one piece")
            if replica._view_state._early:
                self.hit("T2 kept meanwhile")
        elif isinstance(said, KbBehind) and replica.primary is not None:
            self.hit("T1 asked by an observer")

    def started(self, kept: Kept) -> None:
        """A process begins with this."""
        if kept.formed is not None:
            self.hit("P4 started from a formed primary")
        if kept.attempts:
            self.hit("P5 open at start")

    def wrote(self, put: tuple[Any, ...], has_tail: bool) -> None:
        """Records are written, by who has something that isn't applied, or nothing."""
        for record in put:
            if type(record).__name__ == "CutTail" and has_tail:
                self.hit("D6 a tail is cut")
            if type(record).__name__ == "PutApplied" and record.changes:
                self.hit("D3 applied", len(record.changes))
                if any(change.epoch < record.epoch for change in record.changes):
                    self.hit("D5 an older epoch decided")

    def decided(self, effect: effects.Decided, replica: Replica) -> None:
        """A client is told."""
        if effect.kind in ("NotPrimary", "OutcomeUnknown"):
            self.hit(f"D8 {effect.kind}")
        elif effect.kind:
            self.hit("D3 refused")
        elif effect.id.startswith("r"):
            self.hit("D7 read")
        elif replica.is_primary:
            self.hit("D4 told when all have applied it")
        else:
            self.hit("D4 told outside the primary")

    def traced(self, effect: Trace) -> None:
        """A replica had something for the log."""
        if effect.event == "histories_differ":
            self.hit("D10 a fork")

    def broke(self, effect: effects.Broken) -> None:
        """A node stops."""
        if effect.is_fork:
            self.hit("D10 outvoted")

    def said(self, replica: Replica, message: KbOrdered) -> None:
        """A replica says something to all."""
        id_ = ""
        if isinstance(message, KbSubmission):
            id_ = message.transaction.id
        elif isinstance(message, KbNote) and message.kind is NoteKind.READ:
            id_ = message.id
        if id_:
            key = (id(replica), id_)
            if key in self._sent:
                self.hit("D7 read again" if isinstance(message, KbNote) else "D8 sent again")
            self._sent.add(key)

    def run_ends(self) -> None:
        """What was kept of one run is of no use to the next."""
        self._sent.clear()
        self._founders.clear()

    # -- inside ------------------------------------------------------------------------------
    def _stepped(self, phase: Phase, step: Step) -> None:
        self.hit(f"formation {phase.name}: {step.name}")

    def _judged(self, before: _Look, replica: Replica) -> None:
        formation = before.formation
        verdict = formation.verdict
        if verdict is None:
            return
        way = "FORMING" if verdict.source else "WAITING"
        self.hit(f"EXCHANGING: last standing, {way}")
        self._stepped(Phase.EXCHANGING, Step.QUORUM if verdict.source else Step.NO_QUORUM)
        if len(replica._state.attempts) < before.attempts:
            self.hit(self._how_it_failed(replica))
        if out_of_reach(formation.standings):
            self.hit("P11 out of reach")
        camp = {name: formation.standings[name] for name in sorted(verdict.camp)}
        if went_back(camp):
            self.hit("P2 a disk that went back")
        if any(founding_of(one) and not has_memory(one) for one in camp.values()):
            self.hit("P9 by its log")
        standings = {name: formation.standings[name] for name in verdict.voters}
        formed = [one.formed for one in standings.values() if one.formed is not None]
        last = max(formed, default=None)
        is_open = any(
            last is None or attempt.epoch > last.epoch
            for one in standings.values()
            for attempt in one.attempts
        )
        if is_open:
            self.hit("P1 an open attempt beyond the last primary")
        if last is None:
            return
        here = sum(name in verdict.voters for name in last.members)
        if any(name in verdict.camp and name not in verdict.voters for name in last.members):
            self.hit("P2 somebody without a disk")
        if not verdict.source:
            is_few = 2 * here < len(last.members) or (
                2 * here == len(last.members) and last.decider not in verdict.voters
            )
            self.hit("P2 refused" if is_few else "P2 refused for an open attempt")
            return
        if 2 * here == len(last.members):
            self.hit("P2 half with the decider")
        elif here < len(last.members):
            self.hit("P2 a majority")
        self._chosen({name: (one.epoch, one.number) for name, one in standings.items()})

    def _chosen(self, worth: dict[str, tuple[int, int]]) -> None:
        best = max(worth.values())
        if best[1] < max(number for _, number in worth.values()):
            self.hit("P3 by epoch")
        elif any(one[0] == best[0] and one[1] < best[1] for one in worth.values()):
            self.hit("P3 by length")
        elif sum(one == best for one in worth.values()) > 1:
            self.hit("P3 by name")

    def _attempted(self, before: _Look, replica: Replica, sender: str, said: KbAttempt) -> None:
        formation = before.formation
        if before.phase is Phase.WAITING and formation.phase is Phase.FORMING:
            self.hit("WAITING: attempt, FORMING")
            self._stepped(Phase.WAITING, Step.FOUNDED)
        elif formation.attempt is not None and formation.proposer != sender:
            self.hit("P8 two found")
        if formation.attempt is not said or before.attempt is said:
            if formation.verdict is not None and formation.attempt is None:
                known = formation.primary.epoch if formation.primary is not None else 0
                expected = known + 1 if known else formation.verdict.epoch
                if said.primary.epoch != expected:
                    self.hit("P11 another number")
            return
        me = replica.me
        if me in said.voices and before.phase is Phase.PRIMARY:
            self.hit("PRIMARY: attempt, recorded")
        elif me in said.voices:
            has = len(replica._state.attempts) > before.attempts
            how = "recorded" if has else "taken over first"
            self.hit(f"FORMING: attempt, {how}")
        if me in said.voices and me not in said.primary.members:
            self.hit("P7 a voice that is no member")
        verdict = formation.verdict
        voters = verdict.voters if verdict is not None else ()
        if formation.primary is None and me in voters and me not in said.primary.members:
            self.hit("P7 a voter that is brought up later")

    def _agreed(self, before: _Look, replica: Replica, transitional: bool) -> None:
        formation, attempt = before.formation, before.attempt
        phase = "PRIMARY" if before.phase is Phase.PRIMARY else "FORMING"
        if attempt is not None and formation.is_undecided and not before.is_undecided:
            self.hit(f"{phase}: last attempted, transitional")
        elif attempt is not None and formation.primary is attempt.primary:
            self.hit(f"{phase}: last attempted, regular")
            self._stepped(before.phase, Step.FORMED)
            if before.attempts > 1:
                self.hit("P5 settles an attempt")
            if before.phase is Phase.PRIMARY:
                gone = set(attempt.voices) - set(attempt.primary.members)
                out = formation.cramped.difference(attempt.primary.members)
                if before.primary is not None and out.intersection(before.primary.members):
                    self.hit("P14 let out")
                self.hit("P7 let out" if gone else "P7 let in")

    def _roomed(
        self, before: _Look, replica: Replica, sender: str, kind: NoteKind, transitional: bool
    ) -> None:
        formation, now = before.formation, replica._view_state.formation
        if now is not formation:
            self.hit("P14 begun anew")
        if kind is NoteKind.ROOMY:
            primary = formation.primary
            if primary is not None and sender in formation.joining.difference(primary.members):
                self.hit("P14 let in again")
            return
        if before.attempt is not None and now.attempt is None:
            self.hit("P14 given up")
        if formation._is_frozen and transitional:
            self.hit("P14 frozen")
        if formation.waits_for_room:
            self.hit("P14 the primary waits")

    def _submitted(self, before: _Look, replica: Replica, transitional: bool) -> None:
        if not before.order_epoch:
            self.hit(f"{PHASES.get(before.phase, 'FORMING')}: submission dropped")
            return
        self.hit("D1 after the signal" if transitional else "D1 in the regular configuration")
        if not before.is_undecided:
            self.hit("PRIMARY: submission ordered")
        elif before.phase is Phase.PRIMARY:
            self.hit("undecided reshape: submission ordered")
        else:
            self.hit("undecided first: submission ordered")

    def _how_it_failed(self, replica: Replica) -> str:
        if replica._state.formed is not None:
            return "P5 failed"
        formed = [one.formed for one in replica._view_state.formation.standings.values()]
        return "P6 first attempt yields" if any(formed) else "P6 first attempt struck out later"

    def _claimed(self, before: _Look, replica: Replica) -> None:
        state, stay = replica._state, replica._view_state
        primary = replica.primary
        if primary is None:
            return
        is_reshaping = stay.formation.attempt is not None
        if is_reshaping and stay._disk_quorum.decided(primary) > stay._sure_line:
            self.hit("D2 held back by an attempt")
        if state.log.number > 0 and state.writes.durable < state.log.number:
            self.hit("D2 a majority decides")


def attempt_of(replica: Replica) -> KbAttempt | None:
    """Return the attempt under way at a replica."""
    return replica._view_state.formation.attempt
