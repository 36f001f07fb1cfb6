"""The actors of the tests of group order, shipped to the nodes in a bundle."""

import time

from zactor import Actor, GroupMessage, MembershipMessage, Service, action, signal


class Teller(Actor):
    """Emits its name and a number, again and again."""

    said = signal(str, int)

    def __init__(self) -> None:
        self.next = 0

    @action
    def burst(self, count: int) -> int:
        for _ in range(count):
            self.said.emit(self.name, self.next)
            self.next += 1
        return self.next


class Hearer(Actor):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    @action
    def said(self, who: str, number: int) -> None:
        self.heard.append((who, number))

    @action
    def count(self) -> int:
        return len(self.heard)

    @action
    def all(self) -> list[tuple[str, int]]:
        return self.heard


class Guest(Actor):
    """A member of rooms, noting all it sees."""

    def __init__(self, room: str = "room") -> None:
        self.room = room
        self.seen: list[tuple[object, ...]] = []

    async def on_start(self) -> None:
        await self.join(self.room)

    def on_message(self, message: GroupMessage) -> None:
        self.seen.append(("said", message.sender, message.value))

    def on_view(self, view: MembershipMessage) -> None:
        if view.transitional:
            self.seen.append(("trans",))
        else:
            self.seen.append((view.cause.value, view.members))

    @action
    async def say(self, count: int, service: str = "agreed") -> int:
        for number in range(count):
            await self.multicast(self.room, number, service=Service.parse(service))
        return count

    @action
    def count(self) -> int:
        return sum(1 for event in self.seen if event[0] == "said")

    @action
    def all(self) -> list[tuple[object, ...]]:
        return self.seen


class Sleeper(Actor, dispatcher="thread"):
    """A member of a room that sleeps over the first message."""

    async def on_start(self) -> None:
        await self.join("room")

    def on_message(self, message: GroupMessage) -> None:
        time.sleep(60)
