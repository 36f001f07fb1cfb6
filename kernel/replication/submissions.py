"""Submissions of this node that aren't decided: sent again, settled, or refused in time.

    IDLE -> SENT -> ORDERED -> APPLIED      and back to IDLE, when it was certainly not taken

A transaction goes out while this node is in the primary only. Each is delivered here before the
view it was sent in ends, so this node knows of each whether it got a place in the order.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, NotPrimary, OutcomeUnknown, Refused
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import text_bytes
from zactor.kernel.messages.knowledge import KbNote, KbOrdered, KbSubmission, NoteKind, Transaction
from zactor.kernel.messages.service import Service
from zactor.kernel.replication.effects import Decided, Multicast
from zactor.kernel.replication.log import History

_TEXT_OVERHEAD_BYTES = 5  # msgpack's, of one text


class Stage(enum.Enum):
    """How far a submission has come."""

    IDLE = "idle"  # nobody has it but this node, or all have dropped it
    SENT = "sent"  # with the group engine; not delivered here
    ORDERED = "ordered"  # in the log; a read: waits until the log up to it is applied
    APPLIED = "applied"  # it took place; not all members of the primary have applied it


class _Open:
    """One submission."""

    __slots__ = ("message", "since_ms", "stage")

    def __init__(self, message: KbSubmission | KbNote, since_ms: int) -> None:
        self.message = message
        self.stage = Stage.IDLE
        self.since_ms = since_ms  # submitted, or not in the primary any more


class Submissions:
    """All that is open at one node, oldest first."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._open: dict[str, _Open] = {}
        self._idle: dict[str, None] = {}  # those that are, oldest first
        self._reads: dict[str, int] = {}  # ORDERED: number of the log that they wait for
        self._applied: dict[str, Decided] = {}  # APPLIED: how they end
        self._flying = 0  # SENT
        self.now_ms = 0  # monotonic

    def __len__(self) -> int:
        return len(self._open)

    def add(self, id_: str, message: KbSubmission | KbNote) -> Decided | None:
        """Take it on; if there are too many already, how it ends."""
        if id_ in self._open:
            return None
        if len(self._open) >= limits.TRANSACTIONS_OPEN_MAX:
            words = f"{len(self._open)} changes of the knowledge base are undecided at {self._me}"
            return Decided(
                id=id_, kind=MailboxFull.__name__, message=f"{words}: submit fewer at once"
            )
        self._open[id_] = _Open(message, self.now_ms)
        self._idle[id_] = None
        return None

    def has(self, id_: str) -> bool:
        """Whether it was submitted, and hasn't ended."""
        return id_ in self._open

    def to_send(self) -> Iterator[Multicast]:
        """What may go out now that this node is in the primary."""
        while self._idle and self._flying < limits.KB_FLIGHT_MAX:
            id_ = next(iter(self._idle))
            del self._idle[id_]
            one = self._open[id_]
            one.stage = Stage.SENT
            self._flying += 1
            yield Multicast(service=Service.SAFE, message=one.message)

    def came(self, id_: str, number: int | None) -> None:
        """Its own message was delivered: at `number` of the log, or dropped by all (None)."""
        one = self._open.get(id_)
        if one is None or one.stage is not Stage.SENT:
            return
        self._flying -= 1
        if number is None:
            self._rest(id_, one)
            return
        one.stage = Stage.ORDERED
        if isinstance(one.message, KbNote):
            self._reads[id_] = number

    def dropped(self, message: KbOrdered) -> None:
        """Its own message was delivered, and dropped by all."""
        if isinstance(message, KbSubmission):
            self.came(message.transaction.id, None)
        elif isinstance(message, KbNote) and message.kind is NoteKind.READ:
            self.came(message.id, None)

    def settle(self, history: History, ordered: Collection[str]) -> None:
        """A primary was formed, in which this node has the history: nothing else is ordered.

        Args:
            ordered: ids of what is in the log and not applied.
        """
        for id_, one in list(self._open.items()):
            if isinstance(one.message, KbNote) or one.stage is not Stage.ORDERED:
                continue  # what is APPLIED is in every history
            clock = history.took_place(id_)
            if clock is not None:
                self._apply(Decided(id=id_, clock=clock))
            elif id_ not in ordered:
                self._rest(id_, one)  # its place was lost with its view

    def decide(self, decided: Decided) -> Iterator[Decided]:
        """An entry was applied or refused; perhaps it is one of ours. Yield how a refused ends."""
        if decided.id not in self._open:
            return
        if decided.kind:
            yield self._end(decided.id, decided)
        else:
            self._apply(decided)

    def _apply(self, decided: Decided) -> None:
        one = self._open[decided.id]
        self._leave_queue(decided.id, one)
        one.stage = Stage.APPLIED
        self._applied[decided.id] = decided

    def seen(self, clock: Clock) -> Iterator[Decided]:
        """All members of the primary have applied what is up to `clock`; yield what waited."""
        for id_, decided in list(self._applied.items()):
            if decided.clock <= clock:
                yield self._end(id_, decided)

    def reads_done(self, number: int) -> Iterator[str]:
        """The log is applied up to `number`; yield the reads that waited for no more."""
        for id_ in [id_ for id_, wanted in self._reads.items() if wanted <= number]:
            self._forget(id_)
            yield id_

    def lost(self) -> None:
        """This node isn't in a primary that works any more."""
        for one in self._open.values():
            one.since_ms = self.now_ms
        for id_ in self._reads:
            self._rest(id_, self._open[id_])
        self._reads.clear()

    def overdue(self, reason: str) -> Iterator[Decided]:
        """This node isn't in the primary: end what has waited too long."""
        for id_, one in list(self._open.items()):
            if self.now_ms - one.since_ms < limits.KB_REFUSE_MS:
                continue
            if one.stage is Stage.APPLIED:
                yield self._end(id_, self._applied[id_])  # nobody is in a primary with us
            elif one.stage is Stage.IDLE or isinstance(one.message, KbNote):
                yield self._end(id_, Decided(id=id_, kind=NotPrimary.__name__, message=reason))
            else:
                words = f"{id_} was on its way when the primary was lost, it may still take place"
                yield self._end(
                    id_,
                    Decided(id=id_, kind=OutcomeUnknown.__name__, message=f"{words}: {reason}"),
                )

    def _rest(self, id_: str, one: _Open) -> None:
        one.stage = Stage.IDLE
        self._idle[id_] = None

    def _end(self, id_: str, decided: Decided) -> Decided:
        self._forget(id_)
        return decided

    def _forget(self, id_: str) -> None:
        self._leave_queue(id_, self._open.pop(id_))
        self._reads.pop(id_, None)
        self._applied.pop(id_, None)

    def _leave_queue(self, id_: str, one: _Open) -> None:
        self._idle.pop(id_, None)
        if one.stage is Stage.SENT:
            self._flying -= 1


def read_note(id_: str) -> KbNote:
    """Return the message by which a node learns that it has seen all that was decided."""
    return KbNote(NoteKind.READ, id_)


def refusal(transaction: Transaction) -> Decided | None:
    """Return how `transaction` ends because it is too long, None if it isn't."""
    required = [text for requirement in transaction.require for text in requirement]
    texts = (*required, *transaction.retract, *transaction.assert_)
    size = text_bytes((transaction.id, transaction.who, transaction.why, *texts))
    # Many short texts are longer on the wire than they look.
    size += _TEXT_OVERHEAD_BYTES * len(texts)
    if size <= limits.CHANGE_BYTES_MAX:
        return None
    words = f"{transaction.id} is {size} bytes long: at most {limits.CHANGE_BYTES_MAX}"
    return Decided(id=transaction.id, kind=Refused.__name__, message=words)
