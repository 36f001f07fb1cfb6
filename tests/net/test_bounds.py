"""How soon what befalls a machine is noticed, and how soon all is well again, on hosts of a lab.

Bounds are those promised on a quiet machine; each is judged by how slow this one was meanwhile.
"""

from __future__ import annotations

import time

import pytest
from lab_world import LabWorld
from slowness import Slowness

from zactor.lab.lab import until

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]

HOSTS = ("n1", "n2", "n3")
REST = ("n1", "n2")


class Watch:
    """Looks at the views of nodes from now on."""

    def __init__(self, world: LabWorld) -> None:
        self._world = world
        _, self._since = world.lab.seen()
        self.began_ns = time.monotonic_ns()

    def views(self, host: str) -> list[tuple[int, set[str]]]:
        rows = self._world.seen(
            lambda row: row["what"] == "node" and row["kind"] == "view" and row["host"] == host,
            self._since,
        )
        return [(row["t"], set(row["text"].split())) for row in rows]

    def until_all_have(self, members: tuple[str, ...], at: tuple[str, ...]) -> float:
        """Wait until the last view of all of them is of these; return after how many s."""

        def came() -> list[int]:
            found = [(self.views(host) or [(0, set())])[-1] for host in at]
            return [t for t, seen in found if seen == set(members)]

        until(f"{at} have the view {members}", lambda: len(came()) == len(at), 60)
        return (max(came()) - self.began_ns) / 1e9


@pytest.mark.parametrize(
    ("line", "bound_s"),
    [("kill n3", 0.1), ("cable n3 out", 1.0), ("crash n3", 1.0), ("freeze n3", 1.0)],
    ids=["L2 a process dies", "L2 a cable is out", "L2 a host crashes", "L2 a host is frozen"],
)
def test_survivors_have_a_new_view_soon(
    world: LabWorld, slowness: Slowness, line: str, bound_s: float
) -> None:
    watch = Watch(world)
    world.lab.obey(*line.split())
    took_s = watch.until_all_have(REST, REST)
    print(f"{line}: {took_s:.3f} s")
    assert slowness.quiet_s(took_s) < bound_s
    done = world.run("n1", "zactor", "kb", "facts", "--json", "--timeout", "20")
    assert done.returncode == 0, "and the rest serves"


def test_what_was_cut_is_one_again_soon(world: LabWorld, slowness: Slowness) -> None:
    """L3."""
    watch = Watch(world)
    world.lab.obey("cut", "n1,n2", "/", "n3")
    watch.until_all_have(REST, REST)
    watch.until_all_have(("n3",), ("n3",))
    watch = Watch(world)
    world.lab.obey("heal")
    took_s = watch.until_all_have(HOSTS, HOSTS)
    print(f"healed: {took_s:.3f} s")
    assert slowness.quiet_s(took_s) < 2.0


def test_nodes_meet_and_agree_over_a_slow_network(world: LabWorld) -> None:
    """L9: 300 ms of round trip. Nobody is suspected for that, and changes are taken."""
    watch = Watch(world)
    world.lab.obey("delay", "150")
    done = world.run("n1", "zactor", "query", "node(n3, Where)", "--json", "--timeout", "30")
    assert done.returncode == 0, done.stderr
    time.sleep(3)  # what the test is about: nothing happens for so long
    assert [watch.views(host) for host in HOSTS] == [[], [], []]
    world.lab.obey("heal")


@pytest.mark.soak
@pytest.mark.limit(120)
def test_a_one_way_link_makes_one_change_and_then_rest(world: LabWorld) -> None:
    """L8: a stable membership within 5 s, then at most one view each 30 s."""
    watch = Watch(world)
    world.lab.obey("one-way", "n1", "n3")
    time.sleep(5)
    before = {host: len(watch.views(host)) for host in HOSTS}
    time.sleep(30)
    assert all(len(watch.views(host)) - before[host] <= 1 for host in HOSTS)


@pytest.mark.soak
@pytest.mark.limit(120)
def test_who_slept_for_ten_seconds_is_one_of_them_again(world: LabWorld) -> None:
    """L7."""
    watch = Watch(world)
    world.lab.obey("freeze", "n2")
    watch.until_all_have(("n1", "n3"), ("n1", "n3"))
    time.sleep(10)
    world.lab.obey("thaw", "n2")
    watch.until_all_have(HOSTS, HOSTS)


@pytest.mark.soak
@pytest.mark.limit(900)
def test_a_lossy_and_late_network_suspects_nobody(world: LabWorld) -> None:
    """L9: 5 % loss with 100 to 200 ms, for ten minutes."""
    watch = Watch(world)
    world.lab.obey("delay", "50~50")
    world.lab.obey("loss", "5")
    time.sleep(600)
    assert [watch.views(host) for host in HOSTS] == [[], [], []]


def _changes_are_taken(world: LabWorld, host: str, name: str) -> None:
    """A long change too: its bundle and its arguments take many packets."""
    text = f"from zactor import Actor\n\n\nclass Probe(Actor):\n    pass\n\n\n# {'x' * 100_000}\n"
    world.python(host, f"open('/tmp/{name}.py', 'w').write({text!r})")
    words = ("zactor", "declare-factory", name, f"/tmp/{name}.py", "--timeout", "30")

    def is_taken() -> bool:
        done = world.run(host, *words)
        return done.returncode == 0 or "declared already" in done.stderr

    until(f"{host} takes changes", is_taken, 60)


@pytest.mark.limit(120)
def test_half_of_all_packets_lost_for_ten_seconds_is_recovered_from(world: LabWorld) -> None:
    """Whoever was suspected is back, and changes are taken at every host."""
    world.lab.obey("loss", "50")
    time.sleep(10)  # what the test is about
    watch = Watch(world)
    world.lab.obey("loss", "0")
    for host in HOSTS:
        world.until_view(host, set(HOSTS))
    print(f"one view after {(time.monotonic_ns() - watch.began_ns) / 1e9:.1f} s")
    for host in HOSTS:
        _changes_are_taken(world, host, f"after_{host}")


@pytest.mark.limit(120)
def test_packets_of_576_bytes_carry_all_that_longer_ones_do(world: LabWorld) -> None:
    """Of the links that stand, and of those that are made anew; nobody is suspected."""
    watch = Watch(world)
    world.lab.obey("mtu", "576")
    assert "mtu 576 " in world.run("n1", "ip", "link", "show", "eth0").stdout
    _changes_are_taken(world, "n1", "narrow")
    assert [watch.views(host) for host in HOSTS] == [[], [], []]
    world.lab.obey("kill", "n3")
    watch.until_all_have(REST, REST)
    world.lab.obey("start", "n3")
    watch.until_all_have(HOSTS, HOSTS)
    _changes_are_taken(world, "n3", "narrower")
    world.lab.obey("heal")
    assert "mtu 1500 " in world.run("n1", "ip", "link", "show", "eth0").stdout
