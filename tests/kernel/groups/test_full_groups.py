"""Engines with readers that are behind: whose groups are full, and who knows it."""

from __future__ import annotations

import pytest
from group_world import A, B, C, Wires, together

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import BehindSessions
from zactor.kernel.messages.service import Service


def consume(wires: Wires, node: NodeId, count: int, size: int = 0) -> list[out.Effect]:
    return wires.step(node, events.Consumed((("s", count, size),)))


def test_who_reads_slowly_holds_back_no_acknowledgement() -> None:
    limits = Settings(window_messages=4, packet_messages=1, backlog_messages=2, ack_messages=1)
    wires = together(A, B, settings=limits)
    for _ in range(30):
        wires.step(A, events.Submit("s", Service.FIFO, ("red",), b""))
    wires.run(5_000)
    assert wires.engines[A].multicast.waiting == wires.engines[A]._flow.in_flight == 0
    assert len(wires.of(B, out.Deliver)) == 30
    assert wires.engines[A].view.members == (A, B)


def test_all_members_know_which_groups_have_a_session_that_is_behind_until_half_is_read() -> None:
    wires = together(A, B, C, settings=Settings(backlog_messages=4))
    wires.step(C, events.Leave("s", "red"))
    wires.step(C, events.Join("s", "blue"))
    wires.run(100)
    for _ in range(5):
        wires.step(A, events.Submit("s", Service.AGREED, ("#s#b",), b""))
    wires.run(100)
    assert wires.engines[B].credit.backlogs.behind == {"s"}
    for engine in wires.engines.values():
        assert engine.multicast.is_full(("red",))
        assert engine.multicast.is_full(("blue", "#s#b"))
        assert not engine.multicast.is_full(("blue", "#s#a", "#s#c", "nobody's"))
    consume(wires, B, 2)
    wires.run(100)
    assert wires.engines[A].multicast.is_full(("red",)), "more than half is left"
    for found in wires.effects.values():
        found.clear()
    consume(wires, B, 1)
    wires.run(100)
    for node, engine in wires.engines.items():
        assert not engine.multicast.is_full(("red", "#s#b"))
        assert len(wires.of(node, out.CreditGiven)) == 1


def test_a_group_is_full_no_more_when_who_is_behind_leaves_it_or_closes_or_its_node_goes() -> None:
    wires = together(A, B, C, settings=Settings(backlog_messages=1))
    for node in (B, C):
        wires.step(node, events.SessionOpened("t"))
        wires.step(node, events.Join("t", "blue"))
    wires.run(100)
    for _ in range(2):
        wires.step(A, events.Submit("s", Service.AGREED, ("#s#b", "#t#b", "#t#c"), b""))
    wires.run(100)
    first = wires.engines[A]
    assert first.multicast.is_full(("red",))
    wires.step(B, events.Leave("s", "red"))
    wires.run(100)
    assert not first.multicast.is_full(("red",))
    assert first.multicast.is_full(("#s#b",))
    wires.step(B, events.SessionClosed("t"))
    wires.run(100)
    assert not first.multicast.is_full(("#t#b",))
    assert first.multicast.is_full(("blue",)), "c's session is in it"
    wires.effects[A].clear()
    del wires.engines[C]
    for node in (A, B):
        wires.step(node, events.ProcessGone(C))
    wires.run(1_000)
    assert first.view.members == (A, B)
    assert not first.multicast.is_full(("blue",))
    assert wires.of(A, out.CreditGiven)


def test_a_newcomer_hears_who_is_behind_and_who_caught_up_while_it_was_away() -> None:
    wires = together(A, B, settings=Settings(backlog_messages=1))
    for _ in range(2):
        wires.step(B, events.Submit("s", Service.AGREED, ("#s#b",), b""))
    wires.engines[C] = Engine(C, wires.now_ms, Settings(backlog_messages=1))
    wires.effects[C] = []
    wires.run(1_000)
    assert wires.engines[C].view.members == (A, B, C)
    assert wires.engines[C].multicast.is_full(("red",))
    wires.step(A, events.LinkDown(B))
    wires.dropped = {BehindSessions}  # as on a link that isn't there
    consume(wires, B, 2)
    wires.run(100)
    assert wires.engines[C].multicast.is_full(("red",))
    wires.dropped = set()
    del wires.engines[A]
    for node in (B, C):
        wires.step(node, events.ProcessGone(A))
    wires.run(1_000)
    assert wires.engines[C].view.members == (B, C)
    assert not wires.engines[C].multicast.is_full(("red",))


def test_bytes_count_like_messages_and_nobody_consumes_more_than_was_delivered() -> None:
    wires = together(A, B, settings=Settings(backlog_bytes=2_000))
    for _ in range(3):
        wires.step(A, events.Submit("s", Service.FIFO, ("#s#b",), bytes(1_000)))
    wires.run(100)
    assert wires.engines[A].multicast.is_full(("red",))
    with pytest.raises(LocalProtocolError, match=r"1 \(3001 bytes\) consumed by session 's', 3"):
        consume(wires, B, 1, 3_001)
    consume(wires, B, 2, 2_000)
    wires.run(100)
    assert not wires.engines[A].multicast.is_full(("red",))


def test_unreliable_messages_are_not_given_to_who_would_be_behind() -> None:
    wires = together(A, B, settings=Settings(backlog_messages=2))
    for _ in range(5):
        wires.step(A, events.Submit("s", Service.UNRELIABLE, ("#s#b",), b""))
        wires.settle()
    given = [one.sessions for one in wires.of(B, out.Deliver) if isinstance(one, out.Deliver)]
    assert given == [(("s",),)] * 2 + [((),)] * 3
    assert wires.engines[B].credit.backlogs.behind == set()
