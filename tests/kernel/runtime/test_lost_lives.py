"""What a runtime remembers of lives of other nodes that are over."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from zactor import Actor, action
from zactor.kernel.errors import NotDelivered
from zactor.kernel.ids import NodeId
from zactor.kernel.runtime.directory import Place


class Target(Actor):
    @action
    def echo(self, value: Any) -> Any:
        return value


class Ended:
    """A port of a life that is over, and which nobody holds."""

    congested = False

    def __init__(self, number: int) -> None:
        self.node = NodeId(f"n{number}", 1)

    def put(self, item: Any) -> None: ...

    def consumed(self, count: int) -> None: ...


def test_a_life_that_is_over_is_forgotten_with_its_port(worlds: Any) -> None:
    one = worlds("n1")
    for number in range(100):
        one.runtime.remoting.peer_dead(Ended(number), ())
    held = Ended(100)
    one.runtime.place("t", Place(name="t", uid=7, type="t", port=held))
    one.runtime.remoting.peer_dead(held, ())
    gc.collect()
    assert len(one.runtime.remoting._lost) == 1, "who may still be asked"
    with pytest.raises(NotDelivered, match="n100@1 is gone"):
        one.runtime.ref("t").echo(1).result(0)


def test_a_node_that_was_dropped_before_it_was_a_member_may_be_asked_when_it_is(
    worlds: Any,
) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    early = Ended(2)  # the same life, by a port that was given up before anything went through
    assert early.node == other.node
    one.runtime.remoting.peer_dead(early, ())
    worlds.introduce(other, "t", one)
    assert one.runtime.ref("t").echo(5).result(5) == 5
