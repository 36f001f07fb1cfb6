"""Multicast in views: the way of a message from a session to sessions.

Owns what belongs to the view (ordering, stability, gaps) and what outlives it (sessions, queue,
groups). Which view that is, ViewAgreement decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import assert_never

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups import events
from zactor.kernel.groups.credit import SessionCredit
from zactor.kernel.groups.effects import (
    Deliver,
    Effect,
    Pause,
    Resume,
    Send,
    SendUnreliably,
    Sent,
    Transitional,
)
from zactor.kernel.groups.flow_control import Draft, FlowControl
from zactor.kernel.groups.flush import Flush
from zactor.kernel.groups.gaps import DuplicateFilter, Gaps
from zactor.kernel.groups.ordering import Ordering
from zactor.kernel.groups.parcels import weight
from zactor.kernel.groups.process_groups import ProcessGroups
from zactor.kernel.groups.sessions import Sessions
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.stability import Stability
from zactor.kernel.groups.validation import check_request, require
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    AckSummary,
    CohortGroups,
    GroupAck,
    GroupHeartbeat,
    GroupPacket,
    Kind,
    Sync,
    TicketGrant,
    TicketRequest,
    Want,
)
from zactor.kernel.messages.service import TICKETED, Service
from zactor.kernel.messages.views import View


class ViewMulticast:
    """One node's messages."""

    def __init__(
        self,
        me: NodeId,
        view: View,
        settings: Settings,
        now_ms: int,
        *,
        sessions: Sessions,
        flow: FlowControl,
        credit: SessionCredit,
    ) -> None:
        """Begin in `view`; what `sessions` submit is put into `flow` by the engine."""
        self.me = me
        self._settings = settings
        self._sessions = sessions
        self._flow = flow
        self._credit = credit
        self.groups = ProcessGroups(me, view.id)  # the map of this node; to look at only
        self._begin_view(view, now_ms)

    def _begin_view(self, view: View, now_ms: int) -> None:
        self.view = view
        self._place = view.members.index(self.me)
        self._others = tuple(member for member in view.members if member != self.me)
        self._order = Ordering(view, self.me)
        self._stability = Stability(view, self.me, self._settings, now_ms)
        self._gaps = Gaps(self._order, self._stability, self._settings)
        self._granted = 0  # as coordinator: the last ticket given away
        self._given: deque[tuple[int, NodeId]] = deque()  # lots not all used: last ticket, whose
        self._repeats = {
            member: DuplicateFilter(self._settings.repeats_seen) for member in view.members
        }
        self.flush = Flush(self.me, self._order)

    # -- what others may ask -----------------------------------------------------------------
    @property
    def deadline_ms(self) -> int:
        """When an acknowledgement or a question is due."""
        dues = (self._stability.due_ms, self._gaps.due_ms)
        return min((due for due in dues if due is not None), default=1 << 62)  # or never

    @property
    def waiting(self) -> int:
        """Messages without a place."""
        return self._flow.waiting

    @property
    def held_count(self) -> int:
        """Messages in this view's buffers."""
        return self._order.held_count

    def is_full(self, groups: tuple[str, ...]) -> bool:
        """Whether who would send to these groups must wait for a reader (O8b)."""
        return self._credit.is_full(groups, self.groups)

    def laggard(self, now_ms: int) -> NodeId | None:
        """A member for which our messages have waited too long, with no sign of progress."""
        return self._stability.laggard(now_ms) if self._flow.in_flight else None

    def awaited(self) -> NodeId | None:
        """Whom the order of all waits for, as far as this node can tell (F2a).

        Who gives tickets knows whose the next one is; who has asked for some waits for their giver.
        """
        coordinator = self.view.id.coordinator
        if coordinator != self.me:
            return coordinator if self._flow.asked else None
        given = self._given
        while given and given[0][0] <= self._order.line:
            given.popleft()
        return given[0][1] if len(given) > 1 else None

    def standing(self) -> tuple[int, tuple[int, ...]]:
        """(line, streams) for the heartbeat; our own entry is what we have sent."""
        streams = list(self._order.prefixes())
        streams[self._place] = self._order.streams[self.me].tip
        return self._order.line, tuple(streams)

    # -- events of sessions ------------------------------------------------------------------
    def session(
        self, event: events.Join | events.Leave | events.SessionOpened | events.SessionClosed
    ) -> None:
        """Open, close, join, leave.

        Raises:
            LocalProtocolError: as the methods of Sessions; or all groups together are full.
        """
        most = self._settings.memberships_max
        if isinstance(event, events.Join) and self.groups.size >= most:
            raise LocalProtocolError(f"the groups have {most} members together, the maximum")
        change = self._sessions.apply(event)
        if isinstance(event, events.SessionClosed):
            self._credit.backlogs.closed(event.session)
        self.groups.forget_routes()
        if change is not None:
            kind, item = change
            self._flow.add(item, kind)

    # -- sending -----------------------------------------------------------------------------
    def pump(self, now_ms: int, is_frozen: bool) -> list[Effect]:
        """Send what credits and tickets allow. A frozen node sends nothing."""
        flow = self._flow
        flow.has_news = False
        effects: list[Effect] = []
        while flow.waiting and not is_frozen:
            draft = flow.next_loose() or flow.next_fifo()
            if draft is not None:
                effects += self._launch(draft, 0, now_ms)
            elif count := flow.tickets_wanted():
                coordinator = (self.view.id.coordinator,)
                effects.append(Send(coordinator, TicketRequest(self.view.id, count)))
            else:
                break
        turn = flow.turn()
        if turn is not None:
            effects.append(Pause() if turn else Resume())
        while (draft := flow.next_unreliable()) is not None:
            effects += self._cast(draft, is_frozen)
        return effects

    def _packet(self, draft: Draft, sequence: int, ticket: int) -> GroupPacket:
        return GroupPacket(
            view=self.view.id,
            sender=self.me,
            sequence=sequence,
            ticket=ticket,
            service=draft.service,
            kind=draft.kind,
            line=self._order.line_with(ticket),
            items=tuple(draft.items),
        )

    def _launch(self, draft: Draft, ticket: int, now_ms: int) -> list[Effect]:
        """Give the packet its place, send it to all, and take it in here like the others do."""
        packet = self._packet(draft, self._order.streams[self.me].tip + 1, ticket)
        if not self._flow.in_flight:
            self._stability.restart_clocks(now_ms)
        self._flow.sent(draft)
        effects: list[Effect] = [Sent(packet)]
        if self._others:
            effects.append(Send(self._others, packet))
        effects += self._give(self._order.take(packet), False)
        return effects + self._note_own(now_ms)

    def _cast(self, draft: Draft, is_frozen: bool) -> list[Effect]:
        """Send UNRELIABLE messages, or drop them if that would have to wait."""
        if is_frozen or self._flow.paused:
            fields = {"count": draft.count, "service": "unreliable"}
            return [Trace("messages_dropped", fields)]
        packet = self._packet(draft, 0, 0)
        effects: list[Effect] = [Sent(packet)]
        if self._others:
            effects.append(SendUnreliably(self._others, packet))
        return effects + self._give([packet], False)

    # -- receiving in the regular configuration ----------------------------------------------
    def receive(
        self,
        peer: NodeId,
        message: GroupPacket | GroupAck | TicketRequest | TicketGrant | AckSummary,
        now_ms: int,
    ) -> list[Effect]:
        """Take in a message of the present view.

        Raises:
            RemoteProtocolError: it makes no sense here; nothing changed.
        """
        if peer not in self._repeats:
            return []  # no member: its link is older than this view
        match message:
            case GroupPacket():
                return self._on_packet(peer, message, now_ms)
            case GroupAck():
                self._check_width(message.streams)
                self._stability.hear(peer, message.line, message.streams, now_ms)
                return self._settle()
            case TicketRequest():
                check_request(self.me, message, self._settings.tickets_max)
                first = self._granted + 1
                self._granted += message.count
                self._given.append((self._granted, peer))
                return [Send((peer,), TicketGrant(self.view.id, first, message.count))]
            case TicketGrant():
                self._check_grant(peer, message)
                ticket = message.first
                effects: list[Effect] = []
                for draft in self._flow.granted(message.count):
                    is_ticketed = draft.service in TICKETED
                    effects += self._launch(draft, ticket if is_ticketed else 0, now_ms)
                    ticket += is_ticketed
                return effects
            case AckSummary():
                self._check_width(message.streams)
                require(peer == self.view.id.coordinator, "a summary is the coordinator's")
                own = self._order.streams[self.me].tip
                require(message.streams[self._place] <= own, "we haven't sent so much")
                self._stability.hear_summary(message.line, message.streams)
                return self._settle()
            case _:
                assert_never(message)

    def _check_width(self, streams: Sequence[int]) -> None:
        require(len(streams) == len(self.view.members), "streams of another view")

    def _check_grant(self, peer: NodeId, grant: TicketGrant) -> None:
        require(peer == self.view.id.coordinator, "tickets are the coordinator's to give")
        require(grant.count == self._flow.asked > 0, "tickets that weren't asked for")
        is_free = self._order.are_free(self.me, grant.first, grant.count)
        require(is_free, "tickets that were given before")

    def _on_packet(self, peer: NodeId, packet: GroupPacket, now_ms: int) -> list[Effect]:
        sender = packet.sender
        if sender not in self._repeats:
            return []
        if packet.service is Service.UNRELIABLE:
            is_new = self._repeats[sender].is_new(packet.items[0].number)
            return self._give([packet], False) if is_new else []
        effects = self._give(self._order.take(packet), False)
        if peer == sender:  # from a holder it may be old: then it says nothing new
            self._stability.hear(peer, packet.line, (), now_ms)
        self._stability.arrived(weight(packet), packet.service is Service.SAFE, now_ms)
        self._gaps.check(sender, now_ms)
        return effects + self._note_own(now_ms)

    def on_heartbeat(self, heartbeat: GroupHeartbeat, now_ms: int) -> list[Effect]:
        """A member's heartbeat repeats its acknowledgement, and tells what it has sent."""
        peer, streams = heartbeat.sender, heartbeat.streams
        if peer not in self._repeats or len(streams) != len(self.view.members):
            return []
        self._order.hear_tips(streams)
        for member in self._others:
            self._gaps.check(member, now_ms)
        self._stability.hear(peer, heartbeat.line, streams, now_ms)
        return self._settle()

    # -- acknowledging -----------------------------------------------------------------------
    def _note_own(self, now_ms: int) -> list[Effect]:
        self._stability.hear(self.me, self._order.line, self._order.prefixes(), now_ms)
        return self._settle()

    def _settle(self) -> list[Effect]:
        """Something may have become stable: deliver, free, give credit back."""
        ready = self._order.deliverable(self._stability.line)
        self._order.free(self._stability.streams)
        self._flow.stable(self._stability.streams[self._place])
        return self._give(ready, False)

    def acknowledge_if_due(self, now_ms: int) -> list[Effect]:
        """Tell the others, or the coordinator of a large view, what has arrived here."""
        stability = self._stability
        if stability.due_ms is None or stability.due_ms > now_ms:
            return []
        stability.due_ms = None
        effects: list[Effect] = []
        line, streams = self._order.line, self._order.prefixes()
        if stability.coordinates:
            summary = stability.summarise()
            if summary is not None:
                effects.append(Send(self._others, AckSummary(self.view.id, *summary)))
        elif stability.acknowledge(line, streams) and self._others:
            to = self._others if stability.is_direct else (self.view.id.coordinator,)
            effects.append(Send(to, GroupAck(self.view.id, line, streams)))
        return effects

    def want_if_due(self, now_ms: int) -> list[Effect]:
        """Ask for what should be here and isn't."""
        return [
            Send((holder,), Want(self.view.id, ranges))
            for holder, ranges in self._gaps.questions(now_ms)
        ]

    def on_want(self, peer: NodeId, message: Want) -> list[Effect]:
        """A member lacks messages: send it those that are here."""
        if peer not in self._repeats:
            return []
        packets = self._order.held_of(message.ranges, self._settings.want_messages_max)
        return [Send((peer,), packet) for packet in packets]

    # -- giving to sessions ------------------------------------------------------------------
    def _give(self, ready: Sequence[GroupPacket], transitional: bool) -> list[Effect]:
        effects: list[Effect] = []
        is_open = self._sessions.is_open
        for packet in ready:
            sessions = self.groups.recipients(packet, is_open)
            sessions = self._credit.backlogs.deliver(packet, sessions, is_open)
            effects.append(Deliver(packet, transitional, sessions))
            if packet.kind is Kind.DATA:
                continue
            effects += self.groups.apply(packet)
            self._credit.groups_changed()
            if packet.kind is Kind.DISCONNECT and packet.sender == self.me:
                self._sessions.gone(packet.items[0].session)
        return effects

    # -- from view to view -------------------------------------------------------------------
    @property
    def stable_line(self) -> int:
        """The ticket up to which every member is known to have everything."""
        return self._stability.line

    def leave_view(self, sync: Sync) -> list[Effect]:
        """Deliver what is left of the old view, with the transitional signal in its place."""
        effects = self._give(self.flush.regular, False)
        cohort = sync.plan.cohort
        effects.append(Transitional(self.view.id, cohort))
        effects += self.groups.transitional(cohort, sync.ballot, sync.members)
        return effects + self._give(self.flush.transitional, True)

    def enter_view(self, view: View, cohorts: Sequence[CohortGroups], now_ms: int) -> list[Effect]:
        """Begin anew in `view`; what waits in the queue is sent there."""
        self._flow.new_view()
        self._begin_view(view, now_ms)
        effects: list[Effect] = list(self.groups.install(view.id, cohorts))
        self._credit.enter_view(view)
        return effects
