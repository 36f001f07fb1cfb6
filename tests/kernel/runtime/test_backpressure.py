"""Backpressure alone: who is muted by what, and who would wait for himself."""

from __future__ import annotations

import pytest

from zactor.kernel.runtime.backpressure import Sender


class Port:
    congested = True


class Full(Sender):
    """An actor whose mailbox is as full as it is told to be."""

    __slots__ = ("congested",)

    def __init__(self, name: str) -> None:
        super().__init__(name, 1)
        self.congested = True


def test_a_sender_is_muted_until_all_that_it_sent_to_has_room() -> None:
    sender, port, other = Sender("s", 1), Port(), Port()
    assert not sender.is_muted()
    sender.mute_until(port)
    sender.mute_until(other)
    assert sender.attention
    assert sender.is_muted()
    port.congested = False
    assert sender.is_muted()
    other.congested = False
    assert not sender.is_muted()
    other.congested = True
    assert not sender.is_muted(), "it waited for what was full then"


def test_an_actor_that_is_waited_for_knows_it_each_time_somebody_looks() -> None:
    sender, full = Sender("s", 1), Full("f")
    sender.mute_until(full)
    assert full.awaited
    full.awaited = False
    assert sender.is_muted()
    assert full.awaited


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_nobody_is_muted_by_who_waits_for_him(length: int) -> None:
    ring = [Full(f"f{number}") for number in range(length)]
    for number, each in enumerate(ring):
        each.mute_until(ring[(number + 1) % length])
    assert not ring[0].is_muted()
    outside = Sender("s", 1)
    outside.mute_until(ring[0])
    assert outside.is_muted()
