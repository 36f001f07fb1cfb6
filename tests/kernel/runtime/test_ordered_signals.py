"""Signals in group order, in one process on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zactor import Actor, Service, action, signal
from zactor.kernel import Kernel, limits
from zactor.kernel.errors import ActorError, MailboxFull


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as made:
        yield made


class Teller(Actor):
    said = signal(str, int)

    @action
    def burst(self, count: int, what: Any = None) -> None:
        for number in range(count):
            self.said.emit(self.name, number if what is None else what)


class Hearer(Actor):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    @action
    def said(self, who: str, number: Any) -> None:
        self.heard.append((who, number))

    @action
    def all(self) -> list[Any]:
        return self.heard


def wired(kernel: Kernel, **services: Service) -> list[str]:
    """Hearers of these names, wired to the tellers t1 and t2 with these services."""
    for teller in ("t1", "t2"):
        kernel.spawn(Teller, name=teller)
    for name, service in services.items():
        kernel.spawn(Hearer, name=name)
        for teller in ("t1", "t2"):
            kernel.react_interaction(name, teller, "said", service=service)
    return list(services)


def test_reactors_of_two_emitters_hear_one_order(kernel: Kernel) -> None:
    names = wired(kernel, h1=Service.AGREED, h2=Service.AGREED, h3=Service.AGREED)
    for _ in range(20):
        kernel.tell("t1", "burst", (10,), {})
        kernel.tell("t2", "burst", (10,), {})
    kernel.run_until_idle(10)
    heard = [kernel.ask(name, "all") for name in names]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 400


def test_one_signal_serves_reactors_of_every_service(kernel: Kernel) -> None:
    names = wired(kernel, f=Service.FIFO, c=Service.CAUSAL, a=Service.AGREED, s=Service.SAFE)
    assert kernel.send_signal("t1", "said", "t1", 7) == 4
    kernel.run_until_idle(10)
    assert [kernel.ask(name, "all") for name in names] == [[("t1", 7)]] * 4


def test_the_service_of_an_interaction_can_be_changed_and_it_can_end(kernel: Kernel) -> None:
    wired(kernel, h=Service.AGREED)
    kernel.react_interaction("h", "t1", "said", service=Service.FIFO)
    kernel.ask("t1", "burst", 1)
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t1", 0)]
    kernel.react_interaction("h", "t1", "said", service=Service.SAFE)
    kernel.remove_interaction("h", "t1", "said")
    kernel.ask("t1", "burst", 1)
    kernel.ask("t2", "burst", 1)
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t1", 0), ("t2", 0)]


def test_a_reactor_that_is_gone_leaves_dead_letters(kernel: Kernel) -> None:
    class Ender(Hearer):
        @action
        def said(self, who: str, number: Any) -> None:
            self.stop()

    kernel.spawn(Teller, name="t1")
    kernel.spawn(Ender, name="h")
    kernel.react_interaction("h", "t1", "said", service=Service.AGREED)
    kernel.ask("t1", "burst", 4)
    kernel.run_until_idle(10)
    letters = [(letter.sender, letter.target, letter.action) for letter in kernel.dead_letters]
    assert letters == [("t1", "h", "said")] * 3


def test_a_signal_too_long_for_group_order_is_refused_and_nobody_has_it(kernel: Kernel) -> None:
    names = wired(kernel, f=Service.FIFO, a=Service.AGREED)
    with pytest.raises(ActorError, match="connect with service fifo"):
        kernel.ask("t1", "burst", 1, bytes(limits.GROUP_PAYLOAD_BYTES_MAX))
    kernel.run_until_idle(10)
    assert [kernel.ask(name, "all") for name in names] == [[], []]


def test_reactors_in_group_order_get_a_snapshot(kernel: Kernel) -> None:
    class Careless(Teller):
        @action
        def go(self) -> None:
            mine = [1]
            self.said.emit("t", mine)  # type: ignore[arg-type]  # a list where an int is declared
            mine.append(2)

    kernel.spawn(Careless, name="t")
    kernel.spawn(Hearer, name="h")
    kernel.react_interaction("h", "t", "said", service=Service.AGREED)
    kernel.ask("t", "go")
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t", [1])]


def test_a_signal_beyond_the_hard_limit_is_refused_at_its_line(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = wired(kernel, h=Service.AGREED)
    kernel.run_until_idle(10)
    monkeypatch.setattr(limits, "GROUP_QUEUE_HARD", 10)
    with pytest.raises(ActorError, match="10 messages to groups wait") as caught:
        kernel.ask("t1", "burst", 15)
    assert caught.value.fields()["remote_type"] == MailboxFull.__name__
    kernel.run_until_idle(10)
    assert kernel.ask(name, "all") == [("t1", number) for number in range(10)]
