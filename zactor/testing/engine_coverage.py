"""Which rows of the tables and which rules of PROTOCOL.md, section 8, the engines have exercised.

What is looked at inside of an engine is looked at in `_Watcher`, nowhere else: before and after
each of its steps, and when a table moves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.attempt import Progress, Role
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.flow_control import Draft
from zactor.kernel.groups.recovery import Place, make_schedule
from zactor.kernel.groups.view_agreement import Phase, Step
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    AckSummary,
    BehindSessions,
    GroupAck,
    GroupHeartbeat,
    GroupPacket,
    Kind,
    Plan,
    TicketGrant,
    Want,
)
from zactor.kernel.messages.service import Service
from zactor.testing.coverage import Coverage
from zactor.testing.engine_rules import TABLES

_GIVEN_UP = {"member lost": "V9 a member dies", "outbid": "V9 outbid", "silence": "V9 silence"}
_TRACED = {
    "woke_late": "F5 woke late",
    "peer_stuck": "F2 stuck",
    "peer_held": "F6 held down",
    "peer_one_way": "F4 one way",
    "peer_silent": "F3 silent",
    "member_stalled": "O9 a member that takes nothing",
    "message_refused": "M1 refused",
}
_SUSPECTED = {"silent": "F3 silent", "one way": "F4 one way"}


class EngineCoverage(Coverage):
    """Counts of rows and rules, over any number of engines."""

    def __init__(self) -> None:
        """Nothing has been exercised yet."""
        super().__init__(TABLES)

    def watch(self, engine: Engine) -> None:
        """Count what `engine` does from now on."""
        _Watcher(self.hit, engine)


def _around(thing: object, name: str, call: Callable[..., Any]) -> None:
    """From now on `call` is called in place of a method, which is its first argument."""
    setattr(thing, name, functools.partial(call, getattr(thing, name)))


class _Watcher:
    """Looks at one engine."""

    def __init__(self, hit: Callable[[str], None], engine: Engine) -> None:
        self._hit = hit
        self._engine = engine
        self._why: set[str] = set()  # for which an attempt may have begun in this step
        self._gave_up = 0  # attempts of our own, in this step
        agreement, detector = engine.agreement, engine.detector
        _around(engine, "step", self._step)
        _around(engine, "submit", self._submit)
        _around(agreement, "_move", self._move)
        _around(agreement, "_go", self._go)
        for name, key in (("_go_alone", "V8 alone"), ("_astray", "V7 a member in another view")):
            _around(agreement, name, functools.partial(self._asked, key))
        _around(agreement, "_are_due", self._are_due)
        _around(detector, "accuse", self._accuse)
        _around(engine._flow, "_has_credit", self._has_credit)
        _around(engine.multicast, "is_full", functools.partial(self._judged, "O8b held", True))
        has_room = functools.partial(self._judged, "O8b dropped", False)
        _around(engine.credit.backlogs, "has_room", has_room)

    # -- in place of methods -----------------------------------------------------------------
    def _submit(self, real: Callable[[events.Submit], None], event: events.Submit) -> None:
        try:
            real(event)
        except MailboxFull:
            self._hit("O8 refused")
            raise

    def _step(
        self, real: Callable[[events.Event, int], list[out.Effect]], event: events.Event, now: int
    ) -> list[out.Effect]:
        engine = self._engine
        self._why.clear()
        self._gave_up = 0
        was_frozen = engine.agreement.is_frozen
        self._comes(event)
        effects = real(event, now)
        for effect in effects:
            self._look(effect, was_frozen)
        self._stands(event)
        return effects

    def _move(self, real: Callable[[Step], None], step: Step) -> None:
        self._hit(f"member {self._engine.agreement.phase.name}: {step.name}")
        real(step)
        sync = self._engine.agreement.sync
        if step is Step.RECOVERED and sync is not None:
            self._recovered(sync.plan)

    def _go(self, real: Callable[[Progress], None], progress: Progress) -> None:
        self._hit(f"proposer {self._engine.agreement.role.name}: {progress.name}")
        self._gave_up += progress is Progress.GIVE_UP
        real(progress)

    def _asked(self, key: str, real: Callable[..., Any], *args: Any) -> Any:
        found = real(*args)
        if found:
            self._why.add(key)
        return found

    def _judged(self, key: str, hit: bool, real: Callable[..., bool], *args: Any) -> bool:
        found = real(*args)
        if found is hit:
            self._hit(key)
        return found

    def _are_due(
        self, real: Callable[..., bool], foreign: tuple[NodeId, ...], detector: Any, now: int
    ) -> bool:
        found = real(foreign, detector, now)
        if found:
            self._why.add("V6 a newcomer, quiet" if detector.is_quiet() else "V6 a newcomer")
        elif foreign and any(map(detector.is_stuck, self._engine.view.members)):
            self._hit("F2 newcomers wait")
        return found

    def _accuse(self, real: Callable[[NodeId, int], None], node: NodeId, now: int) -> None:
        peer = self._engine.detector.peer(node)
        if peer is not None and peer.flaps and not peer.link_up:
            self._hit("F6 no link to answer on")
        real(node, now)

    def _has_credit(self, real: Callable[[Draft], bool], draft: Draft) -> bool:
        may = real(draft)
        flow, settings = self._engine._flow, self._engine.settings
        is_full = (
            flow.in_flight + flow._reserved_messages >= settings.window_messages
            or flow._flight_bytes >= settings.window_bytes
        )
        if is_full:
            self._hit("O10 without credit" if draft.is_urgent else "O8 no credit")
        return may

    # -- before a step -----------------------------------------------------------------------
    def _comes(self, event: events.Event) -> None:
        engine = self._engine
        if isinstance(event, events.Heard):
            self._hears(event.heartbeat)
        elif isinstance(event, events.Received):
            view = getattr(event.message, "view", None)
            is_next = view is not None and view == engine.agreement.promised != engine.view.id
            if is_next and engine.agreement.phase is Phase.READY:
                is_full = len(engine._early) >= engine.settings.early_messages_max
                self._hit("O4 no room" if is_full else "O4 early")
        elif isinstance(event, events.ProcessGone) and not engine.detector.is_gone(event.peer):
            self._hit("F1 proof")

    def _hears(self, heartbeat: GroupHeartbeat) -> None:
        sender, detector = heartbeat.sender, self._engine.detector
        if detector.is_gone(sender):
            return
        if any(q.name == sender.name and q < sender for q in detector._peers):
            self._hit("F1 a higher incarnation")
        if self._engine.me in heartbeat.held:
            self._hit("F4 held by the other")

    # -- after it ----------------------------------------------------------------------------
    def _look(self, effect: out.Effect, was_frozen: bool) -> None:
        match effect:
            case Trace():
                self._traced(effect, was_frozen)
            case out.Send():
                self._sends(effect)
            case out.Sent(packet=packet):
                self._sent(packet)
            case out.Publish():
                self._leads()
            case out.Pause():
                self._hit("O8 paused")
            case out.CreditGiven():
                self._hit("O8b let go")
            case out.Deliver(packet=packet):
                if packet.kind is not Kind.DATA:
                    self._hit("G1 in the order")
            case out.GroupView(cause=cause, id=id_):
                if cause is out.Cause.NETWORK:
                    self._hit("G2 the network")
                if id_.index < 0:
                    self._hit("G4 after the signal")
            case out.GroupTransitional():
                self._hit("G3 signal")
            case out.ViewInstalled():
                self._installed(effect)
            case _:
                pass

    def _traced(self, trace: Trace, was_frozen: bool) -> None:
        fields = trace.fields
        if trace.event in _TRACED:
            self._hit(_TRACED[trace.event])
        if trace.event == "message_refused" and "out of reach" in str(fields["why"]):
            self._hit("V1 out of reach")
        elif trace.event == "peer_suspected":
            self._hit(_SUSPECTED[str(fields["after"])])
        elif trace.event == "peer_held":
            self._held(str(fields["peer"]))
        elif trace.event == "attempt_given_up":
            self._gave_up -= 1
            self._why.add("again")
            self._hit(_GIVEN_UP[str(fields["why"])])
        elif trace.event == "attempt_begun":
            self._began(fields["members"], was_frozen)

    def _held(self, name: str) -> None:
        settings, detector = self._engine.settings, self._engine.detector
        for node, peer in detector._peers.items():
            wait_ms = settings.hold_down_ms << min(max(peer.flaps - 1, 0), 16)
            if str(node) != name:
                continue
            if wait_ms >= settings.hold_down_ms_max:
                self._hit("F6 for the longest time")
            if wait_ms > settings.hold_down_ms and peer.rested_ms:
                self._hit("F6 less the silence")

    def _began(self, members: object, was_frozen: bool) -> None:
        engine = self._engine
        if "again" in self._why:
            return  # as it said when it gave up
        for key in sorted(self._why):
            self._hit(key)
        if self._why:
            return
        assert isinstance(members, list), "names"
        missing = [node for node in engine.view.members if str(node) not in members]
        if was_frozen:
            self._hit("V9 another's attempt")
        elif any(node in engine.detector.alive for node in missing):
            self._hit("V6 a member that can't be led")
        elif missing:
            self._hit("V6 a member is missing")

    def _sends(self, effect: out.Send) -> None:
        multicast = self._engine.multicast
        match effect.message:
            case Want(ranges=ranges):
                if self._engine.agreement.is_frozen:
                    self._hit("V3 asked of a holder")
                elif ranges:
                    is_sender = ranges[0][0] in effect.to
                    self._hit("O6 of the sender" if is_sender else "O6 of another holder")
            case GroupAck():
                is_direct = multicast._stability.is_direct
                self._hit("O5 to all" if is_direct else "O5 to the coordinator")
            case AckSummary():
                self._hit("O5 the minimum")
            case BehindSessions(sessions=sessions):
                self._hit("O8a told" if sessions else "O8a caught up")
            case TicketGrant(count=count):
                if count > 1:
                    self._hit("O2 a lot")
            case _:
                pass

    def _sent(self, packet: GroupPacket) -> None:
        if len(packet.items) > 1:
            self._hit("O0 packed")
        if any(item.count > 1 for item in packet.items):
            self._hit("O0a a parcel" if len(packet.items) == 1 else "O0a in company")
        if len({item.service for item in packet.items}) > 1:
            self._hit("O0 the strongest")
        if self._engine._flow.asked and packet.service in (Service.RELIABLE, Service.UNRELIABLE):
            self._hit("O3 overtakes")

    def _leads(self) -> None:
        """Whom it would lead, and whom it follows, as its heartbeat says."""
        detector = self._engine.detector
        if detector.leader != detector.alive[0]:
            self._hit("F8 passed over")
        if detector.leader != self._engine.me:
            return
        led = detector.followers(self._engine.view.members)
        for node in detector.alive:
            peer = detector.peer(node)
            if peer is None or node in led or node < self._engine.me:
                continue
            is_free = peer.follows >= self._engine.me or detector.is_gone(peer.follows)
            self._hit("F7 no clique" if is_free else "F7 somebody lower to follow")

    def _installed(self, effect: out.ViewInstalled) -> None:
        groups = self._engine.multicast.groups.states()
        if any(state.id.view != effect.view.id for state in groups):
            self._hit("G2 undisturbed")

    def _stands(self, event: events.Event) -> None:
        engine = self._engine
        flow = engine._flow
        if self._gave_up > 0:
            self._hit("V1 own attempt given up")
        attempt = engine.agreement._attempt
        if engine.agreement.role is Role.SYNCING and attempt is not None and len(attempt.plans) > 1:
            self._hit("V2 several cohorts")
        if flow.asked and any(not draft.is_ticketed for draft in flow._queue):
            self._hit("O3 waits behind")
        if engine.credit.backlogs.behind:
            self._hit("O8a behind")
            if engine.credit.backlogs._is_crowded:
                self._hit("O8a crowded")
        if isinstance(event, events.Received) and isinstance(event.message, GroupPacket):
            self._packet_stands(event.message)

    def _packet_stands(self, packet: GroupPacket) -> None:
        stream = self._engine.multicast._order.streams.get(packet.sender)
        if stream is None or packet.view != self._engine.view.id:
            return
        if packet.sequence in stream.held and packet.sequence > stream.prefix:
            self._hit("O1 a hole")
        if stream.base:
            self._hit("O7 freed")

    # -- the flush ---------------------------------------------------------------------------
    def _recovered(self, plan: Plan) -> None:
        """All of the plan is here: see what becomes of it."""
        schedule = make_schedule(plan)
        tickets = {
            Place(state.sender, entry.sequence): entry.ticket
            for state in plan.streams
            for entry in state.held
        }
        if set(plan.obligation) > set(plan.cohort):
            self._hit("V4 an obligation of before")
        if schedule.regular:
            self._hit("V5 regular")
        if schedule.transitional:
            self._hit("V5 transitional")
        if tickets.keys() - {*schedule.regular, *schedule.transitional}:
            self._hit("V5 dropped")
        before = max([plan.delivered, *_given(tickets, schedule.regular)])
        for ticket in _given(tickets, schedule.transitional):
            if ticket > before + 1:
                self._hit("V5 beyond the gap")
                break
            before = ticket


def _given(tickets: dict[Place, int], places: Iterable[Place]) -> list[int]:
    """Return the tickets of those that have one."""
    return sorted(tickets[place] for place in places if tickets[place])
