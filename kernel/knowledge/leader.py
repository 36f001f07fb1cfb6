"""What the leader of one epoch does: ask where all stand, take the newest, bring all up, order.

An epoch is one attempt to lead. It begins with a poll of every live member and goes on only when
all have promised to obey none lower; then whatever was decided before is in what they told, since a
decision needs all who were brought up. The first change of an epoch is empty: with it the leader's
clock is above all that an earlier leader may have ordered and told nobody.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from zactor.kernel import config, errors
from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.copy import Copy
from zactor.kernel.knowledge.effects import Decided, Effect, Led, Send
from zactor.kernel.protocol.messages import (
    KbOrder,
    KbOutcome,
    KbPoll,
    KbState,
    KbWant,
    Transaction,
)


class Phase(enum.Enum):
    """How far an epoch has come."""

    POLLING = "polling"  # some member hasn't promised yet
    FETCHING = "fetching"  # one of them knows more
    LEADING = "leading"


@dataclass(slots=True)
class _Peer:
    """A live member as the leader sees it."""

    stands: tuple[Clock, bytes] | None = None  # clock and digest it told when it promised
    following: bool = False  # has been sent all up to now, and is waited for
    applied: Clock = ORIGIN


class Leadership:
    """One epoch of this node as the leader."""

    def __init__(self, me: str, epoch: int, copy: Copy) -> None:
        """`copy` is shared with the replica, which applies what is fetched."""
        self.epoch = epoch
        self.phase = Phase.POLLING
        self.fetching = ""  # the member whose log or snapshot is on its way
        self._me = me
        self._copy = copy
        self._peers: dict[str, _Peer] = {}
        self._waiting: list[tuple[str, Transaction]] = []
        self._undecided: list[tuple[Clock, str]] = []  # heap: clock and id of the transaction
        self._origins: dict[str, set[str]] = {}  # who waits for the outcome of an id
        self._refused: dict[str, tuple[str, str]] = {}
        self._asked_ms = 0

    def follows(self, name: str) -> bool:
        """Whether `name` has been brought up and is waited for."""
        peer = self._peers.get(name)
        return peer is not None and peer.following

    def members(self, names: Iterable[str], restarted: Iterable[str], at: float) -> list[Effect]:
        """The live members are `names` now; `restarted` are among them in a new incarnation."""
        present = set(names) - {self._me}
        for name in [*restarted, *sorted(set(self._peers) - present)]:
            self._drop(name)
        effects: list[Effect] = []
        for name in sorted(present - set(self._peers)):
            self._peers[name] = _Peer()
            effects.append(Send(to=name, message=KbPoll(self.epoch)))
        return effects + self.advance(at)

    def promised(self, sender: str, state: KbState, at: float) -> list[Effect]:
        """`sender` obeys this epoch and says where it stands."""
        peer = self._peers[sender]
        if peer.stands is not None:
            return []  # a second answer to a poll that was repeated
        peer.stands = Clock(*state.clock), state.digest
        if self.phase is Phase.LEADING:
            return self._bring_up(sender) + self._settle()
        return self.advance(at)

    def submit(self, origin: str, transaction: Transaction, at: float) -> list[Effect]:
        """`origin` wants `transaction`; it will get one outcome."""
        if origin != self._me and self._peers[origin].stands is None:
            return []  # from before its promise: it will submit it again
        if self.phase is not Phase.LEADING:
            self._waiting.append((origin, transaction))
            return []
        return self._order(origin, transaction, at) + self._settle()

    def applied(self, sender: str, clock: Clock) -> list[Effect]:
        """`sender` has everything up to `clock`."""
        peer = self._peers[sender]
        if not peer.following:
            return []  # of an earlier epoch
        peer.applied = max(peer.applied, clock)
        return self._settle()

    def advance(self, at: float) -> list[Effect]:
        """Go on as far as what is known allows; called when something may have changed."""
        if self.phase is Phase.LEADING:
            return self._settle()
        stands = {name: peer.stands for name, peer in self._peers.items()}
        known = {name: place for name, place in stands.items() if place is not None}
        if len(known) < len(stands):
            self.phase = Phase.POLLING
            return []
        newest = max(sorted(known), key=lambda name: known[name], default=self._me)
        if newest != self._me and known[newest] > (self._copy.clock, self._copy.digest):
            return self._fetch(newest)
        return self._lead(at)

    def tick(self, now_ms: int, at: float) -> list[Effect]:
        """Ask again whoever hasn't answered: it may not have known us when the poll came."""
        if now_ms - self._asked_ms < config.KB_POLL_MS:
            return []
        self._asked_ms = now_ms
        silent = [name for name, peer in sorted(self._peers.items()) if peer.stands is None]
        return [Send(to=name, message=KbPoll(self.epoch)) for name in silent]

    # -- inside ------------------------------------------------------------------------------
    def _drop(self, name: str) -> None:
        self._peers.pop(name, None)
        self._waiting = [entry for entry in self._waiting if entry[0] != name]
        for origins in self._origins.values():
            origins.discard(name)
        if self.fetching == name:
            self.fetching = ""

    def _fetch(self, newest: str) -> list[Effect]:
        self.phase = Phase.FETCHING
        if self.fetching == newest:
            return []
        self.fetching = newest
        want = KbWant(self._copy.clock, self._copy.digest)
        return [Send(to=newest, message=want)]

    def _lead(self, at: float) -> list[Effect]:
        self.phase = Phase.LEADING
        self.fetching = ""
        opening = Transaction(
            id="", who=self._me, why=f"{self._me} leads", require=(), retract=(), assert_=()
        )
        effects: list[Effect] = [Led(leader=self._me, epoch=self.epoch)]
        effects.append(self._copy.order(opening, self.epoch, at))
        for name in sorted(self._peers):
            effects += self._bring_up(name)
        waiting, self._waiting = self._waiting, []
        for origin, transaction in waiting:
            effects += self._order(origin, transaction, at)
        return effects + self._settle()

    def _bring_up(self, name: str) -> list[Effect]:
        peer = self._peers[name]
        assert peer.stands is not None, name
        peer.following = True
        clock, digest = peer.stands
        pieces = [Send(to=name, message=piece) for piece in self._copy.bring_up(digest)]
        if not pieces:
            peer.applied = clock
        return [*pieces]

    def _order(self, origin: str, transaction: Transaction, at: float) -> list[Effect]:
        id_ = transaction.id
        clock = self._copy.history.took_place(id_)
        if clock is not None:
            self._wait(clock, id_, origin)
            return []
        refused = self._refused.get(id_)
        if refused is not None:
            return [self._outcome(origin, id_, ORIGIN, *refused)]
        try:
            applied = self._copy.order(transaction, self.epoch, at)
        except ZactorError as error:
            kind, message, _ = errors.to_wire(error)
            self._refused[id_] = kind, message
            if len(self._refused) > config.TRANSACTION_IDS_KEPT:
                del self._refused[next(iter(self._refused))]
            return [self._outcome(origin, id_, ORIGIN, kind, message)]
        self._wait(self._copy.clock, id_, origin)
        order = KbOrder(applied.change)
        followers = [name for name in sorted(self._peers) if self._peers[name].following]
        return [applied, *[Send(to=name, message=order) for name in followers]]

    def _wait(self, clock: Clock, id_: str, origin: str) -> None:
        if id_ not in self._origins:
            heapq.heappush(self._undecided, (clock, id_))
        self._origins.setdefault(id_, set()).add(origin)

    def _settle(self) -> list[Effect]:
        """Decide what every member that was brought up has applied."""
        if not self._undecided or self.phase is not Phase.LEADING:
            return []
        floor = min(
            (peer.applied for peer in self._peers.values() if peer.following),
            default=self._copy.clock,
        )
        effects: list[Effect] = []
        while self._undecided and self._undecided[0][0] <= floor:
            clock, id_ = heapq.heappop(self._undecided)
            for origin in sorted(self._origins.pop(id_)):
                effects.append(self._outcome(origin, id_, clock, "", ""))
        return effects

    def _outcome(self, origin: str, id_: str, clock: Clock, kind: str, message: str) -> Effect:
        if origin == self._me:
            return Decided(id=id_, clock=clock, kind=kind, message=message)
        return Send(to=origin, message=KbOutcome(id_, *clock, kind, message))
