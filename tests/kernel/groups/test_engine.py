"""The engine as a shell sees it: events in, effects out. Whole clusters are in tests/sim."""

from __future__ import annotations

import msgspec
import pytest
from group_world import A, B, C, Wires, Z, together

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.attempt import PROPOSER, Progress, Role
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.view_agreement import MEMBER, Phase, Step
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    Accept,
    AckSummary,
    Departed,
    EngineMessage,
    GroupAck,
    GroupHeartbeat,
    GroupItem,
    GroupPacket,
    Install,
    Kind,
    Propose,
    Ready,
    Report,
    TicketGrant,
    TicketRequest,
    Want,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import GroupId, SessionId, ViewId


def test_a_node_begins_in_a_view_of_its_own() -> None:
    (first,) = Engine(A, 0).first_effects()
    assert isinstance(first, out.ViewInstalled)
    assert first.view.members == (A,)
    assert str(first.view.id) == "0.a@1"


def test_names_print_as_people_write_them() -> None:
    assert str(GroupId(ViewId(3, A), 2)) == "3.a@1/2"
    assert str(SessionId(A, "ann")) == "#ann#a"


def test_alone_everything_is_delivered_at_once() -> None:
    engine = Engine(A, 0)
    engine.step(events.SessionOpened("s"), 0)
    engine.step(events.Join("s", "red"), 0)
    for service in Service:
        found = engine.step(events.Submit("s", service, ("red",), b"x"), 1)
        (delivered,) = [effect for effect in found if isinstance(effect, out.Deliver)]
        assert (delivered.packet.service, delivered.sessions) == (service, (("s",),))


def test_the_place_is_logged_before_the_message_leaves() -> None:
    wires = together(A, B)
    kinds = [type(one) for one in wires.step(A, events.Submit("s", Service.AGREED, ("red",), b""))]
    assert kinds.index(out.Sent) < kinds.index(out.Send)


def test_a_safe_message_waits_for_every_member() -> None:
    wires = together(A, B, C)
    wires.dropped = {GroupAck, GroupHeartbeat}
    wires.step(A, events.Submit("s", Service.SAFE, ("red",), b""))
    wires.settle()
    assert wires.of(B, out.Deliver) == []
    wires.dropped = set()
    wires.run(200)
    assert len(wires.of(B, out.Deliver)) == 1


def test_acknowledgements_leave_when_the_shell_has_drained_its_input() -> None:
    wires = together(A, B)
    wires.step(A, events.Submit("s", Service.SAFE, ("red",), b""))
    wires.settle()
    found = wires.step(B, events.Drained())
    assert [type(one.message) for one in found if isinstance(one, out.Send)] == [GroupAck]
    assert wires.step(B, events.Drained()) == []


def test_a_wrong_session_changes_nothing() -> None:
    engine = Engine(A, 0)
    with pytest.raises(LocalProtocolError):
        engine.step(events.Submit("nobody", Service.FIFO, ("red",), b""), 0)
    assert engine.last_number == 0


def test_all_groups_together_have_only_so_many_members() -> None:
    wires = together(A, B, settings=Settings(memberships_max=3))
    wires.step(A, events.Join("s", "blue"))
    wires.run(100)
    with pytest.raises(LocalProtocolError, match="3 members together"):
        wires.step(B, events.Join("s", "blue"))
    wires.step(A, events.Leave("s", "red"))
    wires.run(100)
    wires.step(B, events.Join("s", "blue"))


def test_what_is_queued_in_one_turn_leaves_as_one_packet() -> None:
    wires = together(A, B)
    for service in (Service.AGREED, Service.SAFE, Service.FIFO, Service.UNRELIABLE):
        for _ in range(2):
            wires.engines[A].submit(events.Submit("s", service, ("red",), b"", mess_type=-7))
    assert wires.engines[A].deadline_ms <= wires.now_ms
    found = wires.step(A, events.Drained())
    sent = [one.packet for one in found if isinstance(one, out.Sent)]
    assert [(one.service, len(one.items)) for one in sent] == [
        (Service.UNRELIABLE, 2),  # it doesn't wait for tickets
        (Service.SAFE, 4),
        (Service.FIFO, 2),
    ]
    wires.run(100)
    packets = [one for one in wires.of(B, out.Deliver) if isinstance(one, out.Deliver)]
    data = [message for one in packets for message, to in one.messages if to == ("s",)]
    assert [one.service for one in data if one.ticket] == [Service.AGREED] * 2 + [Service.SAFE] * 2
    assert {one.mess_type for one in data} == {-7}
    assert len(data) == 8


