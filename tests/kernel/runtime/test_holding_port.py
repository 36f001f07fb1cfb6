"""Where messages to an actor that moves wait: in order, muted, up to a limit, and where they go."""

from __future__ import annotations

from typing import Any

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Signal
from zactor.kernel.runtime.holding_port import HoldingPort


class Items:
    """What became of them."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def deliver(self, port: Any, items: Any) -> None:
        self.told.append(("here", *items))

    def redirect(self, item: Any, port: Any) -> None:
        self.told.append(("redirect", item))

    def peer_out_of_view(self, port: Any, lost: Any) -> None:
        self.told += [("lost", item) for item, _ in lost]


class Port:
    """The way to another node."""

    node = NodeId("n2", 1)
    congested = False

    def __init__(self, items: Items, room: int = 100) -> None:
        self.items = items
        self.room = room

    def put(self, item: Any) -> None:
        if not self.room:
            raise MailboxFull("no room")
        self.room -= 1
        self.items.told.append(("put", item))


def held(*items: Any) -> tuple[HoldingPort, Items]:
    told = Items()
    port = HoldingPort(NodeId("n1", 1), told)
    for item in items:
        port.put(item)
    assert told.told == []
    return port, told


def test_what_waits_goes_in_its_order_before_what_comes_later() -> None:
    port, told = held("a", "b")
    assert port.congested  # so who sends is muted
    to = Port(told)
    port.release(to, is_here=False)
    port.put("c")
    assert told.told == [(what, item) for item in "abc" for what in ("redirect", "put")]
    assert not port.congested
    to.congested = True
    assert port.congested


def test_it_may_be_here_or_nowhere() -> None:
    port, told = held("a", "b")
    port.release(None, is_here=True)
    assert told.told == [("here", "a"), ("here", "b")]
    port, told = held("a")
    port.release(None, is_here=False)
    port.put("b")
    assert told.told == [("lost", "a"), ("lost", "b")]


def test_it_holds_so_many_messages_and_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_ITEMS_MAX", 2)
    signal = Signal((1,), 0, 1, "inc", b"")
    port, told = held(signal, signal)
    with pytest.raises(MailboxFull, match="2 messages wait for an actor that moves"):
        port.put(signal)
    port.put("an answer")
    port.release(Port(told, room=2), is_here=False)
    assert [what for what, _ in told.told].count("put") == 2
    assert ("lost", "an answer") in told.told  # its own way is full
