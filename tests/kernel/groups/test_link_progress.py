"""What over links has left, has come, and has arrived as the other end tells."""

from __future__ import annotations

from group_world import A, B, C

from zactor.kernel import limits
from zactor.kernel.groups.effects import Send
from zactor.kernel.groups.link_progress import LinkProgress, ProgressWatch
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import Departed, GroupHeartbeat, GroupPacket, Kind, Propose
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId

VIEW = ViewId(1, A)


def tell(links: LinkProgress, node: NodeId, **arrived: int) -> None:
    """A heartbeat of `node`: so much has come there."""
    hears = tuple(NodeId(name, 1) for name in arrived)
    heartbeat = GroupHeartbeat(
        node, 1, VIEW, VIEW, node, hears, (), 0, 0, (), (), tuple(arrived.values())
    )
    links.heard(heartbeat)


def test_what_comes_is_counted_but_for_what_may_be_lost() -> None:
    links = LinkProgress(A)
    links.arrived(B, Departed())
    links.arrived(B, GroupPacket(VIEW, B, 1, 0, Service.FIFO, Kind.DATA, 0, ()))
    links.arrived(B, GroupPacket(VIEW, B, 0, 0, Service.UNRELIABLE, Kind.DATA, 0, ()))
    assert links.counts((B, C)) == (2, 0)
    assert links.came(B) == 2
    assert links.gathered(A, (B, C)) == 2


def test_a_step_is_on_its_way_until_it_is_told_to_be_there() -> None:
    links = LinkProgress(A)
    links.leave(Send((B, C), Departed()))
    assert not links.is_on_way(B), "that was no step"
    links.leave(Send((B,), Propose(VIEW, (A, B))))
    assert links.is_on_way(B)
    assert not links.is_on_way(C)
    tell(links, B, a=1, c=7)
    assert links.is_on_way(B)
    assert links.reached(B) == 1
    assert links.gathered(B, (A, C)) == 8
    links.leave(Send((B,), Departed()))
    tell(links, B, a=2, c=7)
    assert not links.is_on_way(B), "what followed doesn't matter"
    links.gone(B)
    assert links.reached(B) == links.came(B) == 0


def test_what_is_missing_is_sent_again_when_it_cannot_be_on_its_way() -> None:
    links = LinkProgress(A)
    links.leave(Send((B,), Departed()))
    assert not links.may_answer(B)
    assert not links.may_answer(B)
    links.leave(Send((B,), Departed()))
    tell(links, B, a=1)
    assert links.may_answer(B)
    assert not links.may_answer(B), "the answer is on its way"


def test_what_is_missing_is_sent_again_when_nothing_comes_for_long() -> None:
    links = LinkProgress(A)
    for _ in range(3):
        links.leave(Send((B,), Departed()))
    times = 0
    while not links.may_answer(B):
        times += 1
        if times == 10:
            tell(links, B, a=1)  # it moves, however slowly
    assert times == 11 + limits.GROUP_WANT_VAIN_MAX


def test_who_makes_progress_is_not_late() -> None:
    watch = ProgressWatch(100)
    assert watch.since_ms(A, 5, 200) == 100
    assert watch.since_ms(A, 5, 300) == 100
    assert watch.since_ms(A, 6, 400) == 400
    assert watch.since_ms(A, 2, 500) == 400
    assert watch.since_ms(B, 0, 500) == 100
    watch.shift(50)
    assert watch.since_ms(A, 6, 600) == 450
    assert watch.since_ms(C, 0, 600) == 150
    watch.begin(700)
    assert watch.since_ms(A, 6, 800) == 700