def test_a_node_that_has_stopped_takes_no_more() -> None:
    engine = Engine(A, 0)
    engine.step(events.Stop(), 0)
    engine.submit(events.Submit("nobody", Service.FIFO, ("red",), b""))
    assert engine.step(events.Drained(), 0) == []


def test_more_cannot_be_consumed_than_was_delivered() -> None:
    with pytest.raises(
        LocalProtocolError,
        match=r"1 \(0 bytes\) consumed by session 's', 0 \(0 bytes\) are under way",
    ):
        Engine(A, 0).step(events.Consumed((("s", 1, 0),)), 0)


def test_a_node_that_stops_says_so_and_is_silent() -> None:
    wires = together(A, B)
    (said,) = wires.step(B, events.Stop())
    assert isinstance(said, out.Send)
    assert isinstance(said.message, Departed)
    assert wires.step(B, events.Tick()) == []
    wires.settle()
    assert wires.engines[A].view.members == (A,)


def test_proof_of_death_changes_the_view_at_once() -> None:
    wires = together(A, B, C)
    for node in (A, B):
        wires.step(node, events.ProcessGone(C))
        wires.step(node, events.ProcessGone(C))
    wires.settle()
    assert wires.engines[A].view.members == (A, B)
    assert len(wires.of(B, out.GroupTransitional)) == 1


def test_a_broken_link_alone_changes_nothing() -> None:
    wires = together(A, B)
    wires.step(A, events.LinkUp(B))
    wires.step(A, events.LinkDown(B))
    wires.run(300)
    assert wires.of(A, out.ViewInstalled) == []


def test_who_wakes_late_says_so() -> None:
    wires = together(A, B)
    wires.now_ms += 5_000
    wires.step(A, events.Tick())
    assert "woke_late" in wires.events_of(A)
    assert wires.engines[A].detector.alive == (A, B)


def test_silence_during_recovery_or_a_proposal_is_held_against_who_was_silent() -> None:
    wires = Wires(A, B)
    wires.dropped = {Accept}
    wires.run(700)
    assert "attempt_given_up" in wires.events_of(A)
    assert wires.engines[A].detector.alive == (A,)
    wires.dropped = set()
    wires.run(2_000)
    assert wires.engines[B].view.members == (A, B)


def test_who_sleeps_in_an_attempt_moves_its_deadline() -> None:
    wires = Wires(A, B)
    wires.dropped = {Accept}
    wires.run(300)
    assert wires.engines[A].agreement.role is Role.COLLECTING
    wires.now_ms += 3_000
    wires.step(A, events.Tick())
    assert "attempt_given_up" not in wires.events_of(A)


def test_a_lost_install_ends_in_a_new_attempt() -> None:
    wires = Wires(A, B)
    wires.dropped = {Install}
    wires.run(300)
    assert wires.engines[A].view.members == (A, B)
    assert wires.engines[B].agreement.phase is Phase.READY
    wires.dropped = set()
    wires.run(2_500)
    assert wires.engines[A].view == wires.engines[B].view
    assert wires.engines[A].view.id.epoch > 1


def test_a_member_that_hears_of_no_proposal_goes_on_alone() -> None:
    wires = together(A, B, C)
    wires.dropped = {Propose}
    for node in (B, C):
        wires.step(node, events.ProcessGone(A))
    del wires.engines[A]
    wires.run(2_000)
    assert wires.engines[C].view.members == (C,)


def test_old_and_strange_messages_are_dropped() -> None:
    wires = together(A, B)
    view, other = wires.engines[A].view.id, ViewId(99, Z)
    report = Report(view, 0, 0, (), ())
    item = GroupItem(1, Service.FIFO, "s", ("red",), False, 0, b"")
    strange: list[tuple[NodeId, EngineMessage]] = [
        (Z, GroupAck(view, 9, (9, 9))),
        (Z, Want(view, ((A, 1, 9),))),
        (B, Want(view, ((Z, 1, 9),))),
        (B, GroupAck(other, 9, (9, 9))),
        (B, Accept(view, report)),
        (B, Ready(view, ())),
        (B, Install(other, ())),
        (B, Propose(ViewId(0, B), (A, B))),
        (B, Propose(other, (B,))),
        (B, GroupPacket(view, Z, 1, 0, Service.FIFO, Kind.DATA, 0, (item,))),
    ]
    for peer, message in strange:
        found = wires.step(A, events.Received(peer, message))
        assert {type(one) for one in found} <= {Trace}
    heartbeat = GroupHeartbeat(Z, 1, view, view, A, (), (), 0, 9, (9, 9))
    wires.step(A, events.Heard(heartbeat))
    assert wires.of(A, out.Deliver) == []


