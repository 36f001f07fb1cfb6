"""kernel/actors/contract.py: what can be said to actors of a class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from zactor import Actor, action, signal
from zactor.kernel.actors.contract import (
    ANYTHING,
    Contract,
    check_arguments,
    check_constructor,
    check_wire,
    contract_of,
)
from zactor.kernel.errors import NoSuchAction, NoSuchThing, UnfitArguments


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(self: Any, *args: Any) -> Any:
        return function(self, "a session", *args)

    return inner


class Sensor(Actor):
    reading = signal(float)

    def __init__(self, start: int, *, unit: str = "C") -> None:
        self.value = start

    @action
    def read(self, times: int = 1) -> float:
        self.reading.emit(1.0)
        self.send_signal("reading", 1.0)
        self.sendSignal("undeclared", self.value)
        return 1.0

    @action
    @timed
    def save(self, session: str, what: int) -> None: ...


class Heir(Sensor):
    low = signal()

    @action
    def dim(self) -> None:
        (lambda: self.send_signal("inner"))()


class Named(Actor):
    @action
    def say(self, number: int) -> None:
        self.send_signal(f"said{number}", number)


class Passes(Actor):
    @action
    def say(self, name: str) -> None:
        emit = self.send_signal
        emit(name)


class Whole(Actor):
    done = signal()

    def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
        return name


def test_an_interface_tells_names_and_signatures_of_bases_too() -> None:
    found = contract_of(Heir)
    assert found.constructor == "Heir(start: int, *, unit: str = 'C')"
    assert found.actions == [
        "dim() -> None",
        "read(times: int = 1) -> float",
        "save(session: str, what: int) -> None",
    ]
    assert found.signals == ["inner(...)", "low()", "reading(float)", "undeclared(...)"]
    assert found.emits_all is False
    assert contract_of(Heir) is found


@pytest.mark.parametrize("cls", [Named, Passes])
def test_names_of_signals_that_are_computed_can_be_any(cls: type[Actor]) -> None:
    assert contract_of(cls).emits_all
    contract_of(cls).check_signal("n1", "said7")


def test_what_is_not_there_is_refused_with_what_is() -> None:
    found = contract_of(Sensor)
    with pytest.raises(NoSuchAction) as action_error:
        found.check_action("s1 (sensor)", "raed")
    assert str(action_error.value) == (
        "s1 (sensor) has no action 'raed': it has read, save. Did you mean read?"
    )
    with pytest.raises(NoSuchThing) as signal_error:
        found.check_signal("s1 (sensor)", "reeding")
    assert str(signal_error.value) == (
        "s1 (sensor) has no signal 'reeding': it has reading, undeclared. Did you mean reading?"
    )
    found.check_action("s1", "read")
    found.check_signal("s1", "undeclared")


def test_who_overrides_do_action_takes_any_name_and_anything() -> None:
    found = contract_of(Whole)
    found.check_action("w1", "whatever")
    found.check_signal("w1", "whatever")
    assert found.action("whatever") is None
    ANYTHING.check_action("x", "whatever")
    ANYTHING.check_signal("x", "whatever")


def test_a_wrapped_action_is_checked_by_its_name_only() -> None:
    assert contract_of(Sensor).wrapped == ["save"]
    assert contract_of(Sensor).action("save") is None


def test_arguments_of_actions_signals_and_constructors_are_told_with_what_is_taken() -> None:
    found = contract_of(Sensor)
    check_arguments("read of s1", found.action("read"), (2,), {})
    with pytest.raises(UnfitArguments, match=r"^read of s1 takes \(times: int = 1\), not 2 arg"):
        check_arguments("read of s1", found.action("read"), (1, 2), {})
    with pytest.raises(UnfitArguments, match=r"^reading of s1 takes \(float\), not 'warm'$"):
        check_arguments("reading of s1", found.signal("reading"), ("warm",), {})
    check_constructor(found, "sensor", {"start": "no number", "unit": 1})  # names only
    words = r"^sensor takes \(start: int, \*, unit: str = 'C'\), not 'strt'. Did you mean start\?$"
    with pytest.raises(UnfitArguments, match=words):
        check_constructor(found, "sensor", {"strt": 1})
    with pytest.raises(UnfitArguments, match="and start is missing"):
        check_constructor(found, "sensor", {})
    check_constructor(contract_of(Whole), "whole", {})
    with pytest.raises(UnfitArguments, match=r"whole takes \(\), not 'x'"):
        check_constructor(contract_of(Whole), "whole", {"x": 1})


def test_a_constructor_that_is_hidden_is_not_checked() -> None:
    made = type("Made", (Actor,), {"__init__": timed(Sensor.__init__)})
    check_constructor(contract_of(made), "made", {"anything": 1})


def test_a_wire_is_checked_as_far_as_its_ends_are_known() -> None:
    sensor, heir = contract_of(Sensor), contract_of(Heir)
    check_wire(("s1", sensor), "reading", ("w1", contract_of(Whole)), "store")
    check_wire(("", None), "anything", ("h1", heir), "dim")
    check_wire(("s1", sensor), "undeclared", ("h1", heir), "dim")  # who knows what it carries
    with pytest.raises(UnfitArguments) as error:
        check_wire(("s1 (sensor)", sensor), "reading", ("h1 (heir)", heir), "dim")
    assert str(error.value) == (
        "reading(float) of s1 (sensor) doesn't fit dim() of h1 (heir): it can't take 1 argument"
    )
    with pytest.raises(NoSuchAction):
        check_wire(("s1", sensor), "reading", ("h1", heir), "store")
    with pytest.raises(NoSuchThing):
        check_wire(("s1", sensor), "low", ("h1", heir), "dim")


def test_an_interface_that_says_nothing_has_nothing() -> None:
    with pytest.raises(NoSuchAction, match="it has none"):
        Contract().check_action("x", "y")
