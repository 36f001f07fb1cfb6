"""The knowledge base's replica at one node: a machine that keeps all live nodes' theories equal.

One member, the leader, numbers the changes: the lowest live master by name, else the lowest node.
A member obeys whoever leads *its own* view of the members, and of that one only the epoch it
promised. So an order counts only where its leader is acknowledged, and a change is decided when all
who were brought up have it. Links are reliable and in order between two incarnations; the shell
calls `members` with each change, and a peer that restarted shows by its incarnation.

Guaranteed while the live nodes see each other (no partition) and are more than those who join them
together, who may have led alone or each other before (`leader.chosen`). A later machine that agrees
on its members may replace the inside; the face stays: submit, receive, members, ready, tick, and
effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from zactor.kernel import config
from zactor.kernel.errors import LocalProtocolError, MailboxFull, Refused, RemoteProtocolError
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.copy import Copy
from zactor.kernel.knowledge.effects import (
    Applied,
    Decided,
    Effect,
    Led,
    Promised,
    Replaced,
    Send,
    Trace,
)
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.leader import Leadership, Phase, epoch_name
from zactor.kernel.knowledge.theory import Theory, text_bytes
from zactor.kernel.protocol.messages import (
    Change,
    KbApplied,
    KbCohort,
    KbLog,
    KbMessage,
    KbOrder,
    KbOutcome,
    KbPoll,
    KbSnapshot,
    KbState,
    KbSubmit,
    KbWant,
    Transaction,
)

__all__ = [
    "Applied",
    "Decided",
    "Effect",
    "Led",
    "Promised",
    "Replaced",
    "Replica",
    "Send",
    "Trace",
    "leader_of",
]


def _nobody(theory: Theory) -> Iterable[str]:
    return ()


def leader_of(members: Mapping[str, tuple[str, int]]) -> str:
    """Return who should lead `members` (name to role and incarnation), "" if there are none."""
    masters = [name for name, (role, _) in members.items() if role == "master"]
    return min(masters or members, default="")


class Replica:
    """One node's part in the replication.

    Threads: one at a time. Every call returns effects to be carried out in their order before the
    next call; `at` is the wall clock in s, kept in changes for people to read.
    """

    def __init__(
        self, me: str, saved: Saved, voters: Callable[[Theory], Iterable[str]] = _nobody
    ) -> None:
        """Begin with what this node has on disk (`Store.load`).

        Args:
            voters: whom a theory names as its nodes: who sees fewer than half of them doesn't
                lead, so that a node that is cut off, or started before the others were found,
                can't make a history that later passes for the newest.
        """
        self.me = me
        self._voters = voters
        self._copy = Copy(saved)
        self._promised = saved.promised
        self._seen = saved.promised  # no epoch above it has been heard of
        self._members: dict[str, tuple[str, int]] = {}
        self._ready = False
        self._obeyed = ""  # who leads the promised epoch, "" if it is gone
        self._leadership: Leadership | None = None
        self._polls: dict[str, int] = {}  # by whom we were asked before it led our view
        self._mine: dict[str, Transaction] = {}  # submitted here and undecided
        self._wanting = False  # a log or snapshot was asked for: orders before it can't fit
        self._nudged_ms = 0

    @property
    def theory(self) -> Theory:
        """The facts as they are known here now; another object after `Replaced`."""
        return self._copy.theory

    @property
    def clock(self) -> Clock:
        """The place of the last change known here."""
        return self._copy.clock

    @property
    def digest(self) -> bytes:
        """Of the whole history known here."""
        return self._copy.digest

    @property
    def promised(self) -> int:
        """No epoch below it is obeyed."""
        return self._promised

    @property
    def leader(self) -> str:
        """Who orders changes as far as is known here, "" while nobody does."""
        if self._leadership is not None and self._leadership.phase is not Phase.LEADING:
            return ""
        return self._obeyed

    def changes(self) -> tuple[Change, ...]:
        """Return the last changes, oldest first (at most HISTORY_KEPT)."""
        return self._copy.history.changes()

    # -- what happens ------------------------------------------------------------------------
    def submit(self, transaction: Transaction, at: float) -> list[Effect]:
        """Have `transaction` ordered; sooner or later a `Decided` with its id comes."""
        if transaction.id in self._mine:
            return []
        if len(self._mine) >= config.TRANSACTIONS_OPEN_MAX:
            words = f"{len(self._mine)} changes of the knowledge base are undecided at {self.me}"
            kind = MailboxFull.__name__
            return [Decided(id=transaction.id, kind=kind, message=f"{words}: submit fewer at once")]
        size = _bytes(transaction)
        if size > config.CHANGE_BYTES_MAX:
            words = f"{transaction.id} is {size} bytes long: at most {config.CHANGE_BYTES_MAX}"
            return [Decided(id=transaction.id, kind=Refused.__name__, message=words)]
        self._mine[transaction.id] = transaction
        return self._finish(self._forward(transaction, at))

    def members(self, members: Mapping[str, tuple[str, int]], at: float) -> list[Effect]:
        """The live members are now `members`: name to role and incarnation, this node included.

        Raises:
            LocalProtocolError: this node isn't among them.
        """
        if self.me not in members:
            raise LocalProtocolError(f"the members {sorted(members)} lack {self.me} itself")
        before, self._members = self._members, dict(sorted(members.items()))
        gone = [name for name, (_, life) in before.items() if self._life(name) != life]
        effects: list[Effect] = []
        for name in gone:
            self._polls.pop(name, None)
            self._copy.forget_pieces(name)
            self._copy.beside.discard(name)
            if name == self._obeyed and name != self.me:
                effects += self._disobey()
        return self._finish(effects + self._review(gone, at))

    def ready(self, at: float) -> list[Effect]:
        """All who are alive have been found: this node may lead from now on."""
        self._ready = True
        return self._finish(self._review([], at))

    def tick(self, now_ms: int, at: float) -> list[Effect]:
        """Some time has passed (monotonic): ask again where an answer is missing."""
        if self._leadership is not None:
            return self._finish(self._leadership.tick(now_ms, at))
        leader = leader_of(self._members)
        silent = now_ms - self._nudged_ms >= config.KB_POLL_MS
        if self._obeyed or not leader or leader == self.me or not silent:
            return []
        # It may count us among its followers still, if only we thought that it was gone.
        self._nudged_ms = now_ms
        return [Send(to=leader, message=self._state(obeys=False))]

    def receive(self, sender: str, message: KbMessage, at: float) -> list[Effect]:
        """Take a message of the member `sender`; what doesn't fit is dropped with a Trace."""
        if sender == self.me or sender not in self._members:
            if isinstance(message, KbPoll):
                self._polls[sender] = message.epoch  # answered once it is a member
            return [_dropped(sender, message, "it is no member here")]
        return self._finish(self._dispatch(sender, message, at))

    # -- inside ------------------------------------------------------------------------------
    def _dispatch(self, sender: str, message: KbMessage, at: float) -> list[Effect]:
        match message:
            case KbPoll():
                self._polls[sender] = message.epoch
                return self._answer_poll(sender)
            case KbState():
                return self._take_state(sender, message, at)
            case KbOrder():
                return self._take_order(sender, message.change)
            case KbLog() | KbSnapshot():
                return self._take_past(sender, message, at)
            case KbWant():
                return [Send(to=sender, message=one) for one in self._copy.bring_up(message.digest)]
            case KbCohort():
                if sender == self._obeyed and message.epoch == self._promised:
                    self._copy.beside = set(message.names) - {self.me}
                return []
            case KbOutcome():
                if sender != self._obeyed:
                    return [_dropped(sender, message, "it doesn't lead here")]
                clock = Clock(message.epoch, message.index)
                return [
                    Decided(id=message.id, clock=clock, kind=message.kind, message=message.message)
                ]
            case KbSubmit() | KbApplied():
                if self._leadership is None:
                    return [_dropped(sender, message, "we don't lead")]
                if isinstance(message, KbSubmit):
                    return self._leadership.submit(sender, message.transaction, at)
                return self._leadership.applied(sender, Clock(message.epoch, message.index))

    def _review(self, gone: list[str], at: float) -> list[Effect]:
        """Do what the members we see ask for: lead, go on leading, stop, or obey."""
        leader = leader_of(self._members)
        if leader == self.me and self._ready and (self._leadership or self._sees_enough()):
            if self._leadership is None:
                return self._stand(at)
            return self._leadership.members(self._members, gone, at)
        effects: list[Effect] = []
        if self._leadership is not None:
            self._leadership = None
            effects += self._disobey()
        return effects + self._answer_poll(leader)

    def _sees_enough(self) -> bool:
        voters = set(self._voters(self.theory))
        return 2 * len(voters & self._members.keys()) >= len(voters)

    def _stand(self, at: float) -> list[Effect]:
        """Begin an epoch above all others."""
        self._promised = self._seen = max(self._promised, self._seen) + 1
        self._obeyed = self.me
        self._wanting = False
        me = NodeId(self.me, self._members[self.me][1])
        leads = self._leadership is not None and self._leadership.leads
        self._leadership = Leadership(me, self._promised, self._copy, leads=leads)
        effects: list[Effect] = [Promised(epoch=self._promised)]
        for transaction in self._mine.values():
            effects += self._leadership.submit(self.me, transaction, at)
        return effects + self._leadership.members(self._members, [], at)

    def _disobey(self) -> list[Effect]:
        self._obeyed = ""
        self._wanting = False
        return [Led(leader="", epoch=self._promised)]

    def _answer_poll(self, sender: str) -> list[Effect]:
        if sender not in self._polls or sender != leader_of(self._members):
            return []
        epoch = self._polls.pop(sender)
        self._seen = max(self._seen, epoch)
        if epoch == self._promised and sender == self._obeyed:
            return [Send(to=sender, message=self._state(obeys=True))]
        if epoch <= self._promised:
            return [Send(to=sender, message=self._state(obeys=False))]
        self._promised = epoch
        self._obeyed = sender
        self._wanting = False
        return [
            Promised(epoch=epoch),
            Led(leader=sender, epoch=epoch),
            Send(to=sender, message=self._state(obeys=True)),
            *[Send(to=sender, message=KbSubmit(one)) for one in self._mine.values()],
        ]

    def _take_state(self, sender: str, state: KbState, at: float) -> list[Effect]:
        self._seen = max(self._seen, state.epoch)
        leadership = self._leadership
        if leadership is None:
            return [_dropped(sender, state, "we don't lead")]
        ours = state.obeys and state.epoch == leadership.epoch
        weightier = ours and leadership.yields_to(sender, state)
        lost = not state.obeys and leadership.follows(sender)
        if weightier or lost or (not ours and state.epoch >= leadership.epoch):
            return self._stand(at)
        if not ours:
            return [_dropped(sender, state, "it answers an earlier poll")]
        return leadership.promised(sender, state, at)

    def _take_order(self, sender: str, change: Change) -> list[Effect]:
        if sender != self._obeyed or change.epoch != self._promised:
            return [_dropped(sender, change, "it doesn't lead here")]
        if self._wanting:
            return []  # what was asked for will have it
        try:
            applied = self._copy.follow(change)
        except RemoteProtocolError as error:
            return [_dropped(sender, change, str(error)), *self._want(sender)]
        self._share(sender)
        return [applied, self._acknowledge(sender)]

    def _take_past(self, sender: str, past: KbLog | KbSnapshot, at: float) -> list[Effect]:
        fetching = self._leadership.fetching if self._leadership is not None else self._obeyed
        if sender != fetching:
            return [_dropped(sender, past, "we didn't ask it")]
        effects: list[Effect] = []
        try:
            if isinstance(past, KbLog):
                for change in past.changes:
                    effects.append(self._copy.follow(change))
            else:
                replaced = self._copy.take(sender, past)
                effects += [] if replaced is None else [replaced]
        except RemoteProtocolError as error:
            asked, self._wanting = self._wanting, False
            effects.append(_dropped(sender, past, str(error)))
            # Asked once and still no fit: only a new order may make us ask again.
            return effects if asked else effects + self._want(sender)
        if self._leadership is not None:
            return effects + self._leadership.advance(at)
        if effects:
            self._wanting = False
            self._share(sender)
            effects.append(self._acknowledge(sender))
        return effects

    def _want(self, sender: str) -> list[Effect]:
        self._wanting = True
        return [Send(to=sender, message=KbWant(self.clock, self.digest))]

    def _share(self, leader: str) -> None:
        """What is here came from `leader`; of a log in pieces only its own epoch is enough."""
        if self.clock.epoch == self._promised:
            life = NodeId(leader, self._members[leader][1])
            self._copy.came_through((epoch_name(life, self._promised),))

    def _acknowledge(self, leader: str) -> Effect:
        return Send(to=leader, message=KbApplied(*self.clock))

    def _state(self, *, obeys: bool) -> KbState:
        return self._copy.state(self._promised, obeys=obeys)

    def _forward(self, transaction: Transaction, at: float) -> list[Effect]:
        if self._leadership is not None:
            return self._leadership.submit(self.me, transaction, at)
        if self._obeyed:
            return [Send(to=self._obeyed, message=KbSubmit(transaction))]
        return []  # the next leader's poll brings it there

    def _finish(self, effects: list[Effect]) -> list[Effect]:
        """Each transaction submitted here is decided once, whoever says it how often."""
        kept: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Decided) and self._mine.pop(effect.id, None) is None:
                continue
            kept.append(effect)
        return kept

    def _life(self, name: str) -> int | None:
        member = self._members.get(name)
        return None if member is None else member[1]


def _bytes(transaction: Transaction) -> int:
    required = [text for requirement in transaction.require for text in requirement]
    texts = (*required, *transaction.retract, *transaction.assert_)
    return text_bytes((transaction.id, transaction.who, transaction.why, *texts))


def _dropped(sender: str, message: object, why: str) -> Trace:
    fields = (("peer", sender), ("message", type(message).__name__), ("why", why))
    return Trace(event="kb_message_dropped", fields=fields)
