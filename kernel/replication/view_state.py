"""State of a replica in one view: how its members make a primary, and what that orders and applies.

The rule a reader must not break: members conclude alike, so what is decided here depends on what
was delivered and in which order, and on nothing else; what a node alone knows, it says first.
"""

from __future__ import annotations

from typing import assert_never

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.ids import ORIGIN, Clock, NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.knowledge import (
    Entry,
    KbAttempt,
    KbAttempted,
    KbBehind,
    KbDurable,
    KbLinked,
    KbNote,
    KbOrdered,
    KbStanding,
    KbSubmission,
    NoteKind,
    Primary,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View
from zactor.kernel.replication.disk_quorum import DiskQuorum
from zactor.kernel.replication.durable_state import DurableState
from zactor.kernel.replication.effects import (
    BecamePrimary,
    Broken,
    Decided,
    Effect,
    LostPrimary,
    Multicast,
    Retired,
    Stranger,
)
from zactor.kernel.replication.fork_check import ForkCheck
from zactor.kernel.replication.formation import Formation, Phase, founding_change
from zactor.kernel.replication.losses import Losses
from zactor.kernel.replication.state_transfer import StateTransfer, Whole
from zactor.kernel.replication.submissions import Submissions
from zactor.kernel.replication.voting import MAKE_ROOM, room_words


class ViewState:
    """What a replica does in one view."""

    def __init__(
        self,
        me: str,
        view: View,
        state: DurableState,
        submissions: Submissions,
        out: list[Effect],
        *,
        way: int,
    ) -> None:
        """`state` and `submissions` outlive the view; effects go to `out`.

        Args:
            way: how often it was begun anew.
        """
        self.me = me
        self.formation = Formation(me, view)
        self.is_transitional = False  # the view's guarantees have ended
        self.is_broken = False
        self.is_leaving = False  # the node stops in good order, and says so in each primary
        self._view = view
        self._nodes = {node.name: node for node in view.members}
        self._state = state
        self._open = submissions
        self._out = out
        self._disk_quorum = DiskQuorum()
        self._forks = ForkCheck(me)
        self._seen: dict[str, Clock] = {}  # what others say to have applied
        self._transfer = StateTransfer(view.id, state.log, out, way)
        self._order_epoch = 0  # what is delivered now is ordered in it; 0: it is dropped
        self._line = 0  # number of the last entry that was ordered in this view
        self._sure_line = 0  # … before the attempt: all its voices have up to there on disk
        self._is_synced = False  # our log is that of the primary
        self._early: list[Entry] = []  # ordered while we are being brought up: up to _line
        self._saying = 0  # number of the write after which we say that the attempt is recorded
        self._readying = 0  # … that we are ready to be a member
        self.has_asked = False  # it was said: the next primary may have us in it
        self._marking = 0  # … that puts the primary on disk: before it we claim nothing in it
        self._voices: tuple[str, ...] = ()  # of the primary
        self._is_told = False  # those at this node know that changes are taken here
        self.is_to_begin_anew = False  # in the same view: other disks have room than was said
        self._founded_at = 0.0  # wall clock, for people: of a cluster's first change

    # -- what the replica asks ---------------------------------------------------------------
    @property
    def is_primary(self) -> bool:
        """Whether changes are taken here now."""
        return self._is_in and not self.formation.waits_for_room

    @property
    def is_settled(self) -> bool:
        """Whether it is clear if changes are taken here: by whom, or why not."""
        formation = self.formation
        waits = bool(formation.waits_for_room)
        is_out = bool(self._state.no_room) and formation.primary is not None
        return self.is_primary or waits or is_out or formation.phase is Phase.WAITING

    @property
    def _is_in(self) -> bool:
        """Whether this node is one of the primary, be it that this waits for room on a disk."""
        is_member = self._is_member(self.formation.primary)
        return is_member and not (self.is_transitional or self.is_broken)

    @property
    def shown(self) -> Clock:
        """The last change that all members of the primary have applied, as far as is known here."""
        members = self.formation.primary.members if self.formation.primary is not None else ()
        others = [self._seen.get(name, ORIGIN) for name in members if name != self.me]
        return min((self._state.log.clock, *others))

    def _is_member(self, primary: Primary | None) -> bool:
        return primary is not None and self.me in primary.members

    def reason(self) -> str:
        """Return why no changes are taken here, in words for people."""
        if self.is_broken:
            return f"{self.me} can't keep the knowledge base any more"
        if self._state.no_room:
            return f"{self.me} takes no changes: {self._state.no_room}: {MAKE_ROOM}"
        if full := self.formation.waits_for_room:
            return f"changes wait: {room_words(full)}"
        if self.formation.primary is not None and not self._is_member(self.formation.primary):
            return f"{self.me} is being brought up by {self.formation.proposer}"
        return self._forks.reason() or self.formation.reason()

    def send_open(self) -> None:
        """Send what waits for the primary, if this node is in it."""
        if self.is_primary:
            self._out += self._open.to_send()

    def say(self, service: Service, message: KbOrdered) -> None:
        """Tell all members."""
        if not self.is_broken:
            self._out.append(Multicast(service=service, message=message))

    def stop(self, why: str, *, is_fork: bool = False) -> None:
        """This node must stop: from now on it says nothing."""
        if not self.is_broken:
            self.is_broken = True
            self._out.append(Broken(why=why, is_fork=is_fork))

    def _trace(self, event: str, **fields: str) -> None:
        self._out.append(Trace(event=event, fields=fields))

    def losses(self) -> Losses | None:
        """What is missing, where an operator could say to go on; None where there is no need."""
        formation = self.formation
        if formation.phase is not Phase.WAITING or formation.verdict is None:
            return None
        forked, clock = self._forks.reason(), self._state.log.clock
        return Losses.of(formation.verdict, formation.standings, clock, forked=forked)

    def give_word(self, kind: NoteKind, id_: str, at: float) -> None:
        """Tell all members of this view what an operator says of it."""
        self.say(Service.SAFE, KbNote(kind, id_, self._view.id, at))

    @property
    def may_found(self) -> bool:
        """Whether nobody here has a cluster, and nobody takes this node's disk for full."""
        formation = self.formation
        is_roomy = self.me not in formation.cramped and not self._state.no_room
        return formation.may_be_founded and is_roomy

    def found(self, founding: str, at: float) -> None:
        """Found a cluster, if nobody here knows of one."""
        formation = self.formation
        if self.may_found and not formation.is_proposing:
            self._founded_at = at
            self._propose(founding)

    def leave(self) -> None:
        """The view is over, and with it what was under way in it."""
        self._keep_what_came()
        if self._is_member(self.formation.primary):
            self._open.lost()
            self._lose(f"the view of {self.me} has changed")
        self._strike_out()

    def _strike_out(self) -> None:
        attempt = self.formation.attempt
        if attempt is None or self.formation.is_undecided:
            return  # undecided: another may have seen it agreed to in time, so it counts
        if attempt.primary in self._state.attempts and self._state.is_founded:
            # Not all voices were heard by the end of the view, so nobody has heard them all. (The
            # first attempt of all is kept: there is no primary before it that binds us together.)
            self._state.drop(attempt.primary)

    # -- what happens ------------------------------------------------------------------------
    def written(self, number: int) -> None:
        """All writes up to `number` are on disk."""
        before = self._state.writes.durable
        self._state.confirm(number)
        if self._saying and self._saying <= number:
            self._saying = 0
            attempt = self.formation.attempt
            assert attempt is not None, "what is recorded is under way"
            self.say(Service.SAFE, KbAttempted(attempt.primary.epoch))
        if self._readying and self._readying <= number:
            self._readying = 0
            if not self.is_leaving:
                self.has_asked = True
                self.say(Service.AGREED, KbNote(NoteKind.READY, ""))
        is_marked = 0 < self._marking <= number
        if is_marked:
            self._marking = 0
        if is_marked or self._state.writes.durable > before:
            self._claim()

    def _claim(self) -> None:
        """Tell what is on disk here, and applied."""
        primary, log = self.formation.primary, self._state.log
        if self._is_in and primary is not None and not self._marking:
            durable = self._state.writes.durable
            self.say(Service.FIFO, KbDurable(primary.epoch, durable, log.clock, log.digest))

    def deliver(self, name: str, message: KbOrdered, transitional: bool) -> None:
        """A message to the group, at its place in the order."""
        if isinstance(message, KbStanding):
            if not transitional and self.formation.stands(name, message):
                self._judge()
        elif isinstance(message, KbNote) and message.kind is NoteKind.CRAMPED:
            self._cramp(name, transitional)  # who has stood counts, before all have
        elif isinstance(message, KbNote) and message.kind is NoteKind.ROOMY:
            self._uncramp(name, transitional)
        elif self.formation.is_ours(name):
            self._dispatch(name, message, transitional)
        elif name == self.me:  # nobody has said yet who is with whom: all drop it
            self._open.dropped(message)

    def _dispatch(
        self,
        name: str,
        message: KbAttempt | KbAttempted | KbSubmission | KbDurable | KbNote,
        transitional: bool,
    ) -> None:
        match message:
            case KbAttempt():
                if not transitional and self.formation.propose(name, message):
                    self._sure_line = self._line
                    self._record()
                elif name == self.me:
                    self._reshape()
            case KbAttempted():
                if self.formation.say(name, message.epoch):
                    self._agreed(transitional)
            case KbSubmission():
                self._order(name, message)
            case KbDurable():
                self._disk_quorum.hear(name, message.epoch, message.number)
                self._compare(name, message.clock, message.digest)
                self._stop_if_outvoted()
                self._seen[name] = Clock(*message.clock)
                self._advance()
                self._retire()
            case KbNote():
                self._note(name, message, transitional)
            case _:
                assert_never(message)

    def _compare(
        self, name: str, clock: tuple[int, int], digest: bytes, *, asks: bool = False
    ) -> None:
        """What `name` has applied must begin our history, if it is no longer than that."""
        history = self._state.log.history
        words = self._forks.compare(name, Clock(*clock), digest, history, asks=asks)
        if words:
            self.say(Service.AGREED, KbNote(NoteKind.FORKED, name))
            self._see_fork(name, words)

    def _see_fork(self, name: str, words: str) -> None:
        """Two histories, neither of which begins the other."""
        if words:
            self._state.forks[name] = words
            self._trace("histories_differ", peer=name, why=words)

    def _stop_if_outvoted(self) -> None:
        """Of a fork; all that is known of who is with whom must have been compared."""
        if self._forks.must_stop:
            words = "; ".join(self._state.forks[name] for name in self._forks.contrary)
            why = f"{words}: the state folder of one of them is an old copy, or this is a bug"
            self.stop(why, is_fork=True)

    # -- forming a primary -------------------------------------------------------------------
    def _judge(self) -> None:
        formation = self.formation
        verdict = formation.verdict
        assert verdict is not None, "all stand"
        for name in sorted(verdict.camp):
            standing = formation.standings[name]
            if self._state.log.holds(standing.applied, standing.applied_chain):
                self._apply(standing.applied)  # somebody applied it, so it was decided
            self._compare(name, standing.clock, standing.digest)
        self._stop_if_outvoted()
        self._state.keep_attempts(formation.standings[self.me].attempts)
        if verdict.strangers:
            names = ", ".join(verdict.strangers)
            why = (
                f"not of the cluster of {self.me}, but of one that was founded apart: {names};"
                " to let a node join, stop it and move its state folder away"
            )
            self._out.append(Stranger(names=verdict.strangers, why=why))
        self._trace("kb_judged", source=verdict.source, why=verdict.reason)
        self._go_on(verdict.founding)
        if self.is_leaving and not verdict.source:
            self._out.append(Retired())

    def _propose(self, founding: str) -> None:
        self.say(Service.AGREED, self.formation.first_attempt(self._state.log, founding))

    def _reshape(self) -> None:
        """As the proposer: let those in who are ready, and out who leave."""
        attempt = self.formation.next_attempt(self._state.log)
        if attempt is not None:
            self.say(Service.AGREED, attempt)

    def _record(self) -> None:
        """An attempt is under way: put it on disk, as soon as our log is what it asks for."""
        attempt, log = self.formation.attempt, self._state.log
        if attempt is None or self.me not in attempt.voices:
            return
        if self._forks.is_contrary(self.formation.proposer):
            return  # its log would replace ours
        needs_log = self.formation.primary is None and self._is_member(attempt.primary)
        if needs_log and (log.end, log.end_chain) != (attempt.number, attempt.chain):
            self._transfer.ask(self._nodes[self.formation.proposer], attempt.primary.epoch)
        else:
            self._saying = self._state.record(attempt, self.me)

    def _agreed(self, transitional: bool) -> None:
        """All voices have the attempt on disk."""
        formation = self.formation
        attempt = formation.attempt
        assert attempt is not None, "somebody spoke for it"
        if formation.primary is None:
            self._line = attempt.number
            self._is_synced = self._is_member(attempt.primary)
        self._order_epoch = attempt.primary.epoch
        if transitional:
            # Who saw this before the view ended may order changes. We must take them down as it
            # does, but can't know that it is the primary.
            formation.is_undecided = True
            return
        before = formation.primary
        formation.form()
        self._form(attempt, before)
        self._reshape()
        self._retire()

    def _form(self, attempt: KbAttempt, before: Primary | None) -> None:
        primary, was_member = attempt.primary, self._is_member(before)
        self._disk_quorum.formed(primary.epoch)
        self._marking = self._state.form(attempt, self.me)
        if self._is_member(primary):
            self._begin_primary(attempt)
        elif was_member:
            self._lose(f"{self.me} is leaving" if self.is_leaving else self.reason())
        elif before is None:
            if self.is_leaving:
                self._out.append(Retired())
            else:
                self._transfer.ask(self._nodes[self.formation.proposer], primary.epoch)

    def _begin_primary(self, attempt: KbAttempt) -> None:
        primary, log = attempt.primary, self._state.log
        self._voices = attempt.voices
        self._be_primary(primary)
        self._open.settle(log.history, {entry.transaction.id for entry in log.tail})
        self._advance()
        if self.is_leaving:
            self.say(Service.AGREED, KbNote(NoteKind.LEAVING, ""))
        if self.formation.proposer == self.me:
            first = founding_change(primary.founding, self.me, log)
            if first is not None:
                self.say(Service.SAFE, KbSubmission(first, self._founded_at))
        self.send_open()

    def _be_primary(self, primary: Primary) -> None:
        self._is_told = True
        epoch, members, voices = primary.epoch, primary.members, self._voices
        self._out.append(
            BecamePrimary(view=self._view.id, epoch=epoch, members=members, voices=voices)
        )

    def _lose(self, reason: str) -> None:
        if self._is_told:
            self._is_told = False
            self._out.append(LostPrimary(reason=reason))

    def _note(self, name: str, note: KbNote, transitional: bool) -> None:
        match note.kind:
            case NoteKind.READ:
                if name == self.me:
                    taken = self.is_primary and not transitional
                    self._open.came(note.id, self._state.log.end if taken else None)
                    self._answer_reads()
                    self.send_open()
            case NoteKind.READY:
                self.formation.joining.add(name)
                self._reshape()
            case NoteKind.FORKED:
                if note.id == self.me:
                    self._see_fork(name, self._forks.told(name))
                    self._stop_if_outvoted()
            case NoteKind.RECOVER:
                if (
                    note.view == self._view.id
                    and not transitional
                    and self.formation.recover(note.id)
                ):
                    self._founded_at = note.at
                    self._go_on(note.id)
            case NoteKind.FORGET:
                if note.view == self._view.id and not transitional:
                    self._forget(note.id)
            case NoteKind.LEAVING:
                self.formation.leaving.add(name)
                self._reshape()
                self._retire()
            case NoteKind.CRAMPED | NoteKind.ROOMY:
                raise AssertionError("it is for members of all clusters")
            case _:
                assert_never(note.kind)

    def _go_on(self, founding: str) -> None:
        """There can be a primary now: propose it, if that is for us to do."""
        if self.formation.proposer == self.me:
            self._propose(founding)

    def _forget(self, name: str) -> None:
        verdict = self.formation.forget(name)
        if verdict is None:
            return
        self._state.forget(tuple(sorted(verdict.forgotten.items())))
        self._state.keep_attempts(self.formation.standings[self.me].attempts)
        self._trace("kb_judged", source=verdict.source, why=verdict.reason)
        self._go_on(verdict.founding)

    # -- disks without room ------------------------------------------------------------------
    def _cramp(self, name: str, transitional: bool) -> None:
        """The disk of `name` has no room: it is no voice any more, as it can't record anything."""
        formation, was_primary = self.formation, self.is_primary
        if name == self.me:
            self.has_asked = False
        if not transitional and self._begins_anew(name):
            return
        given_up = formation.cramp(name, transitional=transitional)
        if given_up is not None:
            self._saying = 0
            if given_up.primary in self._state.attempts:
                self._state.drop(given_up.primary)
        if transitional or formation.primary is None:
            return
        if was_primary and not self.is_primary:
            self._open.lost()
            self._lose(self.reason())
        self._reshape()
        self._advance()

    def _uncramp(self, name: str, transitional: bool) -> None:
        """It has room again: it counts, and if it was a member, it is one again."""
        formation, waited = self.formation, self._is_in and not self.is_primary
        if not transitional and self._begins_anew(name):
            return
        formation.uncramp(name)
        primary = formation.primary
        if transitional or primary is None:
            return
        if waited and self.is_primary:
            self._be_primary(primary)
            self._claim()
            self.send_open()
        self._reshape()

    def _begins_anew(self, name: str) -> bool:
        """Whether all say once more where they stand: no primary works here, one may now."""
        formation = self.formation
        is_open = formation.phase in (Phase.WAITING, Phase.FORMING)
        self.is_to_begin_anew = is_open and formation.is_ours(name)
        return self.is_to_begin_anew

    def begin_anew(self) -> None:
        """Nobody works in the view yet; its members know where they stand by what they say next."""
        self._keep_what_came()
        self._strike_out()

    def _retire(self) -> None:
        """Go when those who stay have formed their primary, or they might miss us for ever."""
        staying = self.formation.staying()
        if staying is not None and self._disk_quorum.have_come(staying):
            self._out.append(Retired())

    # -- ordering and applying ---------------------------------------------------------------
    def _order(self, name: str, message: KbSubmission) -> None:
        is_ordered = bool(self._order_epoch)
        if is_ordered:
            self._line += 1
            entry = Entry(self._order_epoch, message.at, message.transaction)
            if not self._is_synced:
                self._early.append(entry)
            elif self._line > self._state.log.end:  # else the log that we took over had it
                self._state.order(entry)
        if name == self.me:
            self._open.came(message.transaction.id, self._line if is_ordered else None)
            self.send_open()

    def _advance(self) -> None:
        """Apply what a majority of the primary has on disk."""
        primary = self.formation.primary
        if primary is None or not self._is_synced:
            return
        log = self._state.log
        before = log.clock
        number = self._disk_quorum.decided(primary)
        if self.formation.attempt is not None:  # what follows must be with a majority of the next
            number = min(number, self._sure_line)
        self._apply(number)
        if log.clock > before:
            self._claim()
        if self._is_member(primary):  # who is told of a change finds it at every member
            self._out += self._open.seen(self.shown)
        self._answer_reads()

    def _apply(self, number: int) -> None:
        for id_, _, clock, kind, words in self._state.apply(number):
            self._out += self._open.decide(Decided(id=id_, clock=clock, kind=kind, message=words))

    def _answer_reads(self) -> None:
        log = self._state.log
        self._out += [Decided(id=id_, clock=log.clock) for id_ in self._open.reads_done(log.number)]

    # -- bringing up -------------------------------------------------------------------------
    def link(self, sender: NodeId, message: KbLinked) -> None:
        """A message of a member's link."""
        if message.view != self._view.id or sender not in self._view.members or self.is_broken:
            return
        if isinstance(message, KbBehind):
            if (
                self.formation.phase is not Phase.EXCHANGING
            ):  # a founder asked before it hears itself
                self._compare(sender.name, message.clock, message.digest, asks=True)
                self._stop_if_outvoted()
                if not self._forks.is_contrary(sender.name):
                    self._transfer.serve(sender, message)
            return
        try:
            whole = self._transfer.take(sender, message)
            if whole is not None:
                self._take_over(whole)
        except RemoteProtocolError as error:
            self.stop(f"what {sender.name} sent is no history: {error}")

    def _keep_what_came(self) -> None:
        """What others have applied stays so, and needn't come again in the next view."""
        changes, log = self._transfer.came(), self._state.log
        if changes and not (log.tail or self.is_broken):  # a tail is replaced as a whole
            try:
                self._state.follow(changes, self.formation.founding)
            except RemoteProtocolError as error:
                self.stop(f"what {self.formation.proposer} sent is no history: {error}")

    def _take_over(self, whole: Whole) -> None:
        """All is here: be what the proposer was, and what has been ordered since."""
        early, self._early = self._early, []
        founding, primary = self.formation.founding, self.formation.primary
        write = self._state.take_over(
            whole.target, whole.last, early, self._line, founding, primary
        )
        if primary is None:
            self._record()
        else:
            self._is_synced = True
            self._readying = write
            self._advance()
