"""Remoting alone: a directory, outcomes and ports, and no actor anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import MailboxFull, NoSuchActor, NotDelivered, OutcomeUnknown, to_wire
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Ask, Failure, Signal, SignalParcel, Undelivered
from zactor.kernel.messages.actors import Reply as ReplyItem
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Directory, Place
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.outcomes import Outcomes
from zactor.kernel.runtime.remoting import Remoting
from zactor.kernel.wire.payload import encode_plain
from zactor.kernel.wire.signal_parcels import pack


class Port:
    """A link that keeps what it is given."""

    node = NodeId("n2", 1)
    congested = False

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.credit = 0
        self.is_full = False

    def put(self, item: Any) -> None:
        if self.is_full:
            raise MailboxFull("the link is full")
        self.items.append(item)

    def consumed(self, count: int) -> None:
        self.credit += count


class Here:
    """One node's remoting, and an actor `t` that is at the other end of a port."""

    def __init__(self) -> None:
        self.dead: list[DeadLetter] = []
        self.port = Port()
        self.place = Place(name="t", uid=7, type="T", port=self.port)
        directory: Directory[Cell] = Directory("n1")
        directory.place("t", self.place)
        outcomes = Outcomes(NodeId("n1", 1), dead_letter=self.dead.append)
        self.remoting = Remoting(directory, outcomes, "data")

    def ask(self) -> tuple[Reply[Any], Ask]:
        reply: Reply[Any] = Reply()
        self.remoting.ask(self.place, "do", b"arguments", (), 0, reply, None)
        ask = self.port.items[-1]
        assert isinstance(ask, Ask)
        return reply, ask


@pytest.fixture
def here() -> Here:
    return Here()


def test_an_ask_ends_with_the_answer_that_has_its_number(here: Here) -> None:
    (one, first), (other, second) = here.ask(), here.ask()
    assert first.target == 7
    here.remoting.deliver(here.port, [ReplyItem(second.request, encode_plain("two"))])
    assert not one.done()
    assert other.result(0) == "two"
    here.remoting.deliver(
        here.port, [Failure(first.request, *to_wire(NoSuchActor("no such actor")))]
    )
    with pytest.raises(NoSuchActor):
        one.result(0)


def test_who_is_forgotten_is_not_told(here: Here) -> None:
    told: list[object] = []
    request = here.remoting.ask(here.place, "do", b"", (), 0, None, told.append)
    here.remoting.forget(request)
    here.remoting.deliver(here.port, [ReplyItem(request, encode_plain(1))])
    assert told == []


def test_an_ask_that_a_full_link_refuses_is_forgotten(here: Here) -> None:
    here.port.is_full = True
    told: list[object] = []
    with pytest.raises(MailboxFull):
        here.remoting.ask(here.place, "do", b"", (), 0, None, told.append)
    here.remoting.peer_dead(here.port, ())
    assert told == []


def test_asks_of_a_node_that_is_dead_end_and_later_ones_begin_no_wait(here: Here) -> None:
    sent, _ = here.ask()
    unsent, ask = here.ask()
    here.remoting.peer_dead(here.port, [(ask, False)])
    with pytest.raises(OutcomeUnknown, match=r"t\.do: n2@1 is gone before it answered"):
        sent.result(0)
    with pytest.raises(NotDelivered, match="never sent"):
        unsent.result(0)
    late, _ = here.ask()
    with pytest.raises(NotDelivered, match="n2@1 is gone"):
        late.result(0)


def test_a_tell_that_was_lost_or_sent_back_is_a_dead_letter_here(here: Here) -> None:
    for _ in range(2):
        here.remoting.tell(here.place, "do", b"", (), 0, "")
    lost, returned = here.port.items
    assert isinstance(lost, Signal)
    here.remoting.peer_out_of_view(here.port, [(lost, True)])
    back = Undelivered((7,), 0, returned.number, "do", "t is stopping")
    here.remoting.deliver(here.port, [back])
    assert [(letter.target, letter.number, letter.reason) for letter in here.dead] == [
        ("t", lost.number, "n2@1 is gone: it may have arrived"),
        ("t", returned.number, "t is stopping"),
    ]


def test_what_comes_for_nobody_is_answered_and_gives_its_credit_back(here: Here) -> None:
    here.remoting.deliver(
        here.port,
        [Signal((8, 9), 1, 5, "do", b""), Ask(8, 1, 6, "do", b""), Signal((), 1, 7, "do", b"")],
    )
    assert here.port.credit == 3
    assert [type(item) for item in here.port.items] == [Undelivered, Undelivered, Failure]
    assert [item.targets for item in here.port.items[:2]] == [(8,), (9,)]


def test_each_signal_of_a_parcel_has_its_own_dead_letter(here: Here) -> None:
    for _ in range(3):
        here.remoting.tell(here.place, "do", b"", (), 0, "")
    (parcel,) = pack(here.port.items)
    assert isinstance(parcel, SignalParcel)
    numbers = [signal.number for signal in here.port.items]
    here.remoting.peer_out_of_view(here.port, [(parcel, True), (parcel, False)])
    reasons = ["n2@1 is gone: it may have arrived", "n2@1 is gone: never sent"]
    assert [(letter.number, letter.reason) for letter in here.dead] == [
        (number, reason) for reason in reasons for number in numbers
    ]


def test_each_signal_of_a_parcel_that_comes_for_nobody_goes_back(here: Here) -> None:
    signals = [Signal((8,), 1, 5, "do", b""), Signal((8, 9), 2, 6, "do", b"")]
    here.remoting.deliver(here.port, pack([*signals, Signal((), 1, 7, "do", b"")]))
    assert here.port.credit == 3
    assert [(item.targets, item.sender, item.number) for item in here.port.items] == [
        ((8,), 1, 5),
        ((8,), 2, 6),
        ((9,), 2, 6),
    ]
