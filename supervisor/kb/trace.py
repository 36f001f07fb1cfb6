"""What a replica does, as events: for people, for checkers, and for who operates the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zactor.kernel.ids import Clock
from zactor.kernel.messages.knowledge import Change
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication import effects

_KEPT = 1_000  # changes whose digest is at hand when their submitter is told

Line = tuple[str, dict[str, Any]]
"""What happened, in one word, and its particulars."""


class KbEvent:
    """Something that happened to the knowledge base here; None: it isn't for those."""

    __slots__ = ()

    def journal_line(self) -> Line | None:
        """Return what people read."""
        return None

    def trace_line(self) -> Line | None:
        """Return what checkers read."""
        return None

    def log_line(self) -> tuple[str, Line] | None:
        """Return what operators read, and at which level."""
        return None


@dataclass(frozen=True, slots=True)
class Applied(KbEvent):
    """A change took place."""

    change: Change

    def journal_line(self) -> Line:
        """Return what people read; not copied, since the journal keeps ten thousand of them."""
        change = self.change
        return "changed", {
            "clock": (change.epoch, change.index),
            "retracted": change.retracted,
            "asserted": change.asserted,
        }

    def trace_line(self) -> Line:
        """Return what checkers read."""
        change = self.change
        return "kb_apply", {
            "clock": [change.epoch, change.index],
            "hash": change.digest.hex(),
            "id": change.id,
        }


@dataclass(frozen=True, slots=True)
class Replaced(KbEvent):
    """The whole was taken over: the changes before have no events here."""

    clock: Clock
    digest: bytes

    def journal_line(self) -> Line:
        """Return what people read."""
        return "knowledge_base_taken_over", {"clock": list(self.clock)}

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "kb_apply", {"clock": list(self.clock), "hash": self.digest.hex(), "taken": True}


@dataclass(frozen=True, slots=True)
class CommitAck(KbEvent):
    """Somebody is told that a change took place."""

    clock: Clock
    digest: bytes
    id: str

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "kb_ack", {"clock": list(self.clock), "hash": self.digest.hex(), "id": self.id}


@dataclass(frozen=True, slots=True)
class BecamePrimary(KbEvent):
    """This node is in a primary."""

    view: ViewId
    epoch: int
    members: tuple[str, ...]
    voices: tuple[str, ...]
    clock: Clock

    def journal_line(self) -> Line:
        """Return what people read."""
        return "primary", {"members": list(self.members)}

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "primary", {
            "v": [self.view.epoch, str(self.view.coordinator)],
            "epoch": self.epoch,
            "members": list(self.members),
            "voices": list(self.voices),
        }

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "debug", (
            "kb_primary",
            {"epoch": self.epoch, "members": list(self.members), "clock": str(self.clock)},
        )


@dataclass(frozen=True, slots=True)
class LostPrimary(KbEvent):
    """It isn't any more."""

    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "primary", {"members": []}

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "lost", {"reason": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "debug", ("kb_primary_lost", {"why": self.why})


@dataclass(frozen=True, slots=True)
class Cramped(KbEvent):
    """The disk of this node is full."""

    name: str
    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "disk_full", {"name": self.name, "why": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "error", self.journal_line()


@dataclass(frozen=True, slots=True)
class Roomy(KbEvent):
    """It has room again, and all that was to be on it."""

    name: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "disk_roomy", {"name": self.name}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "info", self.journal_line()


class KbTrace:
    """Tells what a replica does."""

    def __init__(self, tell: Callable[[KbEvent], None]) -> None:
        """`tell` brings an event to whoever wants it."""
        self._tell = tell
        self._digests: dict[Clock, bytes] = {}  # of the last changes

    def applied(self, effect: effects.Applied) -> None:
        """A change took place."""
        change = effect.change
        self._keep(Clock(change.epoch, change.index), change.digest)
        self._tell(Applied(change))

    def replaced(self, effect: effects.Replaced) -> None:
        """The whole was taken over."""
        self._keep(effect.clock, effect.digest)
        self._tell(Replaced(effect.clock, effect.digest))

    def _keep(self, clock: Clock, digest: bytes) -> None:
        self._digests[clock] = digest
        if len(self._digests) > _KEPT:
            del self._digests[next(iter(self._digests))]

    def acknowledged(self, id_: str, clock: Clock) -> None:
        """Somebody is told that a change took place."""
        digest = self._digests.get(clock)
        if digest is not None:
            self._tell(CommitAck(clock, digest, id_))

    def primary(self, effect: effects.BecamePrimary, clock: Clock) -> None:
        """This node is in a primary, and at `clock`."""
        self._tell(BecamePrimary(effect.view, effect.epoch, effect.members, effect.voices, clock))

    def lost(self, effect: effects.LostPrimary) -> None:
        """It isn't any more."""
        self._tell(LostPrimary(effect.reason))

    def ran_out(self, name: str, why: str) -> None:
        """The disk is full."""
        self._tell(Cramped(name, why))

    def has_room(self, name: str) -> None:
        """It isn't any more."""
        self._tell(Roomy(name))
