"""A member that names a ballot far beyond all others: who receives it doesn't go along."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.messages.groups import Propose
from zactor.kernel.messages.views import ViewId
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults

NAMES = ("n1", "n2", "n3")
FAR = (1 << 53) - 1  # the largest number that a message can carry
NEAR_MAX = 1_000  # no honest cluster gets beyond that in a test


class Obeyed(AssertionError):
    """The others went along with the absurd ballot."""


def view_of(cluster: Cluster, name: str) -> tuple[str, ...]:
    return tuple(member.name for member in cluster.nodes[name].engine.view.members)


def epoch_of(cluster: Cluster, name: str) -> int:
    return cluster.nodes[name].engine.view.id.epoch


def four() -> Cluster:
    """n0, which will misbehave, and three others, in one view."""
    cluster = Cluster(random.Random(1), Faults())
    for name in ("n0", *NAMES):
        cluster.start(name)
    cluster.run_ms(3_000)
    assert {view_of(cluster, name) for name in cluster.live} == {("n0", *NAMES)}
    return cluster


def propose(cluster: Cluster, epoch: int) -> None:
    """n0 proposes a view of all."""
    nodes = [cluster.nodes[name].id for name in cluster.live]
    for node in nodes[1:]:
        cluster.network.send(nodes[0], node, Propose(ViewId(epoch, nodes[0]), tuple(nodes)))


def promise(cluster: Cluster, epoch: int) -> None:
    """n0 publishes a heartbeat in which it obeys such a ballot."""
    n0 = cluster.nodes["n0"]
    done = n0.engine.step(events.Tick(), cluster.local_ms(n0) + 1_000)
    (heartbeat,) = [one.heartbeat for one in done if isinstance(one, out.Publish)]
    forged = msgspec.structs.replace(heartbeat, promised=ViewId(epoch, n0.id))
    for name in NAMES:
        cluster.network.cast(n0.id, cluster.nodes[name].id, forged)


@pytest.mark.parametrize("epoch", [FAR, 1 << 40])
@pytest.mark.parametrize("how", [propose, promise])
def test_a_ballot_far_ahead_is_refused_and_the_others_stay_one_cluster(
    how: Callable[[Cluster, int], None], epoch: int
) -> None:
    cluster = four()
    how(cluster, epoch)
    try:
        cluster.run_ms(2_000)
        cluster.crash("n0", refused=True)
        cluster.run_ms(15_000)
    except msgspec.ValidationError as error:
        raise Obeyed(f"a node says what no other can decode: {error}") from error
    for name in NAMES:
        if view_of(cluster, name) != NAMES:
            raise Obeyed(f"{name} is in a view of {view_of(cluster, name)}")
        installed = epoch_of(cluster, name)
        if installed > NEAR_MAX:
            raise Obeyed(f"{name} has a view with epoch {installed}")


@pytest.mark.parametrize("how", [propose, promise])
def test_a_ballot_that_is_a_little_ahead_is_obeyed(how: Callable[[Cluster, int], None]) -> None:
    cluster = four()
    epoch = epoch_of(cluster, "n1") + 5
    how(cluster, epoch)
    cluster.run_ms(2_000)
    cluster.crash("n0", refused=True)
    cluster.run_ms(15_000)
    assert {view_of(cluster, name) for name in NAMES} == {NAMES}
    assert epoch_of(cluster, "n1") > epoch
