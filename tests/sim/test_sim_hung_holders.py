"""A node whose loop hangs while the order waits for it: two seconds, not twenty."""

from __future__ import annotations

import random

import pytest

from zactor.kernel.groups import events
from zactor.kernel.groups.failure_detector import FailureDetector, Peer
from zactor.kernel.groups.multicast import ViewMulticast
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.service import Service
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = ("n1", "n2", "n3")
WAIT_MS_MAX = 2_000
LONG_MS = 15_000  # below GROUP_STUCK_MS
BACK_MS = 5_000  # hold-down, then a view


class Stalled(AssertionError):
    """The order of all waits for one that hangs."""


class Apart(AssertionError):
    """Nodes that hear each other are in different views."""


def views(cluster: Cluster, names: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The members of each view that one of the nodes has now."""
    engines = [cluster.nodes[name].engine for name in names]
    return {tuple(member.name for member in engine.view.members) for engine in engines}


def three() -> Cluster:
    """Three nodes in one view, each with a session in a group; n1 gives the tickets."""
    cluster = Cluster(random.Random(1), Faults(delay_ms_min=1, delay_ms_max=1))
    for name in NAMES:
        cluster.start(name)
    cluster.run_ms(1_000)
    for name in NAMES:
        cluster.step(cluster.nodes[name], events.SessionOpened("s"))
        cluster.step(cluster.nodes[name], events.Join("s", "red"))
    cluster.run_ms(500)
    assert views(cluster, NAMES) == {NAMES}
    return cluster


def send(cluster: Cluster, name: str) -> str:
    """A session of the node says something AGREED; return the message's id."""
    node = cluster.nodes[name]
    cluster.step(node, events.Submit("s", Service.AGREED, ("red",), b"x"))
    return f"{node.id}#{node.engine.last_number}"


def wait(cluster: Cluster, mid: str, at: tuple[str, ...]) -> None:
    """Let time go by until the message is delivered at these nodes."""
    left = set(at)
    for _ in range(WAIT_MS_MAX // 10):
        cluster.run_ms(10)
        for line in cluster.lines:
            if line["k"] == "deliver" and line["mid"] == mid:
                left.discard(line["p"].partition("@")[0])
        if not left:
            return
    raise Stalled(f"{mid} isn't delivered at {sorted(left)} after {WAIT_MS_MAX} ms")


def hang_with_grant(cluster: Cluster, name: str) -> None:
    """The node asks for a ticket, and its loop hangs before it reads the answer."""
    send(cluster, name)
    cluster.hang(name)
    cluster.run_ms(10)


def hang_with_tickets(cluster: Cluster, hung: str, sender: str) -> None:
    """`hung` holds what the next message of `sender` needs, and hangs."""
    if hung == "n1":
        cluster.hang(hung)
    else:
        hang_with_grant(cluster, hung)
    others = tuple(name for name in NAMES if name != hung)
    wait(cluster, send(cluster, sender), others)
    if views(cluster, others) != {others}:
        raise Apart(f"views of {views(cluster, others)}")


CASES = [("n2", "n1"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2"), ("n1", "n2"), ("n1", "n3")]


@pytest.mark.parametrize(("hung", "sender"), CASES)
def test_one_that_hangs_stops_the_order_for_two_seconds_at_most(hung: str, sender: str) -> None:
    cluster = three()
    hang_with_tickets(cluster, hung, sender)
    cluster.run_ms(1_000)
    cluster.resume(hung)
    cluster.run_ms(BACK_MS)
    assert views(cluster, NAMES) == {NAMES}
    wait(cluster, send(cluster, hung), NAMES)
    assert check_all(cluster.lines) == {}


@pytest.mark.parametrize("hung", NAMES)
def test_who_hangs_for_long_already_is_waited_for_no_longer(hung: str) -> None:
    cluster = three()
    if hung == "n1":
        cluster.hang(hung)
    else:
        hang_with_grant(cluster, hung)
    cluster.run_ms(LONG_MS)
    others = tuple(name for name in NAMES if name != hung)
    assert views(cluster, others) == {NAMES}, "nobody waited"
    wait(cluster, send(cluster, others[-1]), others)


@pytest.mark.parametrize("hung", NAMES)
def test_one_that_hangs_and_holds_nothing_is_left_alone(hung: str) -> None:
    cluster = three()
    cluster.hang(hung)
    for _ in range(LONG_MS // 1_000):
        if hung != "n1":
            others = tuple(name for name in NAMES if name != hung)
            wait(cluster, send(cluster, others[-1]), others)
        cluster.run_ms(1_000)
    assert views(cluster, NAMES) == {NAMES}
    cluster.resume(hung)
    cluster.run_ms(BACK_MS)
    assert sum(line["k"] == "view" for line in cluster.lines) == 2 * len(NAMES), "none was new"


def _awaited_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViewMulticast, "awaited", lambda self: None)


def _giver_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast.awaited

    def awaited(self: ViewMulticast) -> NodeId | None:
        return real(self) if self.view.id.coordinator == self.me else None

    monkeypatch.setattr(ViewMulticast, "awaited", awaited)


def _each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def patience_ms(self: FailureDetector, node: NodeId, peer: Peer) -> int:
        settings = self._settings
        return settings.awaited_ms if node == self.awaited else settings.stuck_ms

    monkeypatch.setattr(FailureDetector, "_patience_ms", patience_ms)


@pytest.mark.parametrize(
    ("mutant", "hung", "sender"),
    [
        (_awaited_by_nobody, "n2", "n1"),
        (_giver_waited_for, "n1", "n2"),
        (_each_for_itself, "n1", "n3"),
    ],
)
def test_each_part_of_the_rule_is_needed(
    mutant: object, hung: str, sender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(mutant)
    mutant(monkeypatch)
    with pytest.raises((Stalled, Apart)):
        hang_with_tickets(three(), hung, sender)
