"""An actor for tests of groups, and what it has seen."""

from __future__ import annotations

import threading
from typing import Any

from zactor import Actor, GroupMessage, MembershipMessage, action
from zactor.kernel import Kernel


class Guest(Actor):
    """Does in groups what it is told to, and notes all that it sees."""

    def __init__(self) -> None:
        self.seen: list[GroupMessage | MembershipMessage] = []
        self.threads: set[str] = set()

    def on_message(self, message: GroupMessage) -> None:
        self.threads.add(threading.current_thread().name)
        self.seen.append(message)

    def on_view(self, view: MembershipMessage) -> None:
        self.seen.append(view)

    @action
    async def enter(self, group: str = "room") -> None:
        await self.join(group)

    @action
    async def quit(self, group: str = "room") -> None:
        await self.leave(group)

    @action
    async def say(self, *values: Any, to: Any = "room", **options: Any) -> None:
        for value in values:
            await self.multicast(to, value, **options)

    @action
    def shout(self, count: int, to: str = "room") -> None:
        for number in range(count):
            self.multicast(to, number)

    @action
    def all(self) -> list[GroupMessage | MembershipMessage]:
        return self.seen

    @action
    def where(self) -> set[str]:
        return self.threads


def guests(kernel: Kernel, *names: str, cls: type[Guest] = Guest) -> None:
    for name in names:
        kernel.spawn(cls, name=name)
        kernel.ask(name, "enter")


def seen(kernel: Kernel, name: str) -> list[Any]:
    kernel.run_until_idle(10)
    found: list[Any] = kernel.ask(name, "all")
    return found


def values(kernel: Kernel, name: str) -> list[Any]:
    return [event.value for event in seen(kernel, name) if isinstance(event, GroupMessage)]
