"""The group engine: all machines behind one `step`. Owns nothing itself but their wiring.

    effects = engine.step(event, now_ms)       events.py, effects.py
    engine.deadline_ms                         when it wants a Tick

The shell keeps the order of effects, and writes its own trace before it sends. Messages that the
engine sends to itself never leave it. The rules are in PROTOCOL.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import assert_never

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups import events
from zactor.kernel.groups.attempt import with_own
from zactor.kernel.groups.credit import SessionCredit
from zactor.kernel.groups.effects import Effect, Publish, Send, ViewInstalled
from zactor.kernel.groups.failure_detector import FailureDetector
from zactor.kernel.groups.flow_control import FlowControl
from zactor.kernel.groups.link_progress import LinkProgress
from zactor.kernel.groups.multicast import ViewMulticast
from zactor.kernel.groups.pieces import Pieces
from zactor.kernel.groups.recovery import make_schedule
from zactor.kernel.groups.sessions import Sessions
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.validation import check_ballot, check_packet, check_reach
from zactor.kernel.groups.view_agreement import Phase, ViewAgreement
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    Accept,
    AckSummary,
    BehindSessions,
    Departed,
    EngineMessage,
    GroupAck,
    GroupHeartbeat,
    GroupPacket,
    GroupPiece,
    GroupState,
    Install,
    Propose,
    Ready,
    Report,
    Sync,
    TicketGrant,
    TicketRequest,
    Want,
)
from zactor.kernel.messages.views import View, first_view

_OfView = GroupPacket | GroupAck | TicketRequest | TicketGrant | AckSummary | Want


class Engine:
    """One node's part in the groups of a cluster.

    Threads: none; whoever owns it calls it from one.
    """

    def __init__(self, me: NodeId, now_ms: int, settings: Settings | None = None) -> None:
        """Begin in a view of its own. Args: `now_ms` of any clock that never goes back."""
        self.me = me
        self.settings = settings if settings is not None else Settings()
        view = first_view(me)
        self.detector = FailureDetector(me, self.settings, now_ms)
        self._sessions = Sessions(self.settings)
        self._flow = FlowControl(self.settings)
        self.credit = SessionCredit(me, view, self.settings)
        self.multicast = ViewMulticast(
            me,
            view,
            self.settings,
            now_ms,
            sessions=self._sessions,
            flow=self._flow,
            credit=self.credit,
        )
        self._links = LinkProgress(me)
        self._pieces = Pieces()
        self.agreement = ViewAgreement(
            me, view, self.settings, now_ms, links=self._links, report=self._report
        )
        self._states: tuple[GroupState, ...] = ()  # our groups after the flush
        self._now_ms = now_ms
        self._effects: list[Effect] = []
        self._own: deque[EngineMessage] = deque()  # messages from this node to itself
        self._early: list[tuple[NodeId, _OfView]] = []  # of the view that is about to come
        self._heartbeat_number = 0
        self._interval_ms = self.settings.heartbeat_ms  # between heartbeats that tell no news
        self._heartbeat_ms = now_ms  # the next is due
        self._heartbeat_sent_ms = now_ms - self.settings.heartbeat_ms
        self._told: object = None  # what the last heartbeat said of others
        self._lag_ms = 0
        self._refused: dict[NodeId, int] = {}  # messages of peers that made no sense
        self._has_stopped = False
        self.stable_before = 0  # the stable line of the view before this one, as last known

    # -- what the shell may look at ----------------------------------------------------------
    @property
    def view(self) -> View:
        """The view this node works in."""
        return self.agreement.view

    @property
    def last_number(self) -> int:
        """Number of the last message that a session submitted, joins and leaves included."""
        return self._sessions.number

    @property
    def deadline_ms(self) -> int:
        """When `step(Tick())` has something to do."""
        if self._flow.has_news:
            return self._now_ms
        due_ms = self._heartbeat_ms
        agreement_ms = self.agreement.due_ms
        if agreement_ms is not None and agreement_ms < due_ms:
            due_ms = agreement_ms
        return due_ms if self.agreement.is_frozen else min(due_ms, self.multicast.deadline_ms)

    def first_effects(self) -> list[Effect]:
        """What stands at the beginning of every log: the view of its own."""
        return [ViewInstalled(self.view)]

    # -- the step ----------------------------------------------------------------------------
    def step(self, event: events.Event, now_ms: int) -> list[Effect]:
        """Apply one event and return what the shell must do, in order.

        Raises:
            LocalProtocolError: a session did what it may not (unknown, twice, too long a name),
                or more was consumed than delivered.
            MailboxFull: too much waits for credit already. Nothing changed in either case.
        """
        if self._has_stopped:
            return []
        self._now_ms = now_ms
        self._effects = []
        late_ms = self.detector.wake(now_ms, now_ms + self._interval_ms)
        if late_ms:
            self._lag_ms = late_ms
            self.agreement.shift(late_ms)
            self._effects.append(Trace("woke_late", {"late_ms": late_ms}))
        self._dispatch(event)
        self._work()
        return self._effects

    def submit(self, event: events.Submit) -> None:
        """Queue a message; the next step sends it, packed with others. Cheaper than a step.

        Raises:
            LocalProtocolError, MailboxFull: as `step`; nothing changed.
        """
        if not self._has_stopped:
            self._flow.add(self._sessions.submit(event))

    def _dispatch(self, event: events.Event) -> None:
        match event:
            case events.Received():
                self._links.arrived(event.peer, event.message)
                self._hear_out(event.peer, event.message)
            case events.Heard():
                self._hear_out(event.heartbeat.sender, event.heartbeat)
            case events.Tick():
                self._tick()
            case events.Drained():
                if not self.agreement.is_frozen:
                    self._add(self.multicast.acknowledge_if_due(self._now_ms))
            case events.Submit():
                self.submit(event)
            case events.Join() | events.Leave() | events.SessionOpened() | events.SessionClosed():
                self.multicast.session(event)
            case events.Consumed():
                self.credit.backlogs.consumed(event.taken)
            case events.LimitWindow():
                self._flow.limit_window(event.messages)
            case events.LinkUp():
                self.detector.link(event.peer, True)
                self._hurry()  # it can hear us now
            case events.LinkDown():
                self.detector.link(event.peer, False)
                self._judge()
            case events.ProcessGone():
                self._lose(event.peer)
            case events.Stop():
                others = tuple(node for node in self.view.members if node != self.me)
                self._add([Send(others, Departed())])
                self._has_stopped = True
            case _:
                assert_never(event)

    def _work(self) -> None:
        """Send what may leave, and hand ourselves what we sent to ourselves, until all is quiet."""
        while not self._has_stopped:
            self._add(self.multicast.pump(self._now_ms, self.agreement.is_frozen))
            if not self._own:
                self._add(self.credit.look(self.agreement.is_frozen))
                return
            self._receive(self.me, self._own.popleft())

    def _add(self, effects: Iterable[Effect]) -> None:
        """Pass effects on; what is for this node itself stays."""
        for effect in effects:
            if not isinstance(effect, Send):
                self._effects.append(effect)
                continue
            if self.me in effect.to:
                self._own.append(effect.message)
                others = tuple(node for node in effect.to if node != self.me)
                effect = Send(others, effect.message)
            if effect.to:
                self._effects += self._links.leave(effect)

    # -- time and failures -------------------------------------------------------------------
    def _tick(self) -> None:
        now_ms = self._now_ms
        self._judge()
        if now_ms >= self._heartbeat_ms:
            if not self.agreement.is_frozen:
                self._blame_laggard()
            self._publish()
        if not self.agreement.is_frozen:
            self._add(self.multicast.acknowledge_if_due(now_ms))
            self._add(self.multicast.want_if_due(now_ms))

    def _judge(self) -> None:
        self.detector.awaited = None if self.agreement.is_frozen else self.multicast.awaited()
        self._effects += self.detector.judge(self._now_ms)
        self._consider()

    def _consider(self) -> None:
        self._add(self.agreement.consider(self.detector, self._now_ms))
        said = (self.detector.alive, self.detector.hears(), self.view.id, self.agreement.promised)
        if said != self._told:
            self._hurry()  # news of who is there, or of our ballot

    def _hurry(self) -> None:
        """The next heartbeat doesn't wait for its interval."""
        soon_ms = self._heartbeat_sent_ms + self.settings.heartbeat_gap_ms
        self._heartbeat_ms = min(self._heartbeat_ms, max(soon_ms, self._now_ms))

    def _blame_laggard(self) -> None:
        """A slow node slows us; one that takes nothing at all for long has failed."""
        laggard = self.multicast.laggard(self._now_ms)
        if laggard is not None and not self._links.is_on_way(laggard):
            self._effects.append(Trace("member_stalled", {"peer": str(laggard)}))
            self.detector.accuse(laggard, self._now_ms)
            self._consider()

    def _publish(self) -> None:
        now_ms = self._now_ms
        self._heartbeat_number += 1
        line, streams = self.multicast.standing()
        detector = self.detector
        self._told = (detector.alive, detector.hears(), self.view.id, self.agreement.promised)
        is_leader = detector.leader == self.me
        heartbeat = GroupHeartbeat(
            sender=self.me,
            number=self._heartbeat_number,
            view=self.view.id,
            promised=self.agreement.promised,
            follows=detector.leader,
            hears=detector.hears(),
            held=detector.held(now_ms),
            lag_ms=self._lag_ms,
            line=line,
            streams=streams,
            leads=detector.followers(self.view.members) if is_leader else (),
            arrived=self._links.counts(detector.hears()),
        )
        self._lag_ms = 0
        self._heartbeat_sent_ms = now_ms
        per_node_ms = self.settings.heartbeat_ms_per_node
        self._interval_ms = max(self.settings.heartbeat_ms, len(detector.alive) * per_node_ms)
        self._heartbeat_ms = now_ms + self._interval_ms
        self._effects.append(Publish(heartbeat))

    def _hear(self, heartbeat: GroupHeartbeat) -> None:
        check_reach(max(heartbeat.promised, heartbeat.view), self._known_epoch)
        if not self.detector.heard(heartbeat, self._now_ms):
            return
        self._links.heard(heartbeat)
        self._judge()
        if heartbeat.view == self.view.id and not self.agreement.is_frozen:
            self._add(self.multicast.on_heartbeat(heartbeat, self._now_ms))

    def _lose(self, node: NodeId) -> None:
        if node == self.me or self.detector.is_gone(node):
            return
        self.detector.gone(node, self._now_ms)
        self._refused.pop(node, None)
        self._links.gone(node)
        self._pieces.gone(node)
        self.credit.gone(node)
        self._effects.append(Trace("peer_gone", {"peer": str(node)}))
        self._consider()

    # -- messages ----------------------------------------------------------------------------
    @property
    def _known_epoch(self) -> int:
        """The highest of any ballot that was believed."""
        return max(self.detector.epoch, self.agreement.promised.epoch)

    def _hear_out(self, peer: NodeId, message: EngineMessage | GroupHeartbeat) -> None:
        """Take a peer's message; one that makes no sense is dropped, and told of now and then."""
        try:
            if isinstance(message, GroupHeartbeat):
                self._hear(message)
            else:
                self._receive(peer, message)
        except RemoteProtocolError as error:
            count = self._refused[peer] = self._refused.get(peer, 0) + 1
            if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th …: a flood isn't logged
                fields = {"peer": str(peer), "message": type(message).__name__, "why": str(error)}
                self._effects.append(Trace("message_refused", {**fields, "count": count}))

    def _receive(self, peer: NodeId, message: EngineMessage) -> None:
        match message:
            case GroupPacket():  # most are
                self._of_view(peer, message)
            case Propose():
                check_ballot(peer, message.ballot)
                check_reach(message.ballot, self._known_epoch)
                effects = self.agreement.on_propose(message, self._now_ms)
                if effects:
                    self._early.clear()  # the view they were sent in will not come here
                self._add(effects)
            case Accept():
                self._add(self.agreement.on_accept(peer, message, self._now_ms))
            case Sync():
                check_ballot(peer, message.ballot)
                self._on_sync(message)
            case Ready():
                self._add(self.agreement.on_ready(peer, message))
            case Install():
                check_ballot(peer, message.ballot)
                self._on_install(message)
            case GroupPiece():
                if (whole := self._pieces.take(peer, message)) is not None:
                    self._receive(peer, whole)
            case BehindSessions():
                self.credit.hear(peer, message)
            case Departed():
                self._lose(peer)
            case _:
                self._of_view(peer, message)

    def _of_view(self, peer: NodeId, message: _OfView) -> None:
        """A message that makes sense in the view it was sent in only."""
        agreement = self.agreement
        if message.view != self.view.id:
            is_next = agreement.phase is Phase.READY and message.view == agreement.promised
            if is_next and len(self._early) < self.settings.early_messages_max:
                # Its sender has installed already. What finds no room comes by Want, or with a
                # heartbeat.
                self._early.append((peer, message))
            return
        if isinstance(message, GroupPacket) and peer != self.me:
            check_packet(self.me, message)
        if isinstance(message, Want):
            if self._links.may_answer(peer, agreement.promised if agreement.is_frozen else None):
                self._add(self.multicast.on_want(peer, message))
        elif not agreement.is_frozen:
            self._add(self.multicast.receive(peer, message, self._now_ms))
        elif agreement.phase is Phase.RECOVERING and isinstance(message, GroupPacket):
            self.multicast.flush.recover(message)
            self._check_recovery()

    # -- the flush ---------------------------------------------------------------------------
    def _report(self) -> Report:
        return self.multicast.flush.report(self.multicast.stable_line)

    def _on_sync(self, message: Sync) -> None:
        if self.agreement.on_sync(message, self._now_ms):
            self._add(self.multicast.flush.begin(message.plan))
            self._check_recovery()

    def _check_recovery(self) -> None:
        sync = self.agreement.sync
        assert sync is not None, "who recovers has a plan"
        flush = self.multicast.flush
        if flush.is_complete:
            self._states = flush.finish(sync, make_schedule(sync.plan), self.multicast.groups)
            self._add(self.agreement.recovered(self._states))

    def _on_install(self, message: Install) -> None:
        sync = self.agreement.sync
        view = self.agreement.on_install(message, self._now_ms)
        if view is None or sync is None:
            return
        self.stable_before = self.multicast.stable_line
        self._effects += self.multicast.leave_view(sync)
        self._effects.append(ViewInstalled(view))
        cohorts = with_own(message.cohorts, sync.plan.cohort, self._states)
        self._states = ()
        self._effects += self.multicast.enter_view(view, cohorts, self._now_ms)
        early, self._early = self._early, []
        for peer, earlier in early:
            self._hear_out(peer, earlier)
        self._consider()
