"""F2: a node whose connections live and whose loop is silent is busy, not dead, for long."""

from __future__ import annotations

from group_world import A, B, C, Wires, Z, together

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.ids import NodeId


def hang(wires: Wires, node: NodeId) -> Engine:
    """The node's loop stands still, its links live: how the others see it after 3 s."""
    for other in wires.engines:
        for peer in wires.engines:
            wires.step(other, events.LinkUp(peer))
    stuck = wires.engines.pop(node)
    wires.run(3_000)
    return stuck


def test_a_member_that_is_stuck_stays_until_it_goes_on() -> None:
    wires = together(A, B, C)
    stuck = hang(wires, C)
    assert "peer_stuck" in wires.events_of(A)
    wires.run(16_000)
    wires.engines[C] = stuck
    wires.run(1_000)
    assert wires.of(A, out.ViewInstalled) == []
    assert wires.engines[A].detector.alive == (A, B, C)


def test_a_member_that_is_stuck_for_too_long_has_failed() -> None:
    wires = together(A, B, C)
    hang(wires, C)
    wires.run(18_000)
    assert wires.engines[A].view.members == (A, B)


def test_a_newcomer_waits_while_a_member_is_stuck() -> None:
    """The proposal would ask the member, and put it out for its silence."""
    wires = together(A, B, C)
    stuck = hang(wires, C)
    wires.engines[Z] = Engine(Z, wires.now_ms)
    wires.effects[Z] = []
    wires.run(2_000)
    assert wires.engines[A].view.members == (A, B, C)
    wires.engines[C] = stuck
    wires.run(1_000)
    assert wires.engines[A].view.members == (A, B, C, Z)


def test_a_death_is_agreed_on_without_a_member_that_is_stuck() -> None:
    """It is asked, and put out when it doesn't answer: the others can't wait."""
    wires = together(A, B, C)
    hang(wires, C)
    wires.step(A, events.ProcessGone(B))
    del wires.engines[B]
    wires.run(600)
    assert wires.engines[A].view.members == (A,)


def test_a_newcomer_that_is_stuck_is_not_proposed() -> None:
    wires = together(A, B, C)
    stuck = hang(wires, C)
    wires.engines[Z] = Engine(Z, wires.now_ms)
    wires.effects[Z] = []
    wires.run(1_000)
    hang(wires, Z)
    wires.engines[C] = stuck
    wires.run(2_000)
    assert wires.engines[A].detector.alive == (A, B, C, Z)
    assert wires.engines[A].detector.is_stuck(Z)
    assert "attempt_begun" not in wires.events_of(A)
