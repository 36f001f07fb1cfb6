"""What a replica does, as plain data: lines of the event log, for checkers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zactor.kernel.ids import Clock
from zactor.kernel.replication import effects

_KEPT = 1_000  # changes whose digest is at hand when their submitter is told

WriteLine = Callable[[str, dict[str, Any]], None]


class KbTrace:
    """Writes what a replica does."""

    def __init__(self, trace: WriteLine) -> None:
        """`trace` writes a line, if anybody wants it."""
        self._trace = trace
        self._digests: dict[Clock, str] = {}  # of the last changes

    def applied(self, effect: effects.Applied) -> None:
        """A change took place."""
        change = effect.change
        self._stand(Clock(change.epoch, change.index), change.digest, {"id": change.id})

    def replaced(self, effect: effects.Replaced) -> None:
        """The whole was taken over: the changes before have no lines here."""
        self._stand(effect.clock, effect.digest, {"taken": True})

    def _stand(self, clock: Clock, digest: bytes, fields: dict[str, Any]) -> None:
        self._digests[clock] = digest.hex()
        if len(self._digests) > _KEPT:
            del self._digests[next(iter(self._digests))]
        self._trace("kb_apply", {"clock": list(clock), "hash": digest.hex(), **fields})

    def acknowledged(self, id_: str, clock: Clock) -> None:
        """Somebody is told that a change took place."""
        digest = self._digests.get(clock)
        if digest is not None:
            self._trace("kb_ack", {"clock": list(clock), "hash": digest, "id": id_})

    def primary(self, effect: effects.BecamePrimary) -> None:
        """This node is in a primary."""
        self._trace(
            "primary",
            {
                "v": [effect.view.epoch, str(effect.view.coordinator)],
                "epoch": effect.epoch,
                "members": list(effect.members),
                "voices": list(effect.voices),
            },
        )

    def lost(self, effect: effects.LostPrimary) -> None:
        """It isn't any more."""
        self._trace("lost", {"reason": effect.reason})