def test_a_member_that_acknowledges_nothing_has_failed() -> None:
    wires = together(A, B, settings=Settings(stall_ms=3_000))
    wires.dropped = {GroupPacket}
    wires.step(A, events.Submit("s", Service.FIFO, ("#s#b",), b""))
    wires.run(4_000)
    assert "member_stalled" in wires.events_of(A)
    assert wires.engines[A].view.members == (A,) or len(wires.of(A, out.ViewInstalled)) > 1


def test_unreliable_messages_are_dropped_rather_than_kept() -> None:
    wires = together(
        A, B, settings=Settings(window_messages=1, packet_messages=1, ack_messages=1, queue_soft=1)
    )
    wires.dropped = {GroupAck, GroupHeartbeat}
    for _ in range(4):
        wires.step(A, events.Submit("s", Service.FIFO, ("red",), b""))
    wires.step(A, events.Submit("s", Service.UNRELIABLE, ("red",), b""))
    assert wires.events_of(A) == ["messages_dropped"]


def test_a_large_view_acknowledges_through_its_coordinator() -> None:
    wires = together(A, B, C, settings=Settings(ack_direct_members_max=2))
    wires.step(B, events.Submit("s", Service.SAFE, ("red",), b""))
    wires.dropped = {GroupHeartbeat}
    wires.run(100)
    sends = [one for node in (A, B, C) for one in wires.of(node, out.Send)]
    kinds = {type(one.message): one.to for one in sends if isinstance(one, out.Send)}
    assert kinds[GroupAck] == (A,)
    assert kinds[AckSummary] == (B, C)
    assert len(wires.of(C, out.Deliver)) == 1


def test_what_comes_for_the_next_view_waits_for_it() -> None:
    wires = Wires(A, B)
    wires.run(20)
    wires.dropped = {Install}
    while wires.engines[A].view.members != (A, B):
        wires.run(10)
    (install,) = [
        one.message
        for one in wires.of(A, out.Send)
        if isinstance(one, out.Send) and isinstance(one.message, Install)
    ]
    wires.step(A, events.SessionOpened("s"))
    wires.step(A, events.Submit("s", Service.AGREED, ("red",), b""))
    wires.settle()
    assert wires.of(B, out.Deliver) == []
    wires.step(B, events.Received(A, install))
    assert len(wires.of(B, out.Deliver)) == 1


def test_tickets_are_given_once() -> None:
    wires = together(A, B)
    view = wires.engines[A].view.id
    grants = []
    for _ in range(2):
        (send,) = wires.step(A, events.Received(B, TicketRequest(view, 3)))
        assert isinstance(send, out.Send)
        assert isinstance(send.message, TicketGrant)
        grants.append(send.message.first)
    assert grants[1] == grants[0] + 3


@pytest.mark.parametrize("table", [MEMBER, PROPOSER])
def test_every_phase_has_a_way_on(table: dict[object, dict[object, object]]) -> None:
    for state, steps in table.items():
        assert steps, state
        assert set(steps.values()) <= set(table)


def test_the_tables_refuse_what_cannot_happen() -> None:
    assert Step.INSTALL not in MEMBER[Phase.RECOVERING]
    assert Step.PLAN not in MEMBER[Phase.OPERATIONAL]
    assert Progress.READY not in PROPOSER[Role.COLLECTING]


def test_every_message_survives_the_wire() -> None:
    wires = together(A, B, C)
    wires.step(A, events.Submit("s", Service.SAFE, ("red",), b"\0\xff", discard=True))
    wires.run(200)
    for node in (A, B):
        wires.step(node, events.ProcessGone(C))
    wires.settle()
    decoder = msgspec.msgpack.Decoder(EngineMessage | GroupHeartbeat)
    sends = [one for found in wires.effects.values() for one in found]
    messages = [one.message for one in sends if isinstance(one, out.Send)]
    messages += [one.heartbeat for one in sends if isinstance(one, out.Publish)]
    assert len({type(message) for message in messages}) >= 8
    for message in messages:
        assert decoder.decode(msgspec.msgpack.encode(message)) == message
