"""The failure detector: what is known of every peer, and who is alive.

The rules are F1 … F8 of PROTOCOL.md. Source: the adaptive timeout is the phi accrual
detector's (Hayashibara et al., SRDS 2004) for a normal distribution; hold-down is a router's
answer to a flapping neighbour. Who is alive is an opinion; that views agree is membership's work.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence

from zactor.kernel import limits
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupHeartbeat


class Condition(enum.Enum):
    """What is believed of a peer."""

    SILENT = "silent"  # no heartbeat within its timeout
    STUCK = "stuck"  # the same, but its connection lives: its loop hangs; still counts as alive
    ONE_WAY = "one way"  # we hear it, it doesn't hear us
    HELD = "held"  # two-way contact that one of us doesn't trust yet
    ALIVE = "alive"


_IN = (Condition.ALIVE, Condition.STUCK)
_FAILED = (Condition.SILENT, Condition.ONE_WAY)


class Peer:
    """What is known of one incarnation."""

    __slots__ = (
        "alive_since_ms",
        "condition",
        "flaps",
        "follows",
        "heard_ms",
        "hears",
        "hears_me",
        "holds_me",
        "lag_ms",
        "leads",
        "link_up",
        "mean_ms",
        "number",
        "promised",
        "refuses_since_ms",
        "rested_ms",
        "timeout_ms",
        "trusts",
        "two_way_since_ms",
        "variance",
        "view",
    )

    def __init__(self, heartbeat: GroupHeartbeat, now_ms: int, settings: Settings) -> None:
        self.condition = Condition.ONE_WAY
        self.heard_ms = now_ms
        self.number = heartbeat.number
        self.mean_ms = float(settings.heartbeat_ms)
        self.variance = float(limits.GROUP_DEVIATION_MS_MIN**2)
        self.timeout_ms = settings.silence_ms_max
        self.hears: tuple[NodeId, ...] = ()
        self.hears_me = False
        self.holds_me = False
        self.two_way_since_ms: int | None = None
        self.alive_since_ms = now_ms
        self.flaps = 0
        self.rested_ms = 0  # how long it was silent before the contact that it has now
        self.link_up = False
        self.lag_ms = 0
        self.view = heartbeat.view
        self.promised = heartbeat.promised
        self.follows = heartbeat.follows
        self.leads = heartbeat.leads
        self.trusts: frozenset[NodeId] = frozenset()  # whom it hears and doesn't hold down
        self.refuses_since_ms: int | None = None  # we expect to be led by it, and it doesn't


class FailureDetector:
    """The opinion of one node about all others."""

    def __init__(self, me: NodeId, settings: Settings, now_ms: int) -> None:
        """Args: `now_ms` of the same clock as every later one."""
        self.me = me
        self._settings = settings
        self._peers: dict[NodeId, Peer] = {}
        self._gone: dict[str, int] = {}  # name -> highest incarnation known to be dead
        self._links_up: set[NodeId] = set()  # connections of peers not heard yet
        self._alive: tuple[NodeId, ...] = (me,)
        self._leader = me
        self._due_ms = now_ms  # when the shell was asked to wake us
        self.awaited: NodeId | None = None  # the order of our view waits for it, see F2a
        self.epoch = 0  # the highest seen in any ballot

    # -- what others may ask -----------------------------------------------------------------
    @property
    def alive(self) -> tuple[NodeId, ...]:
        """This node and the peers it holds for alive, ascending."""
        return self._alive

    @property
    def leader(self) -> NodeId:
        """Whom this node expects to propose views: the lowest alive that would have it (F8)."""
        return self._leader

    def peer(self, node: NodeId) -> Peer | None:
        """What is known of `node`; None if nothing, or if it is gone."""
        return self._peers.get(node)

    def is_gone(self, node: NodeId) -> bool:
        """True if this incarnation is proved dead."""
        return node.incarnation <= self._gone.get(node.name, -1)

    def hears(self) -> tuple[NodeId, ...]:
        """Whose heartbeats arrive, or are believed to come again soon.

        STUCK counts: a node that slept and finds itself unheard would think the contact one-way.
        """
        silent = Condition.SILENT
        return tuple(q for q in sorted(self._peers) if self._peers[q].condition is not silent)

    def is_stuck(self, node: NodeId) -> bool:
        """True if its host answers and its loop doesn't: it can't take part in anything now."""
        peer = self._peers.get(node)
        return peer is not None and peer.condition is Condition.STUCK

    def can_move(self, node: NodeId) -> bool:
        """True if its connection lives, and its loop too: what is on its way comes nearer."""
        peer = self._peers.get(node)
        return peer is not None and peer.link_up and peer.condition is not Condition.STUCK

    def is_quiet(self) -> bool:
        """True if all that are heard are alive and hear each other: no news is on its way."""
        heard = self.hears()
        everybody = {self.me, *heard}
        return len(heard) == len(self._alive) - 1 and all(
            everybody == {node, *self._peers[node].hears} for node in heard
        )

    def held(self, now_ms: int) -> tuple[NodeId, ...]:
        """Whom this node hears and doesn't trust yet."""
        return tuple(q for q in sorted(self._peers) if self._is_held(self._peers[q], now_ms))

    def followers(self, members: Sequence[NodeId] = ()) -> tuple[NodeId, ...]:
        """Whom this node may lead, itself among them, ascending.

        F7: those alive that have nobody lower to follow; or two leaders that don't hear each other
        would take a node that hears both from each other for ever. And only those that all trust
        each other, since who misses a member doesn't stay in a view; `members` come first, so
        that nobody is put out for a newcomer.
        """
        found = {self.me}
        trusted: frozenset[NodeId] | None = None  # by all found; None: by this node only, so far
        able = [q for q in self._alive if q > self.me and self._may_lead(self._peers[q])]
        for q in sorted(able, key=lambda q: (q not in members, q)):
            if len(found) == self._settings.view_members_max:
                break
            peer = self._peers[q]
            is_stuck = peer.condition is Condition.STUCK  # what it said last is old
            if trusted is not None and q not in trusted:
                continue
            if not is_stuck:
                if not found <= peer.trusts:
                    continue
                trusted = peer.trusts if trusted is None else trusted & peer.trusts
            found.add(q)
        return tuple(sorted(found))

    def _may_lead(self, peer: Peer) -> bool:
        return peer.follows >= self.me or self.is_gone(peer.follows)

    # -- events ------------------------------------------------------------------------------
    def wake(self, now_ms: int, due_ms: int) -> int:
        """Say how late this node wakes, and forgive the others as much (F5).

        Args: `due_ms` is when it will have to be woken next. Returns: 0 if it was in time.
        """
        late_ms = now_ms - self._due_ms
        self._due_ms = due_ms
        if late_ms <= self._settings.late_ms:
            return 0
        for peer in self._peers.values():
            peer.heard_ms = min(now_ms, peer.heard_ms + late_ms)
            if peer.refuses_since_ms is not None:
                peer.refuses_since_ms += late_ms
        return late_ms

    def heard(self, heartbeat: GroupHeartbeat, now_ms: int) -> bool:
        """Take in a heartbeat; False if it tells nothing (old, repeated, of a dead incarnation)."""
        node = heartbeat.sender
        if node == self.me or self.is_gone(node):
            return False
        peer = self._peers.get(node)
        if peer is None:
            if len(self._peers) >= self._settings.peers_max:
                return False
            peer = self._peers[node] = Peer(heartbeat, now_ms, self._settings)
            peer.link_up = node in self._links_up
            self._links_up.discard(node)
            # A higher incarnation of a name proves that the lower ones are dead.
            for other in [q for q in self._peers if q.name == node.name and q < node]:
                self.gone(other, now_ms)
        elif heartbeat.number <= peer.number:
            return False
        else:
            interval_ms = now_ms - peer.heard_ms
            if interval_ms > peer.timeout_ms:
                peer.rested_ms = interval_ms
            self._measure(peer, interval_ms)
            peer.number = heartbeat.number
        peer.heard_ms = now_ms
        peer.lag_ms = heartbeat.lag_ms
        peer.hears = heartbeat.hears
        peer.hears_me = self.me in heartbeat.hears
        peer.holds_me = self.me in heartbeat.held
        if not peer.hears_me:
            if peer.two_way_since_ms is not None:
                peer.rested_ms = 0
            peer.two_way_since_ms = None
        elif peer.two_way_since_ms is None:
            peer.two_way_since_ms = now_ms
        peer.view, peer.promised = heartbeat.view, heartbeat.promised
        peer.follows, peer.leads = heartbeat.follows, heartbeat.leads
        peer.trusts = frozenset(heartbeat.hears).difference(heartbeat.held)
        self.epoch = max(self.epoch, peer.promised.epoch)
        return True

    def _measure(self, peer: Peer, interval_ms: int) -> None:
        """F3: phi 8 for a normal distribution, with a floor under the deviation, clamped."""
        low, high = self._settings.silence_ms_min, self._settings.silence_ms_max
        if peer.condition in _FAILED or interval_ms > high:
            return  # an outage says nothing about the rhythm
        off = interval_ms - peer.mean_ms
        peer.mean_ms += off / 16
        peer.variance += (off * off - peer.variance) / 16
        deviation = max(math.sqrt(peer.variance), limits.GROUP_DEVIATION_MS_MIN)
        want = peer.mean_ms + limits.GROUP_SILENCE_DEVIATIONS * deviation
        peer.timeout_ms = min(max(int(want) + self._settings.silence_margin_ms, low), high)

    def link(self, node: NodeId, up: bool) -> None:
        """The connection's own heartbeats tell whether the peer's host is there (F2)."""
        peer = self._peers.get(node)
        if peer is not None:
            peer.link_up = up
        elif not up:
            self._links_up.discard(node)
        elif len(self._links_up) < self._settings.peers_max:
            self._links_up.add(node)

    def gone(self, node: NodeId, now_ms: int) -> None:
        """`node` is dead for certain (F1); so are its earlier incarnations."""
        self._gone[node.name] = max(self._gone.get(node.name, -1), node.incarnation)
        for other in [q for q in self._peers if self.is_gone(q)]:
            del self._peers[other]
        self._links_up = {q for q in self._links_up if not self.is_gone(q)}
        # This node lives, whatever is said of its name.
        self._alive = tuple(q for q in self._alive if q == self.me or not self.is_gone(q))
        self._elect(now_ms)

    def accuse(self, node: NodeId, now_ms: int) -> None:
        """`node` owed an answer and gave none: its contact must prove itself again (F6)."""
        peer = self._peers.get(node)
        if peer is not None and peer.condition in _IN:
            if peer.link_up or not peer.flaps:  # else nothing could travel: it isn't to blame
                peer.flaps += 1
            peer.two_way_since_ms, peer.rested_ms = now_ms, 0
            peer.condition = Condition.HELD
            self._alive = tuple(q for q in self._alive if q != node)
            self._elect(now_ms)

    # -- judgement ---------------------------------------------------------------------------
    def judge(self, now_ms: int) -> list[Trace]:
        """Bring every condition up to date; return what changed, for the log."""
        traces: list[Trace] = []
        for node in sorted(self._peers):
            peer = self._peers[node]
            after = self._condition(node, peer, now_ms)
            before = peer.condition
            if after is before:
                if after is Condition.ALIVE and now_ms - peer.alive_since_ms > (
                    self._settings.forgive_ms
                ):
                    peer.flaps = 0
                continue
            if after is Condition.SILENT:
                peer.two_way_since_ms = None
            if before in _IN and after in _FAILED:
                peer.flaps += 1
            if before not in _IN:
                peer.alive_since_ms = now_ms
            peer.condition = after
            more: dict[str, object] = {}
            if after is Condition.HELD:
                more = {"losses": peer.flaps, "wait_ms": self._hold_down_ms(peer)}
            traces.append(_trace(node, before, after, now_ms - peer.heard_ms, more))
        if traces:
            alive = [q for q, peer in self._peers.items() if peer.condition in _IN]
            self._alive = tuple(sorted([self.me, *alive]))
        self._elect(now_ms)
        return traces

    def _elect(self, now_ms: int) -> None:
        """F8: follow the lowest alive, but who would go on without us only for so long.

        The clock of each begins when all below it are passed over: whoever follows another says
        nothing about whom it would lead without that one.
        """
        leader = None
        for q in self._alive:
            if q == self.me:
                leader = q if leader is None else leader
                continue
            peer = self._peers[q]
            if leader is not None or self.me in peer.leads:
                peer.refuses_since_ms = None
            elif peer.refuses_since_ms is None:
                peer.refuses_since_ms = now_ms
            elif now_ms - peer.refuses_since_ms > self._settings.follow_ms:
                continue
            leader = q if leader is None else leader
        assert leader is not None, "this node itself, if nobody else"
        self._leader = leader

    def _condition(self, node: NodeId, peer: Peer, now_ms: int) -> Condition:
        silence_ms = now_ms - peer.heard_ms
        if silence_ms > peer.timeout_ms:
            # F2: its host answers and its loop doesn't: it may only be busy.
            is_busy = peer.link_up and silence_ms <= self._patience_ms(node, peer)
            return Condition.STUCK if is_busy and peer.condition in _IN else Condition.SILENT
        if not peer.hears_me:
            return Condition.ONE_WAY  # F4
        if peer.holds_me or self._is_held(peer, now_ms):
            return Condition.HELD
        return Condition.ALIVE

    def _patience_ms(self, node: NodeId, peer: Peer) -> int:
        """F2a: how long it may be stuck: for long, unless somebody in its view can't wait."""
        is_given_up = any(
            other.condition is Condition.ALIVE
            and other.view == peer.view
            and node not in other.hears
            for other in self._peers.values()
            if other is not peer
        )
        is_awaited = is_given_up or node == self.awaited
        return self._settings.awaited_ms if is_awaited else self._settings.stuck_ms

    def _is_held(self, peer: Peer, now_ms: int) -> bool:
        if peer.condition in _IN or not peer.flaps:
            return False
        if peer.two_way_since_ms is None:
            return True
        return now_ms - peer.two_way_since_ms < self._hold_down_ms(peer)

    def _hold_down_ms(self, peer: Peer) -> int:
        """F6: after n flaps so long a steady two-way contact is asked for.

        What is damped is how often views change, so the silence before it counts as well.
        """
        if not peer.flaps:
            return 0
        settings = self._settings
        wait_ms = min(settings.hold_down_ms << min(peer.flaps - 1, 16), settings.hold_down_ms_max)
        return max(settings.hold_down_ms, wait_ms - peer.rested_ms)


def _trace(
    node: NodeId, before: Condition, after: Condition, silence_ms: int, more: Mapping[str, object]
) -> Trace:
    is_loss = before in _IN and after in _FAILED
    event = "peer_suspected" if is_loss else f"peer_{after.name.lower()}"
    fields: dict[str, object] = {
        "peer": str(node),
        "before": before.value,
        "after": after.value,
        "silence_ms": silence_ms,
        **more,
    }
    return Trace(event, fields)
