"""Copies of a world, cheap because what never changes is shared between them."""

from __future__ import annotations

import io
import pickle
from typing import Any

import msgspec

from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import Fact
from zactor.kernel.messages.base import Message as WireMessage
from zactor.kernel.messages.knowledge import Entry, Primary
from zactor.kernel.messages.views import View, ViewId
from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.order import Message, Reach
from zactor.testing.replica_sim.world import World

_SHARED: tuple[type, ...] = (
    *(WireMessage, msgspec.Struct, Fact, Entry, Primary, View, ViewId, NodeId, Clock),
    *(Message, Reach, Action, ReplicaCoverage),
)


_KNOWN: dict[type, bool] = {}


class Snapshot:
    """A world as it was: `restore` gives one that goes its own way."""

    def __init__(self, world: World) -> None:
        """Raises: TypeError where a history is on its way in pieces, which can't be copied."""
        self._kept: list[Any] = []
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.kept = self._kept
        pickler.dump(world)
        self._bytes = buffer.getvalue()

    def restore(self) -> World:
        """Return a copy."""
        unpickler = _Unpickler(io.BytesIO(self._bytes))
        unpickler.kept = self._kept
        world = unpickler.load()
        assert isinstance(world, World)
        return world


class _Pickler(pickle.Pickler):
    kept: list[Any]

    def persistent_id(self, obj: Any) -> int | None:
        kind = type(obj)
        is_shared = _KNOWN.get(kind)
        if is_shared is None:
            is_shared = _KNOWN[kind] = issubclass(kind, _SHARED)
        if is_shared:
            self.kept.append(obj)
            return len(self.kept) - 1
        return None


class _Unpickler(pickle.Unpickler):
    kept: list[Any]

    def persistent_load(self, pid: Any) -> Any:
        return self.kept[pid]
