"""The actor of the fault tests: a member of group g that writes down what it sees."""

import json
from pathlib import Path

from zactor import Actor, GroupMessage, MembershipMessage


class Watcher(Actor):
    """Writes a line for each message and membership."""

    def __init__(self, out: str) -> None:
        self.out = out

    async def on_start(self) -> None:
        await self.join("g")

    def on_message(self, message: GroupMessage) -> None:
        self.tell("said", bytes(message.value).decode())

    def on_view(self, view: MembershipMessage) -> None:
        if view.transitional:
            self.tell("transitional")
        else:
            self.tell(view.cause.value, view.members, view.vs_sets)

    def tell(self, *line: object) -> None:
        with Path(self.out).open("a") as file:
            file.write(json.dumps(line) + "\n")
