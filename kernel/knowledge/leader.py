"""What the leader of one epoch does: ask where all stand, take one history, bring all up, order.

An epoch is one attempt to lead. It begins with a poll of every live member and goes on only when
all have promised to obey none lower; then whatever was decided before is in what they told, since a
decision needs all who were brought up. The first change of an epoch is empty: with it the leader's
clock is above all that an earlier leader may have ordered and told nobody.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zactor.kernel import config, errors
from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import ORIGIN, Clock, NodeId
from zactor.kernel.knowledge.copy import Copy
from zactor.kernel.knowledge.effects import Decided, Effect, Led, Send
from zactor.kernel.knowledge.terms import quote_atom
from zactor.kernel.protocol.messages import (
    KbCohort,
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
    FETCHING = "fetching"  # one of them has the history that counts
    LEADING = "leading"


@dataclass(slots=True)
class _Peer:
    """A live member as the leader sees it."""

    stands: KbState | None = None  # what it told when it promised
    following: bool = False  # has been sent all up to now, and is waited for
    applied: Clock = ORIGIN


def chosen(me: str, states: Mapping[str, KbState], *, leads: bool) -> str:
    """Return whose history counts, `me` if all are empty; `states` has everybody's, ours too.

    That of the largest cohort, so that a newcomer takes the history of those it meets, whatever its
    name and however often it led alone. Where none is larger: the root that most have, then our
    own root, then our own cohort if we lead already. Among all that are left, the highest clock.
    """
    known = {name: state for name, state in states.items() if Clock(*state.clock) != ORIGIN}
    cohorts = {name: _cohort(name, known) for name in known}
    roots = Counter(state.root for state in known.values())

    def worth(name: str) -> tuple[int, int, bool, bool, tuple[int, int], bytes]:
        state = known[name]
        unseen = {one for each in cohorts[name] for one in known[each].beside} - states.keys()
        return (
            len(cohorts[name] | unseen) if state.led else 0,
            roots[state.root],
            me in known and state.root == known[me].root,
            leads and me in cohorts[name],
            state.clock,
            state.digest,
        )

    return max(sorted(known), key=worth, default=me)


def _cohort(name: str, states: Mapping[str, KbState]) -> set[str]:
    """Return who came, with `name`, through one leadership or through a chain of them."""
    cohort, led = {name}, set(states[name].led)
    while more := {one for one, state in states.items() if led & set(state.led)} - cohort:
        cohort |= more
        led.update(*(states[one].led for one in more))
    return cohort


def epoch_name(leader: NodeId, epoch: int) -> str:
    """Return the name of the epoch that `leader` leads: the same at all who took part."""
    return f"{leader}:{epoch}"


class Leadership:
    """One epoch of this node as the leader."""

    def __init__(self, me: NodeId, epoch: int, copy: Copy, *, leads: bool) -> None:
        """`copy` is shared with the replica, which applies what is fetched.

        Args:
            leads: this node was the leader up to now and only begins a higher epoch.
        """
        self.epoch = epoch
        self.leads = leads
        self.phase = Phase.POLLING
        self.fetching = ""  # the member whose log or snapshot is on its way
        self._me = me.name
        self._life = str(me)
        self._name = epoch_name(me, epoch)
        self._copy = copy
        self._peers: dict[str, _Peer] = {}
        self._waiting: list[tuple[str, Transaction]] = []
        self._undecided: list[tuple[Clock, str]] = []  # heap: clock and id of the transaction
        self._origins: dict[str, set[str]] = {}  # who waits for the outcome of an id
        self._refused: dict[str, tuple[str, str]] = {}
        self._told: set[str] = set()  # the cohort as all in it know it
        self._asked_ms = 0

    def follows(self, name: str) -> bool:
        """Whether `name` has been brought up and is waited for."""
        peer = self._peers.get(name)
        return peer is not None and peer.following

    def yields_to(self, sender: str, state: KbState) -> bool:
        """Whether `sender`, whom we meet while we lead, has the history that counts."""
        if self.phase is not Phase.LEADING or self.follows(sender):
            return False
        ours = self._copy.state(self.epoch, obeys=True)
        states = dict.fromkeys([self._me, *filter(self.follows, self._peers)], ours)
        states[sender] = state
        source = chosen(self._me, states, leads=True)
        return self._copy.history.after(states[source].digest) is None

    def members(self, names: Iterable[str], restarted: Iterable[str], at: float) -> list[Effect]:
        """The live members are `names` now; `restarted` are among them in a new incarnation."""
        present = set(names) - {self._me}
        for name in [*restarted, *sorted(set(self._peers) - present)]:
            self._drop(name)
        effects = self._tell_cohort() if self.phase is Phase.LEADING else []
        for name in sorted(present - set(self._peers)):
            self._peers[name] = _Peer()
            effects.append(Send(to=name, message=KbPoll(self.epoch)))
        return effects + self.advance(at)

    def promised(self, sender: str, state: KbState, at: float) -> list[Effect]:
        """`sender` obeys this epoch and says where it stands."""
        peer = self._peers[sender]
        if peer.stands is not None:
            return []  # a second answer to a poll that was repeated
        peer.stands = state
        if self.phase is Phase.LEADING:
            return self._bring_up(sender) + self._tell_cohort() + self._settle()
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
        self._copy.came_through((self._name,))
        return self._settle()

    def advance(self, at: float) -> list[Effect]:
        """Go on as far as what is known allows; called when something may have changed."""
        if self.phase is Phase.LEADING:
            return self._settle()
        stands = {name: peer.stands for name, peer in self._peers.items()}
        states = {name: state for name, state in stands.items() if state is not None}
        if len(states) < len(stands):
            self.phase = Phase.POLLING
            return []
        states[self._me] = self._copy.state(self.epoch, obeys=True)
        source = chosen(self._me, states, leads=self.leads)
        if self._copy.history.after(states[source].digest) is None:
            return self._fetch(source)
        return self._lead(at)  # ours is that one, or goes on from it

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

    def _fetch(self, source: str) -> list[Effect]:
        self.phase = Phase.FETCHING
        if self.fetching == source:
            return []
        self.fetching = source
        want = KbWant(self._copy.clock, self._copy.digest)
        return [Send(to=source, message=want)]

    def _lead(self, at: float) -> list[Effect]:
        self.phase = Phase.LEADING
        self.fetching = ""
        self.leads = True
        for peer in self._peers.values():
            state = peer.stands
            if state is not None and self._copy.history.after(state.digest) is not None:
                self._copy.came_through(state.led)
        # The root of a new history: with the time, since a node that lost its folder counts anew.
        root = quote_atom(f"{self._life}/{round(at * 1000)}")
        opening = Transaction(
            id="",
            who=self._me,
            why=f"{self._me} leads",
            require=(),
            retract=(),
            assert_=(f"founded({root})",) if self._copy.clock == ORIGIN else (),
        )
        effects: list[Effect] = [Led(leader=self._me, epoch=self.epoch)]
        effects.append(self._copy.order(opening, self.epoch, at))
        for name in sorted(self._peers):
            effects += self._bring_up(name)
        effects += self._tell_cohort()
        waiting, self._waiting = self._waiting, []
        for origin, transaction in waiting:
            effects += self._order(origin, transaction, at)
        return effects + self._settle()

    def _bring_up(self, name: str) -> list[Effect]:
        peer = self._peers[name]
        assert peer.stands is not None, name
        peer.following = True
        past = self._copy.bring_up(peer.stands.digest)
        pieces = [Send(to=name, message=piece) for piece in past]
        if not pieces:
            peer.applied = Clock(*peer.stands.clock)
        return [*pieces]

    def _tell_cohort(self) -> list[Effect]:
        cohort = {name for name in self._peers if self.follows(name)}
        if cohort == self._told:
            return []
        self._copy.beside, self._told = cohort, set(cohort)
        message = KbCohort(self.epoch, (self._me, *sorted(cohort)))
        return [Send(to=name, message=message) for name in sorted(cohort)]

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
