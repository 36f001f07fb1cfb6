"""Links that need seconds for what a view has to move: who makes progress isn't silent."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from zactor.kernel.groups import events, link_progress
from zactor.kernel.groups.link_progress import LinkProgress, ProgressWatch
from zactor.kernel.groups.view_agreement import ViewAgreement
from zactor.kernel.messages.service import Service
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = ("n1", "n2", "n3")
BYTES_PER_MS = 15.0
THIN_BYTES_PER_MS = 7.0  # 20 s
SESSIONS, GROUPS = 250, 8  # a map of groups of 150 kB: 10 s on such a line
LIMIT_MS = 60_000
FAR_MS = 150.0  # one way
PACKET_BYTES = 1_000
NAME = "x" * 60


class NoOneView(AssertionError):
    """The nodes hear each other, and have no view of all."""


class Flapped(AssertionError):
    """There were more views than those that are needed."""


class Late(AssertionError):
    """Messages need far longer than their bytes."""


def views(cluster: Cluster) -> set[tuple[str, ...]]:
    """The members of each view that a node has now."""
    return {
        tuple(member.name for member in node.engine.view.members) for node in cluster.nodes.values()
    }


def installed(cluster: Cluster, begin: int = 0) -> int:
    """How many views were installed, at all nodes together."""
    return sum(line["k"] == "view" for line in cluster.lines[begin:])


def slow(delay_ms: float = 5.0, bytes_per_ms: float = BYTES_PER_MS) -> Cluster:
    """No nodes, and lines like this."""
    cluster = Cluster(random.Random(1), Faults(delay_ms_min=delay_ms, delay_ms_max=delay_ms))
    cluster.network.bytes_per_ms = bytes_per_ms
    return cluster


def meet(cluster: Cluster, limit_ms: int) -> None:
    """Let time go by until there is one view, of all that live."""
    begin, want = len(cluster.lines), {tuple(cluster.live)}
    for _ in range(limit_ms // 50):
        cluster.run_ms(50)
        if views(cluster) == want:
            return
    raise NoOneView(f"in {limit_ms} ms {installed(cluster, begin)} views, none of all")


def come_to_one_view(first: str, bytes_per_ms: float = BYTES_PER_MS) -> None:
    """`first` has a large map of groups, and meets the others."""
    cluster = slow(bytes_per_ms=bytes_per_ms)
    node = cluster.start(first)
    for session in range(SESSIONS):
        cluster.step(node, events.SessionOpened(f"{NAME}{session}"))
        for group in range(GROUPS):
            cluster.step(node, events.Join(f"{NAME}{session}", f"group{group}"))
    cluster.run_ms(500)
    begin = len(cluster.lines)
    for name in NAMES:
        if name != first:
            cluster.start(name)
    meet(cluster, LIMIT_MS)
    extra = installed(cluster, begin) - 5  # two at each newcomer, one at the first
    if extra > 2:  # one may come after the other
        raise Flapped(f"{extra} views too many")
    groups = [cluster.nodes[name].engine.multicast.groups for name in NAMES]
    assert {one.size for one in groups} == {SESSIONS * GROUPS}


def burst(cluster: Cluster, name: str, count: int) -> list[str]:
    """The session of a node sends packets, AGREED; return the ids of the messages."""
    node = cluster.nodes[name]
    ids = []
    for _ in range(count):
        cluster.step(node, events.Submit("s", Service.AGREED, ("red",), b"x" * PACKET_BYTES))
        ids.append(f"{node.id}#{node.engine.last_number}")
    return ids


def three(cluster: Cluster) -> Cluster:
    """Three nodes in one view, each with a session in a group."""
    for name in NAMES:
        cluster.start(name)
    meet(cluster, 5_000)
    for name in NAMES:
        cluster.step(cluster.nodes[name], events.SessionOpened("s"))
        cluster.step(cluster.nodes[name], events.Join("s", "red"))
    cluster.run_ms(2_000)
    return cluster


def wait(cluster: Cluster, ids: list[str], limit_ms: int) -> None:
    """Let time go by until these are delivered at all."""
    begin = 0
    left = {(name, mid) for name in cluster.live for mid in ids}
    for _ in range(limit_ms // 50):
        cluster.run_ms(50)
        for line in cluster.lines[begin:]:
            if line["k"] == "deliver":
                left.discard((line["p"].partition("@")[0], line["mid"]))
        begin = len(cluster.lines)
        if not left:
            return
    raise Late(f"{len(left)} deliveries are missing after {limit_ms} ms")


def send_on_slow_lines() -> Cluster:
    """Each sends more than its line takes in some seconds; then a newcomer comes."""
    cluster = three(slow())
    begin = len(cluster.lines)
    ids = [mid for name in NAMES for mid in burst(cluster, name, 60)]
    wait(cluster, ids, 15_000)
    if installed(cluster, begin):
        raise Flapped("who sends and receives has left the view")
    cluster.start("n4")
    meet(cluster, 5_000)
    return cluster


# -- tests -----------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("first", NAMES)
def test_nodes_come_to_one_view_though_its_state_needs_seconds_on_the_line(first: str) -> None:
    come_to_one_view(first)


def test_nodes_come_to_one_view_on_a_line_that_is_thinner_still() -> None:
    come_to_one_view("n1", THIN_BYTES_PER_MS)


def test_nodes_come_to_one_view_on_a_line_that_is_quick_enough() -> None:
    cluster = slow()
    for name in NAMES:
        cluster.start(name)
    meet(cluster, 5_000)


def test_what_is_on_its_way_on_a_slow_line_is_not_sent_twice() -> None:
    assert check_all(send_on_slow_lines().lines) == {}


@pytest.mark.parametrize("sender", NAMES)
def test_what_a_member_lacks_comes_over_a_slow_line_before_the_view(sender: str) -> None:
    cluster = three(slow())
    begin = len(cluster.lines)
    burst(cluster, sender, 150)
    cluster.run_ms(4_000)
    cluster.crash(sender, refused=True)
    meet(cluster, LIMIT_MS)
    assert installed(cluster, begin) == 2
    cluster.run_ms(5_000)
    assert check_all(cluster.lines) == {}


def test_nodes_that_are_far_away_meet_and_serve() -> None:
    cluster = slow(FAR_MS, 0.0)
    three(cluster)
    assert installed(cluster) <= 3 * len(NAMES), "one of its own, then a common one or two"
    begin = len(cluster.lines)
    ids = burst(cluster, "n2", 20)
    node = cluster.nodes["n3"]
    cluster.step(node, events.Submit("s", Service.SAFE, ("red",), b""))
    wait(cluster, [*ids, f"{node.id}#{node.engine.last_number}"], 3_000)
    cluster.run_ms(20_000)
    assert installed(cluster, begin) == 0
    cluster.crash("n1", refused=True)
    meet(cluster, 4_000)
    wait(cluster, burst(cluster, "n2", 1), 2_000)
    cluster.start("n1")
    meet(cluster, 6_000)
    cluster.run_ms(10_000)
    assert views(cluster) == {NAMES}
    assert check_all(cluster.lines) == {}


# -- mutants ---------------------------------------------------------------------------------
def _time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressWatch, "since_ms", lambda self, *rest: self._begun_ms)


def _all_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_progress, "cut", lambda message: (message,))


def _proposer_unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViewAgreement, "_note_proposer", lambda self, detector: None)


def _told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinkProgress, "may_answer", lambda self, peer, attempt=None: True)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [_time_alone, _all_in_one, _proposer_unheard])
def test_a_deadline_that_does_not_move_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((NoOneView, Flapped)):
        come_to_one_view("n1", THIN_BYTES_PER_MS)


def test_messages_that_are_sent_again_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    _told_again(monkeypatch)
    with pytest.raises((Late, Flapped, NoOneView)):
        send_on_slow_lines()
