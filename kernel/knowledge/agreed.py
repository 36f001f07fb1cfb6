"""The knowledge base's replica at one node: a machine over the group engine's order.

All members of the primary order transactions alike (SAFE), write them to disk, say so, and apply
them when a majority of the primary has them on disk. So what was applied anywhere, or told to
anybody, is on disk with a majority, and whoever forms the next primary has it. Which members form
it, dynamic voting decides. Rules and proofs in words: PROTOCOL.md, section 9.

Sources: Amir, Tutu, *From total order to database replication*, ICDCS 2002; Yeger-Lotem, Keidar,
Dolev, PODC 1997; Ongaro, Ousterhout, USENIX ATC 2014 (what a majority has on disk is decided).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge import records
from zactor.kernel.knowledge.agreed_effects import (
    Applied,
    BecamePrimary,
    Broken,
    Decided,
    Effect,
    LostPrimary,
    Multicast,
    Replaced,
    Retired,
    SendTo,
    Trace,
)
from zactor.kernel.knowledge.claims import Claims
from zactor.kernel.knowledge.formation import Formation, Phase
from zactor.kernel.knowledge.log import Kept, Log
from zactor.kernel.knowledge.pen import Pen
from zactor.kernel.knowledge.proposal import first_attempt, reshaped
from zactor.kernel.knowledge.submissions import Submissions, read_note, refusal
from zactor.kernel.knowledge.terms import quote_atom
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.transfer import Intake, Passage
from zactor.kernel.protocol.messages import (
    Change,
    Entry,
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
    Transaction,
)
from zactor.kernel.protocol.service import Service
from zactor.kernel.protocol.view import View, ViewId


class Replica:
    """One node's part in the knowledge base of its cluster.

    Threads: one at a time. Every call returns effects to be carried out in their order.
    """

    def __init__(self, me: NodeId, role: str, kept: Kept) -> None:
        """Begin with what this node has on disk (`Store.load`). Args: `role`: node or master."""
        self.me = me.name
        self._role = role
        self._log = Log(kept)
        self._pen = Pen(self._log.end)
        self._formed = kept.formed
        self._attempts = kept.attempts  # later ones, that may have been formed
        self._open = Submissions(me.name)
        self._founded_at = 0.0
        self._now_ms = 0
        self._is_broken = False
        self._out: list[Effect] = []
        self._begin(View(id=ViewId(0, me), members=(me,)))

    def _begin(self, view: View) -> None:
        self._view = view
        self._nodes = {node.name: node for node in view.members}
        self._formation = Formation(self.me, view)
        self._claims = Claims()
        self._is_transitional = False
        self._order_epoch = 0  # what is delivered now is ordered in it; 0: it is dropped
        self._line = 0  # number of the last entry that was ordered in this view
        self._is_synced = False  # our log is that of the primary
        self._early: list[Entry] = []  # ordered while we are being brought up: up to _line
        self._intake: Intake | None = None
        self._passages: dict[str, Passage] = {}
        self._saying = 0  # number of the write after which we say that the attempt is recorded
        self._readying = 0  # … that we are ready to be a member
        self._is_proposing = False
        self._joining: set[str] = set()
        self._leaving: set[str] = set()
        self._agreeing: set[str] = set()  # who was seen to have the history that we have
        self._contrary: set[str] = set()  # … another one at the same clock

    # -- what others may ask -----------------------------------------------------------------
    @property
    def theory(self) -> Theory:
        """The facts as they were decided, as far as is known here; another after `Replaced`."""
        return self._log.theory

    @property
    def clock(self) -> Clock:
        """The place of the last change known here."""
        return self._log.clock

    @property
    def digest(self) -> bytes:
        """Of all changes up to `clock`."""
        return self._log.digest

    @property
    def primary(self) -> Primary | None:
        """The primary that works in this view, this node in it or not."""
        return self._formation.primary

    @property
    def is_primary(self) -> bool:
        """Whether changes are taken here now."""
        primary = self._formation.primary
        return (
            primary is not None
            and self.me in primary.members
            and not (self._is_transitional or self._is_broken)
        )

    @property
    def founding(self) -> str:
        """Of the cluster this node belongs to, "" if it knows of none."""
        known = self._formed or (self._attempts[-1] if self._attempts else None)
        return known.founding if known is not None else ""

    @property
    def last_primary(self) -> Primary | None:
        """The last primary this node knows to have been formed."""
        return self._formed

    def changes(self) -> tuple[Change, ...]:
        """Return the last changes, oldest first (at most HISTORY_KEPT)."""
        return self._log.history.changes()

    def reason(self) -> str:
        """Return why no changes are taken here, in words for people."""
        primary = self._formation.primary
        if self._is_broken:
            return f"{self.me} can't keep the knowledge base any more"
        if primary is not None and self.me not in primary.members:
            return f"{self.me} is being brought up by {self._formation.proposer}"
        return self._formation.reason()

    # -- what happens at this node -----------------------------------------------------------
    def submit(self, transaction: Transaction, at: float) -> list[Effect]:
        """Have `transaction` ordered; sooner or later a `Decided` with its id comes.

        Args:
            at: wall clock in s, for people only.
        """
        words = refusal(transaction)
        if words is not None:
            return [words]
        return self._add(transaction.id, KbSubmission(transaction, at))

    def read(self, id_: str) -> list[Effect]:
        """A `Decided` with this id comes when all is applied here that was decided anywhere."""
        return self._add(id_, read_note(id_))

    def _add(self, id_: str, message: KbSubmission | KbNote) -> list[Effect]:
        decided = self._open.add(id_, message, self._now_ms)
        if decided is not None:
            return [decided]
        self._send_open()
        return self._finish()

    def found(self, founding: str, at: float) -> list[Effect]:
        """Found a cluster called `founding` with all of the present view, if all know of none.

        The caller knows that there is no other; what it knew in an earlier view isn't enough.
        """
        if self._formation.may_be_founded and not self._is_proposing:
            self._founded_at = at
            self._propose(founding)
        return self._finish()

    def retire(self) -> list[Effect]:
        """This node stops in good order; `Retired` comes when the others go on without it."""
        primary = self._formation.primary
        if not self.is_primary or primary is None or primary.members == (self.me,):
            self._out.append(Retired())
        else:
            self._multicast(Service.AGREED, KbNote(NoteKind.LEAVING, ""))
        return self._finish()

    def tick(self, now_ms: int) -> list[Effect]:
        """Some time has passed (monotonic): refuse what has waited too long."""
        self._now_ms = now_ms
        if not self.is_primary:
            self._out += self._open.overdue(now_ms, self.reason())
        return self._finish()

    def written(self, number: int) -> list[Effect]:
        """All Writes up to `number` are on disk."""
        before = self._pen.durable
        self._pen.confirm(number)
        if self._saying and self._saying <= number:
            self._saying = 0
            attempt = self._formation.attempt
            assert attempt is not None, "what is recorded is under way"
            self._multicast(Service.SAFE, KbAttempted(attempt.primary.epoch))
        if self._readying and self._readying <= number:
            self._readying = 0
            self._multicast(Service.AGREED, KbNote(NoteKind.READY, ""))
        primary = self._formation.primary
        if self.is_primary and primary is not None and self._pen.durable > before:
            self._multicast(Service.FIFO, self._durable(primary.epoch))
        return self._finish()

    def failed(self, why: str) -> list[Effect]:
        """A write failed: this node can't keep its word."""
        self._break(f"the knowledge base can't be written: {why}")
        return self._finish()

    # -- what the group engine gives ---------------------------------------------------------
    def on_view(self, view: View, together: Sequence[NodeId]) -> list[Effect]:
        """The node works in `view` now; `together` came with it (nothing depends on them)."""
        self._leave()
        self._begin(view)
        self._multicast(Service.AGREED, self._standing())
        return self._finish()

    def on_transitional(self, view: ViewId, members: Sequence[NodeId]) -> list[Effect]:
        """The guarantees of the present view end: the others may not see what follows."""
        self._is_transitional = True
        return self._finish()

    def on_delivery(self, sender: NodeId, message: KbOrdered, transitional: bool) -> list[Effect]:
        """A message to the group of the knowledge base, at its place in the order."""
        if isinstance(message, KbStanding):
            if not transitional and self._formation.stands(sender.name, message):
                self._judge()
        elif self._formation.is_ours(sender.name):
            self._dispatch(sender.name, message, transitional)
        elif sender.name == self.me:  # nobody has said yet who is with whom: all drop it
            self._drop_own(message)
        return self._finish()

    def on_link(self, sender: NodeId, message: KbLinked) -> list[Effect]:
        """A message of a member's link."""
        if message.view == self._view.id and sender in self._view.members:
            if isinstance(message, KbBehind):
                self._serve(sender, message)
            elif sender.name == self._formation.proposer:
                self._take(sender, message)
        return self._finish()

    def _dispatch(
        self,
        name: str,
        message: KbAttempt | KbAttempted | KbSubmission | KbDurable | KbNote,
        transitional: bool,
    ) -> None:
        match message:
            case KbAttempt():
                if not transitional and self._formation.propose(name, message):
                    self._record()
            case KbAttempted():
                if self._formation.say(name, message.epoch):
                    self._agreed(transitional)
            case KbSubmission():
                self._order(name, message)
            case KbDurable():
                self._claims.hear(name, message.epoch, message.number)
                self._compare(name, Clock(*message.clock), message.digest)
                self._advance()
            case KbNote():
                self._note(name, message, transitional)
            case _:
                assert_never(message)

    def _drop_own(self, message: KbOrdered) -> None:
        if isinstance(message, KbSubmission):
            self._open.came(message.transaction.id, None)
        elif isinstance(message, KbNote) and message.kind is NoteKind.READ:
            self._open.came(message.id, None)

    # -- saying ------------------------------------------------------------------------------
    def _finish(self) -> list[Effect]:
        out, self._out = self._out, []
        return out

    def _multicast(self, service: Service, message: KbOrdered) -> None:
        if not self._is_broken:
            self._out.append(Multicast(service=service, message=message))

    def _write(self, *put: records.Record, is_urgent: bool = True) -> int:
        write = self._pen.write(self._log.end, *put, is_urgent=is_urgent)
        self._out.append(write)
        return write.number

    def _send_open(self) -> None:
        if self.is_primary:
            self._out += self._open.to_send()

    def _standing(self) -> KbStanding:
        return KbStanding(
            view=self._view.id,
            role=self._role,
            formed=self._formed,
            attempts=self._attempts,
            epoch=self._log.epoch,
            number=self._log.end,
            chain=self._log.end_chain,
            clock=self.clock,
            digest=self.digest,
        )

    def _durable(self, epoch: int) -> KbDurable:
        return KbDurable(epoch, self._pen.durable, self.clock, self.digest)

    def _break(self, why: str) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._out.append(Broken(why=why))

    def _compare(self, name: str, clock: Clock, digest: bytes) -> None:
        """Two nodes with one clock and two histories: whoever has fewer with it must stop."""
        if name == self.me or clock != self.clock:
            return
        if digest == self.digest:
            self._agreeing.add(name)
            return
        self._contrary.add(name)
        words = f"{name} has another history than {self.me} at {clock}"
        self._out.append(Trace(event="histories_differ", fields=(("peer", name), ("why", words))))
        if len(self._contrary) > len(self._agreeing):
            self._break(f"{words}: this is a bug; the state folder of one of them is wrong")

    # -- forming a primary -------------------------------------------------------------------
    def _leave(self) -> None:
        """The view is over, and with it what was under way in it."""
        if self.is_primary or self._formation.primary is not None:
            self._open.lost(self._now_ms)
        primary = self._formation.primary
        if primary is not None and self.me in primary.members:
            self._out.append(LostPrimary(reason=f"the view of {self.me} has changed"))
        attempt = self._formation.attempt
        if attempt is None or self._formation.is_undecided:
            return  # undecided: another may have seen it agreed to in time, so it counts
        if attempt.primary in self._attempts and self._formed is not None:
            # Not all voices were heard by the end of the view, so nobody has heard them all. (The
            # first attempt of all is kept: there is no primary before it that binds us together.)
            self._drop(attempt.primary)

    def _drop(self, attempt: Primary) -> None:
        self._attempts = tuple(one for one in self._attempts if one != attempt)
        self._write(records.DropAttempt(attempt.epoch), is_urgent=False)

    def _judge(self) -> None:
        formation = self._formation
        verdict = formation.verdict
        assert verdict is not None, "all stand"
        for name in sorted(verdict.camp):
            standing = formation.standings[name]
            self._compare(name, Clock(*standing.clock), standing.digest)
        for attempt in self._attempts:
            if attempt not in formation.standings[self.me].attempts:
                self._drop(attempt)
        if verdict.strangers:
            names = ", ".join(verdict.strangers)
            words = f"{names} belong to another cluster, founded apart from that of {self.me}"
            self._out.append(Trace(event="another_cluster", fields=(("why", words),)))
        fields = (("source", verdict.source), ("why", verdict.reason))
        self._out.append(Trace(event="kb_judged", fields=fields))
        if formation.proposer == self.me:
            self._propose(self.founding)

    def _propose(self, founding: str) -> None:
        self._is_proposing = True
        self._multicast(Service.AGREED, first_attempt(self._formation, self._log, founding))

    def _reshape(self) -> None:
        """As the proposer: let those in who are ready, and out who leave."""
        primary = self._formation.primary
        if primary is None or self._formation.proposer != self.me or self._is_proposing:
            return
        attempt = reshaped(primary, self._formation, self._log, self._joining, self._leaving)
        if attempt is not None:
            self._is_proposing = True
            self._multicast(Service.AGREED, attempt)

    def _record(self) -> None:
        """The attempt is under way: put it on disk, as soon as our log is what it asks for."""
        attempt = self._formation.attempt
        if attempt is None or self.me not in attempt.voices or attempt.primary in self._attempts:
            return
        needs_history = self._formation.primary is None and self.me in attempt.primary.members
        here = (self._log.end, self._log.end_chain)
        if needs_history and here != (attempt.number, attempt.chain):
            self._ask()
            return
        self._attempts = (*self._attempts, attempt.primary)
        self._saying = self._write(records.PutAttempt(attempt.primary))

    def _agreed(self, transitional: bool) -> None:
        """All voices have the attempt on disk."""
        formation = self._formation
        attempt = formation.attempt
        assert attempt is not None, "somebody spoke for it"
        member = self.me in attempt.primary.members
        if formation.primary is None:
            self._line = attempt.number
            self._is_synced = member
        self._order_epoch = attempt.primary.epoch
        if transitional:
            # Who saw this before the view ended may order changes. We must take them down as it
            # does, but can't know that it is the primary.
            formation.is_undecided = True
            return
        before = formation.primary
        formation.form()
        self._is_proposing = False
        self._form(attempt, before, member)

    def _form(self, attempt: KbAttempt, before: Primary | None, member: bool) -> None:
        primary = attempt.primary
        new = primary.members if before is None else set(primary.members) - set(before.members)
        self._claims.formed(primary.epoch, sorted(new), attempt.number)
        if self.me in attempt.voices:
            self._formed, self._attempts = primary, ()
            self._write(records.PutPrimary(primary, member), is_urgent=False)
        if member:
            self._log.epoch = max(self._log.epoch, primary.epoch)
            self._out.append(
                BecamePrimary(
                    view=self._view.id,
                    epoch=primary.epoch,
                    members=primary.members,
                    voices=attempt.voices,
                )
            )
            if self._pen.durable > attempt.number:
                self._multicast(Service.FIFO, self._durable(primary.epoch))
            self._advance()
            ordered = {entry.transaction.id for entry in self._log.tail}
            self._out += self._open.settle(self._log.history, ordered)
            self._found()
            self._send_open()
        elif before is not None and self.me in before.members:
            self._out += [LostPrimary(reason=f"{self.me} is leaving"), Retired()]
        elif before is None:
            self._ask()
        self._reshape()

    def _found(self) -> None:
        """The first change of every history says which founding it goes back to."""
        if self._log.end or self._formation.proposer != self.me:
            return
        transaction = Transaction(
            id=f"founding {self.founding}",
            who=self.me,
            why="the cluster is founded",
            require=(),
            retract=(),
            assert_=(f"founded({quote_atom(self.founding)})",),
        )
        self._multicast(Service.SAFE, KbSubmission(transaction, self._founded_at))

    def _note(self, name: str, note: KbNote, transitional: bool) -> None:
        match note.kind:
            case NoteKind.READ:
                if name == self.me:
                    taken = self.is_primary and not transitional
                    self._open.came(note.id, self._log.end if taken else None)
                    self._answer_reads()
                    self._send_open()
            case NoteKind.READY:
                self._joining.add(name)
                self._reshape()
            case NoteKind.LEAVING:
                self._leaving.add(name)
                self._reshape()
            case _:
                assert_never(note.kind)

    # -- ordering and applying ---------------------------------------------------------------
    def _order(self, name: str, message: KbSubmission) -> None:
        id_ = message.transaction.id
        is_ordered = bool(self._order_epoch)
        if is_ordered:
            self._line += 1
            entry = Entry(self._order_epoch, message.at, message.transaction)
            if not self._is_synced:
                self._early.append(entry)
            elif self._line > self._log.end:  # else the history that we took over had it
                self._log.extend((entry,))
                self._write(records.PutEntries((entry,)))
        if name == self.me:
            self._open.came(id_, self._line if is_ordered else None)
            self._send_open()

    def _advance(self) -> None:
        """Apply what a majority of the primary has on disk."""
        primary = self._formation.primary
        if primary is None or not self._is_synced:
            return
        outcomes = self._log.commit(self._claims.decided(primary))
        if not outcomes:
            return
        changes = tuple(outcome.change for outcome in outcomes if outcome.change is not None)
        self._out += [Applied(change=change) for change in changes]
        log = self._log
        self._write(records.PutApplied(changes, log.number, log.chain, log.epoch), is_urgent=False)
        for outcome in outcomes:
            decided = Decided(
                id=outcome.id, clock=outcome.clock, kind=outcome.kind, message=outcome.message
            )
            self._out += self._open.decide(decided)
        self._answer_reads()

    def _answer_reads(self) -> None:
        reads = self._open.reads_done(self._log.number)
        self._out += [Decided(id=id_, clock=self.clock) for id_ in reads]

    # -- bringing up -------------------------------------------------------------------------
    def _ask(self) -> None:
        """Have the proposer send what we lack."""
        if self._intake is None:
            self._intake = Intake()
            self._want()

    def _want(self) -> None:
        assert self._intake is not None, "something is on its way"
        node = self._nodes[self._formation.proposer]
        message = KbBehind(self._view.id, self._intake.next_piece, self.clock, self.digest)
        self._out.append(SendTo(node=node, message=message))

    def _serve(self, sender: NodeId, message: KbBehind) -> None:
        if self._formation.phase not in (Phase.FORMING, Phase.PRIMARY):
            return
        if message.piece == 0:
            self._compare(sender.name, Clock(*message.clock), message.digest)
            self._passages[sender.name] = Passage(self._view.id, self._log, message.digest)
        found = self._passages.get(sender.name)
        if found is None or found.next_piece != message.piece or self._is_broken:
            return
        piece = found.take()
        if piece.last:
            del self._passages[sender.name]
        self._out.append(SendTo(node=sender, message=piece))

    def _take(self, sender: NodeId, piece: KbPiece) -> None:
        intake = self._intake
        if intake is None:
            return
        try:
            intake.add(piece)
            if piece.last:
                self._intake = None
                self._take_over(intake, piece)
            else:
                self._want()
        except RemoteProtocolError as error:
            self._break(f"what {sender.name} sent is no history: {error}")

    def _take_over(self, intake: Intake, last: KbPiece) -> None:
        """All is here: be what the proposer was, and what has been ordered since."""
        log = self._log
        log.cut()
        put: list[records.Record] = [records.CutTail()]
        if last.is_snapshot:
            log.replace(intake.snapshot(last))
            facts, ids = log.theory.snapshot(), log.history.ids()
            put.append(
                records.PutSnapshot(
                    facts, ids, log.clock, log.digest, log.number, log.chain, log.epoch
                )
            )
            self._out.append(Replaced(clock=log.clock, digest=log.digest))
        else:
            for change in intake.changes:
                log.follow(change)
                self._out.append(Applied(change=change))
            log.stand(last.number, last.chain, last.epoch)
            put.append(records.PutApplied(tuple(intake.changes), log.number, log.chain, log.epoch))
        log.extend(intake.entries)
        first = self._line - len(self._early) + 1  # number of the first that was ordered since
        assert log.end >= first - 1, "the proposer had all up to the forming of the primary"
        log.extend(self._early[log.end - first + 1 :])
        self._early = []
        put.append(records.PutEntries(log.tail))
        write = self._write(*put)
        if self._formation.primary is None:
            assert self._intake is None, "one transfer is enough: the proposer's log stands still"
            self._record()
        else:
            self._is_synced = True
            self._readying = write
            self._advance()
