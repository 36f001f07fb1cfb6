"""Actors that are made where nobody runs their loop: in place, and each in a context of its own."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from zactor import Actor, action
from zactor.kernel import Kernel

SAID: ContextVar[str] = ContextVar("SAID", default="nothing")


class Heir(Actor):
    def __init__(self, says: str = "") -> None:
        self.found = SAID.get()
        self.loop = asyncio.get_running_loop()
        if says:
            SAID.set(says)

    @action
    def tell(self) -> str:
        return self.found


class Late(Heir):
    async def on_start(self) -> None:
        await asyncio.sleep(0)
        self.found = "started"


class Parent(Actor):
    def __init__(self, outer: Kernel) -> None:
        with Kernel() as inner:
            inner.spawn(Child, outer, name="child")
        self.ref("grandchild").tell()


class Child(Actor):
    def __init__(self, outer: Kernel) -> None:
        outer.spawn(Heir, name="grandchild")


def test_what_a_constructor_sets_is_its_own_and_it_finds_what_its_maker_set() -> None:
    with Kernel() as k:
        token = SAID.set("by the maker")
        try:
            first = k.spawn(Heir, "by the first", name="first")
            second = k.spawn(Heir, name="second")
        finally:
            SAID.reset(token)
        assert first.tell().result(5) == second.tell().result(5) == "by the maker"
        assert SAID.get() == "nothing"


def test_what_starts_asynchronously_has_started_when_spawn_returns() -> None:
    with Kernel() as k:
        assert k.spawn(Late, name="late").tell().result(5) == "started"


def test_a_kernel_within_a_constructor_may_make_actors_of_the_one_outside() -> None:
    with Kernel() as k:
        k.spawn(Parent, k, name="parent")
        k.run_until_idle()
        assert k.ref("grandchild").tell().result(5) == "nothing"


def test_a_constructor_that_raises_leaves_the_name_free() -> None:
    with Kernel() as k:
        with pytest.raises(TypeError):
            k.spawn(Heir, 1, 2, 3, name="h")
        assert k.spawn(Heir, name="h").tell().result(5) == "nothing"
