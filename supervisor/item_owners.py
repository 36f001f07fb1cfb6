"""Owners of items: to whom on this node goes what a link delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zactor.kernel.transport.peer import Peer

Owner = Callable[[Peer, Sequence[Any]], None]
"""Takes items of a link, in order."""


class ItemOwners:
    """A table of types of items. Kernel's loop only.

    Each owner gets what is his in the order in which it came, all of it at once; of what came
    together, the first of the table get theirs first.
    """

    def __init__(self, *owners: tuple[Iterable[type], Owner]) -> None:
        """Each owner with the types that are his."""
        self._owners = tuple(owner for _, owner in owners)
        self._owner_of = {
            kind: number for number, (kinds, _) in enumerate(owners) for kind in kinds
        }

    def give(self, peer: Peer, items: Sequence[object]) -> None:
        """Give what a link delivered to its owners."""
        if len(items) == 1:  # what a lone message needn't wait for
            owner = self._owner_of.get(type(items[0]))
            if owner is not None:
                self._owners[owner](peer, items)
            return
        parts: dict[int, list[object]] = {}
        for item in items:
            owner = self._owner_of.get(type(item))
            if owner is not None:
                parts.setdefault(owner, []).append(item)
        for owner in sorted(parts):
            self._owners[owner](peer, parts[owner])


def one_by_one(take: Callable[[Peer, Any], None]) -> Owner:
    """Return the owner that takes one item after the other."""

    def take_each(peer: Peer, items: Sequence[Any]) -> None:
        for item in items:
            take(peer, item)

    return take_each
