"""What the kernel's loop gets of the interpreter beside actions."""

from __future__ import annotations

import sys
from typing import Any

from zactor import Actor, action
from zactor.kernel import limits
from zactor.kernel.runtime.switch_interval import rest_s


class Own(Actor, dispatcher="thread"):
    @action
    def interval(self) -> float:
        return sys.getswitchinterval()


def test_the_interval_is_short_while_an_actor_has_a_turn_in_its_own_thread(
    world: Any, until: Any
) -> None:
    usual = sys.getswitchinterval()
    own = world.spawn(Own, "own")
    assert own.interval().result() == limits.KEEPER_SWITCH_S
    until(lambda: sys.getswitchinterval() == usual)


def test_who_ran_actions_for_long_rests_for_a_share_of_it() -> None:
    assert rest_s(0.9 * limits.LONG_TURN_S) == 0
    assert rest_s(limits.LONG_TURN_S) == limits.LONG_TURN_S * limits.REST_SHARE
    assert rest_s(5.0) == limits.REST_S_MAX
