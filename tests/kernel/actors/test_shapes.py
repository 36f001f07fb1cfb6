"""kernel/actors/shapes.py: what a signature takes, and the words for what doesn't fit."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from zactor.kernel.actors.shapes import (
    misfit_of_call,
    misfit_of_wire,
    misspelt,
    shape_of_action,
    shape_of_signal,
)


class Level(enum.IntEnum):
    LOW = 1


INC = "inc(by: int = 1) -> int"
PUT = "put(key: str, value: float, /, *, ttl: int | None = None)"
MANY = "many(first: int, *rest: str, loud: bool = False, **more: dict[str, int])"


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        (INC, (), {}),
        (INC, (5,), {}),
        (INC, (True,), {}),
        (INC, (Level.LOW,), {}),  # what is no plain value may well be taken
        (INC, (), {"by": 2}),
        (PUT, ("a", 1.5), {}),
        (PUT, ("a", 1), {"ttl": None}),
        (MANY, (1, "a", 2, None), {"loud": True, "else_": "x"}),
        ("late(when: datetime = None)", ("today",), {}),  # it isn't known what a datetime takes
        ("once(x: int = None)", (None,), {}),  # as annotations were read once
        ('quoted(x: "int | str")', ("a",), {}),
        ("opt(x: Optional[list[int]])", (None,), {}),
        ("one(x: Union[int, str])", ("a",), {}),
        ("plain(x)", ({},), {}),
        ("empty()", (), {}),
    ],
)
def test_what_fits_is_taken(text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    shape = shape_of_action(text)
    assert shape is not None
    assert misfit_of_call(shape, args, kwargs) == ""


@pytest.mark.parametrize(
    ("text", "args", "kwargs", "words"),
    [
        (INC, (1, 2), {}, "not 2 arguments"),
        ("empty()", (1,), {}, "not 1 argument"),
        (INC, ("x",), {}, "and by can't be 'x'"),
        (INC, (1.5,), {}, "and by can't be 1.5"),
        (INC, (), {"by": "x" * 99}, f"and by can't be '{'x' * 39}…"),
        (INC, (), {"byy": 1}, "not 'byy'. Did you mean by?"),
        (INC, (1,), {"by": 1}, "and by is given twice"),
        (PUT, ("a",), {}, "and value is missing"),
        (PUT, ("a", "b"), {}, "and value can't be 'b'"),
        (PUT, ("a", 1), {"key": "b"}, "not 'key'"),
        (PUT, ("a", 1), {"ttl": "x"}, "and ttl can't be 'x'"),
        ("named(*, x: int)", (), {}, "and x is missing"),
        (MANY, (), {"loud": True}, "and first is missing"),
        ("opt(x: Optional[list[int]])", ({},), {}, "and x can't be {}"),
        ("one(x: Union[int, str])", (None,), {}, "and x can't be None"),
    ],
)
def test_what_does_not_fit_is_told(
    text: str, args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    shape = shape_of_action(text)
    assert shape is not None
    assert misfit_of_call(shape, args, kwargs) == words


@pytest.mark.parametrize(
    ("signal", "action", "words"),
    [
        ("s(int)", "a(n: int)", ""),
        ("s(int)", "a(n: float)", ""),
        ("s(bool)", "a(n: int)", ""),
        ("s(int | str)", "a(n: str)", ""),  # as long as one of them fits
        ("s(Reading)", "a(n: int)", ""),
        ("s(int, str)", "a(n: int, text: str, more: float = 1.0)", ""),
        ("s(int, str)", "a(*all: int)", ""),
        ("s()", "a(n: int = 1)", ""),
        ("s(float)", "a(n: int)", "n can't be float"),
        ("s(int)", "a()", "it can't take 1 argument"),
        ("s()", "a(n: int)", "n would be missing"),
        ("s(int)", "a(n: int, *, loud: bool)", "loud would be missing"),
    ],
)
def test_a_wire_fits_where_its_payload_can_be_taken(signal: str, action: str, words: str) -> None:
    carried, taken = shape_of_signal(signal), shape_of_action(action)
    assert carried is not None
    assert taken is not None
    assert misfit_of_wire(carried, taken) == words


@pytest.mark.parametrize(
    "text", ["odd(...)", "long(a: int, b: st…", "x", "", "a(b", "two(x=100000...00000)", "(" * 5000]
)
def test_a_text_that_does_not_tell_is_no_shape(text: str) -> None:
    assert shape_of_action(text) is None
    assert shape_of_signal(text) is None


def test_what_is_meant_is_named_and_a_long_list_is_cut() -> None:
    assert misspelt("no", "incc", ["inc", "dec"]) == "no: it has dec, inc. Did you mean inc?"
    assert misspelt("no", "x", []) == "no: it has none"
    said = misspelt("no", "x", [f"action{number:03}" for number in range(50)])
    assert said.endswith("action019 and 30 more")
