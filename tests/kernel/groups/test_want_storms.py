"""A member that asks for everything again, and again: it costs the others little."""

from __future__ import annotations

import time

import pytest
from group_world import A, B, C, Wires, together
from slowness import Slowness

from zactor.kernel import limits
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import AckSummary, GroupAck, GroupPacket, Propose, Want
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId

HELD = 1_000
STORM = 2_000
LAG_S = 0.1
ALL = (1 << 53) - 1


def holding() -> Wires:
    """All have HELD messages of `a`, which aren't known to be everywhere."""
    wires = together(A, B, C)
    wires.dropped = {GroupAck, AckSummary}
    for number in range(HELD):
        wires.step(A, events.Submit("s", Service.FIFO, ("red",), b"%d" % number))
        wires.settle()
    assert wires.engines[A].multicast._order.held_count >= HELD // 4
    return wires


def answers(found: list[out.Effect]) -> int:
    return sum(isinstance(one, out.Send) and isinstance(one.message, GroupPacket) for one in found)


def test_a_storm_of_questions_is_answered_now_and_then() -> None:
    wires = holding()
    a = wires.engines[A]
    held = a.multicast._order.held_count
    want = Want(a.view.id, ((A, 1, ALL),))
    sent = sum(answers(wires.step(A, events.Received(B, want))) for _ in range(STORM))
    assert 0 < sent <= (STORM / limits.GROUP_WANT_VAIN_MAX + 1) * held


def test_a_storm_during_an_attempt_at_a_view_is_no_worse() -> None:
    wires = holding()
    b = wires.engines[B]
    held = b.multicast._order.held_count
    want = Want(b.view.id, ((A, 1, ALL),))
    wires.step(B, events.Received(A, Propose(ViewId(b.view.id.epoch + 1, A), (A, B, C))))
    assert b.agreement.is_frozen
    sent = [answers(wires.step(B, events.Received(C, want))) for _ in range(STORM)]
    assert sent[0] == held, "who lacks something needn't wait"
    often = limits.GROUP_WANT_FLUSH_MAX + STORM / limits.GROUP_WANT_VAIN_MAX + 1
    assert sum(sent) <= often * held


@pytest.mark.parametrize(
    ("sender", "first"), [(A, 1), (A, ALL - 1), (NodeId("nobody", 1), 1)], ids=str
)
def test_a_question_for_anything_is_looked_up_once(
    sender: NodeId, first: int, slowness: Slowness
) -> None:
    """It fits into one message, and would take minutes."""
    wires = holding()
    a = wires.engines[A]
    want = Want(a.view.id, ((sender, first, ALL),) * 50_000)
    held = a.multicast._order.held_count
    for _ in range(limits.GROUP_WANT_VAIN_MAX + 2):  # one of them is answered
        begun = time.perf_counter()
        assert answers(wires.step(A, events.Received(B, want))) <= held
        assert slowness.quiet_s(time.perf_counter() - begun) < LAG_S
