"""A second, dumb implementation: all state in one place, no network, nothing fails.

It is given what the sessions do, one after the other with time between, and predicts what each
session is told, in order. Written from the guarantees alone; imports nothing of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Told = tuple[object, ...]  # ("message", id) or ("group", name, cause, members)
Member = tuple[str, str]  # node, session


@dataclass(slots=True)
class Twin:
    """One place where everything happens at once."""

    nodes: tuple[str, ...]
    groups: dict[str, list[Member]] = field(default_factory=dict)
    told: dict[Member, list[Told]] = field(default_factory=dict)

    def open(self, node: str, session: str) -> None:
        self.told[node, session] = []

    def join(self, node: str, session: str, group: str) -> None:
        members = self.groups.setdefault(group, [])
        members.append((node, session))
        self._tell(group, "join")

    def leave(self, node: str, session: str, group: str) -> None:
        self.groups[group].remove((node, session))
        self.told[node, session].append(("left", group))
        self._tell(group, "leave")

    def close(self, node: str, session: str) -> None:
        for group in sorted(self.groups):
            if (node, session) in self.groups[group]:
                self.groups[group].remove((node, session))
                self._tell(group, "disconnect")

    def send(
        self, node: str, session: str, mid: str, groups: tuple[str, ...], discard: bool
    ) -> None:
        for member in sorted(self.told):
            among = any(member in self.groups.get(group, []) for group in groups)
            named = f"#{member[1]}#{member[0].split('@')[0]}" in groups
            if (among or named) and not (discard and member == (node, session)):
                self.told[member].append(("message", mid))

    def _tell(self, group: str, cause: str) -> None:
        members = tuple(sorted(self.groups[group]))
        for member in members:
            self.told[member].append(("group", group, cause, members))
