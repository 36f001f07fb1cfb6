"""Wires between a signal and an action of different names, and what a Kernel refuses to wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zactor import Actor, ConfigError, NoSuchThing, Service, action, signal
from zactor.kernel import Kernel
from zactor.kernel.errors import NoSuchAction, UnfitArguments


class Sensor(Actor):
    reading = signal(int)
    name_said = signal(str)

    @action
    def read(self, value: int) -> None:
        self.reading.emit(value)


class Recorder(Actor):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    @action
    def reading(self, value: int) -> None:
        self.heard.append(("reading", value))

    @action
    def store(self, value: int) -> None:
        self.heard.append(("store", value))

    @action
    def log_it(self, value: int) -> None:
        self.heard.append(("log_it", value))

    @action
    def report(self) -> list[tuple[str, int]]:
        return self.heard


class Thready(Recorder, dispatcher="thread"):
    pass


@pytest.fixture
def k() -> Iterator[Kernel]:
    with Kernel() as made:
        made.spawn(Sensor, name="s1")
        made.spawn(Recorder, name="r1")
        made.spawn(Thready, name="r2")
        yield made


def heard(k: Kernel, name: str) -> list[tuple[str, int]]:
    k.run_until_idle(10)
    found: list[tuple[str, int]] = k.ask(name, "report", timeout=10)
    return found


@pytest.mark.parametrize("service", [Service.FIFO, Service.AGREED])
def test_a_signal_leads_to_actions_of_other_names(k: Kernel, service: Service) -> None:
    k.react_interaction("r1", "s1", "reading>store", service=service)
    k.react_interaction("r2", "s1", "reading>log_it", service=service)
    assert k.send_signal("s1", "reading", 1) == 2
    k.ask("s1", "read", 2)
    assert heard(k, "r1") == [("store", 1), ("store", 2)]
    assert heard(k, "r2") == [("log_it", 1), ("log_it", 2)]
    k.remove_interaction("r1", "s1", "reading>store")
    assert k.send_signal("s1", "reading", 3) == 1
    assert heard(k, "r1") == [("store", 1), ("store", 2)]


def test_one_reactor_may_do_several_actions_on_one_signal(k: Kernel) -> None:
    for wire in ("reading", "reading>store", "reading>log_it"):
        k.react_interaction("r1", "s1", wire)
    k.ask("s1", "read", 1)
    assert sorted(heard(k, "r1")) == [("log_it", 1), ("reading", 1), ("store", 1)]
    k.remove_interaction("r1", "s1", "reading>log_it")
    k.remove_interaction("r1", "s1", "reading")
    k.ask("s1", "read", 2)
    assert heard(k, "r1")[3:] == [("store", 2)]
    with pytest.raises(NoSuchThing, match="doesn't react to reading of s1"):
        k.remove_interaction("r1", "s1", "reading")


def test_a_typed_wire_may_have_two_names(k: Kernel) -> None:
    sensor, recorder = k.spawn(Sensor, name="s3"), k.spawn(Recorder, name="r3")
    k.wire(sensor.reading, recorder.store)
    k.send_signal("s3", "reading", 4)
    assert heard(k, "r3") == [("store", 4)]


def test_a_name_of_both_is_the_name_of_one(k: Kernel) -> None:
    k.react_interaction("r1", "s1", "reading>reading")
    k.remove_interaction("r1", "s1", "reading")


@pytest.mark.parametrize(
    ("wire", "error", "words"),
    [
        ("reeding>store", NoSuchThing, "s1 .Sensor. has no signal 'reeding': it has name_said, re"),
        ("reading>stroe", NoSuchAction, r"Did you mean store\?"),
        ("name_said>store", UnfitArguments, "value can't be str"),
        ("reading>report", UnfitArguments, "it can't take 1 argument"),
        ("reading>", ConfigError, "'' is no name for an action"),
        (">store", ConfigError, "'' is no name for a signal"),
        ("a>b>c", ConfigError, "'b>c' is no name for an action"),
    ],
)
def test_what_the_classes_do_not_have_is_not_wired(
    k: Kernel, wire: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        k.react_interaction("r1", "s1", wire)
    if error is not ConfigError:
        k.react_interaction("r1", "s1", wire, anyway=True)


@pytest.mark.parametrize(
    ("name", "args", "error"),
    [
        ("reeding", (1,), NoSuchThing),
        ("reading", ("x",), UnfitArguments),
        ("reading", (), UnfitArguments),
    ],
)
def test_a_signal_that_the_class_has_not_is_not_sent(
    k: Kernel, name: str, args: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        k.send_signal("s1", name, *args)
    assert k.send_signal("s1", name, *args, anyway=True) == 0
