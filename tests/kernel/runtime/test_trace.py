"""The event log: every accepted signal ends handled or as a dead letter."""

from __future__ import annotations

from collections import Counter
from typing import Any

from deadlines import DEADLINE_S

from zactor import Actor, action, signal


class Node(Actor):
    ping = signal(int)

    @action
    def go(self, count: int) -> None:
        for number in range(count):
            self.ping.emit(number)


class Sink(Actor):
    @action
    def ping(self, number: int) -> int:
        return number


def kinds(world: Any, kind: str) -> Counter[tuple[str, str, str]]:
    return Counter(
        (fields["sig"], fields["from"], fields["to"])
        for event, fields in list(world.events)
        if event == kind
    )


def test_what_is_accepted_is_handled_or_dead(worlds: Any, until: Any) -> None:
    one, other = worlds.pair(traced=True)
    node = one.spawn(Node, "node")
    one.spawn(Sink, "here")
    other.spawn(Sink, "there")
    other.spawn(Sink, "gone")
    for name in ("there", "gone"):
        worlds.introduce(other, name, one)
    worlds.introduce(one, "node", other)
    other.stop("gone").result()
    one.runtime.connect("node", "ping", ("here", "there", "gone", "nobody"))
    node.go(10).result()
    one.runtime.ref("there").ping.tell(1)
    one.runtime.ref("nobody").ping.tell(1)
    until(lambda: len(one.dead) == 21)
    until(lambda: kinds(other, "handle").total() == 11)
    accepted = kinds(one, "accept")
    handled = kinds(one, "handle") + kinds(other, "handle")
    dead = kinds(one, "deadletter")
    assert set(accepted.values()) == {1}
    assert accepted == handled + dead
    assert {to for _, _, to in dead} == {"gone", "nobody"}
    assert {sig.partition("#")[0] for sig, _, _ in accepted} == {"n1@1"}
    assert ("n1@1#1", "node", "here") in handled
    assert ("n1@1#1", "node", "there") in handled


def test_lives_of_actors_are_told(worlds: Any) -> None:
    world = worlds(traced=True)
    world.spawn(Sink, "s")
    uid = world.uid("s")
    world.stop("s").result()
    fields = {"actor": "s", "inc": uid}
    assert world.events == [("actor_up", fields), ("actor_down", fields)]


def test_what_a_stop_leaves_unhandled_is_dead_in_the_trace_too(worlds: Any) -> None:
    import threading

    world = worlds(traced=True)
    entered, opened = threading.Event(), threading.Event()

    class Stuck(Actor, dispatcher="thread"):
        @action
        def ping(self, number: int) -> None:
            entered.set()
            opened.wait(DEADLINE_S)

    node = world.spawn(Node, "node")
    world.spawn(Stuck, "stuck")
    world.runtime.connect("node", "ping", ("stuck",))
    node.go(5).result()
    assert entered.wait(DEADLINE_S)
    future = world.stop("stuck", 0)
    opened.set()
    future.result(DEADLINE_S)
    assert kinds(world, "handle").total() == 1
    assert kinds(world, "accept") == kinds(world, "handle") + kinds(world, "deadletter")
    assert [event for event, _ in world.events][-1] == "actor_down"
