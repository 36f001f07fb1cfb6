"""Replay: the last events of the page's stream, so that a reader goes on where it broke off."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

REPLAY_KEPT = 1_000
REPLAY_BYTES_MAX = 1 << 20  # of these; a reader that is further behind begins anew


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event, ready to be sent."""

    sequence: int
    clock: tuple[int, int]
    kind: str
    data: str  # JSON, one line

    @property
    def id(self) -> str:
        """EPOCH.INDEX.SEQUENCE, which the browser says when it comes again."""
        return f"{self.clock[0]}.{self.clock[1]}.{self.sequence}"

    @property
    def size(self) -> int:
        """Its data, in bytes."""
        return len(self.data) if self.data.isascii() else len(self.data.encode())

    def text(self) -> str:
        """Return it as it stands in the stream."""
        return f"id: {self.id}\nevent: {self.kind}\ndata: {self.data}\n\n"


class Replay:
    """The last REPLAY_KEPT events, as far as they have REPLAY_BYTES_MAX. One loop's."""

    def __init__(self, first: int) -> None:
        """`first` is the number of the first event: beyond those of any server before this."""
        self._next = first
        self._first = first
        self._events: deque[StreamEvent] = deque()
        self._bytes = 0

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._next - 1

    def add(self, clock: tuple[int, int], kind: str, data: str) -> StreamEvent:
        """Keep the next event."""
        event = StreamEvent(self._next, clock, kind, data)
        self._next += 1
        self._events.append(event)
        self._bytes += event.size
        while len(self._events) > REPLAY_KEPT or self._bytes > REPLAY_BYTES_MAX:
            self._bytes -= self._events.popleft().size
        return event

    def since(self, sequence: int) -> list[StreamEvent] | None:
        """Return what came after; None: that is too long ago, or was never said: begin anew."""
        oldest = self._events[0].sequence if self._events else self._next
        if not oldest - 1 <= sequence < self._next or sequence < self._first - 1:
            return None
        missed = self.last - sequence
        return [self._events[len(self._events) - missed + place] for place in range(missed)]


def sequence_of(event_id: str) -> int:
    """Return the number in an event's id, -1 if it is none."""
    parts = event_id.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 20 for part in parts):
        return -1
    return int(parts[2])
