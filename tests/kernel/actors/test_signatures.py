"""kernel/actors/signatures.py: what `describe` tells of a class."""

from __future__ import annotations

import enum
from typing import Any, Optional

from zactor import Actor, action, signal
from zactor.kernel import limits
from zactor.kernel.actors.signatures import action_signatures, signal_signatures


class Mode(enum.Enum):
    FAST = 1


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("nobody prints me")


class Base(Actor):
    first = signal(int)
    plain = signal()

    @action
    def inc(self, by: int = 1) -> int:
        return by


class Derived(Base):
    second = signal(list[int], Mode)
    anything = signal(Any)

    @action
    async def turn(self, mode: Mode = Mode.FAST, *rest: str, loud: object = Loud()) -> None: ...

    @action
    def find(self, key: Optional[str] = None, /, **more: dict[str, int]) -> str:  # noqa: UP045
        return key or ""

    @action
    def long(self, text: str = "x" * 10_000) -> None: ...


def test_actions_are_told_as_their_author_wrote_them() -> None:
    assert action_signatures(Derived) == [
        "find(key: Optional[str] = None, /, **more: dict[str, int]) -> str",
        "inc(by: int = 1) -> int",
        "long(text: str = 'xxxxxxxxxxxx...xxxxxxxxxxxxx') -> None",
        "turn(mode: Mode = Mode.FAST, *rest: str, loud: object = ...) -> None",
    ]


def test_signals_are_told_with_what_they_carry_those_of_bases_too() -> None:
    assert signal_signatures(Derived) == [
        "anything(Any)",
        "first(int)",
        "plain()",
        "second(list[int], Mode)",
    ]


def test_types_that_are_no_text_are_told_without_the_module_they_have_in_a_bundle() -> None:
    def turn(self: Actor, mode: Mode, many: list[int] | None = None) -> Mode:
        return mode

    turn.__annotations__ = {"mode": Mode, "many": list[int] | None, "return": Mode}
    cls = type("Made", (Actor,), {"turn": action(turn)})
    assert action_signatures(cls) == ["turn(mode: Mode, many: list[int] | None = None) -> Mode"]


def test_what_has_no_signature_or_a_long_one_is_told_in_short() -> None:
    def many(self: Actor, **kwargs: int) -> None: ...

    many.__annotations__ = {"return": "x" * 1_000}
    cls = type("Made", (Actor,), {"many": action(many), "odd": action(dict)})
    told, odd = action_signatures(cls)
    assert len(told) == limits.SIGNATURE_CHARS_MAX
    assert told.endswith("…")
    assert odd == "odd(...)"
