"""Stability: who has which messages, acknowledgements, and when to send our own.

Acknowledgements are cumulative and only grow, so one that is lost or late does no harm. In a large
view members tell the coordinator only, which tells all the minimum: n messages in place of n * n.
"""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.views import View


class Stability:
    """What is known of all members' holdings in one view."""

    def __init__(self, view: View, me: NodeId, settings: Settings, now_ms: int) -> None:
        count = len(view.members)
        self._settings = settings
        self._index = {member: index for index, member in enumerate(view.members)}
        self._me = self._index[me]
        self._lines = [0] * count
        self._rows = [[0] * count for _ in range(count)]
        self._moved_ms = [now_ms] * count  # when each member last acknowledged something new
        self.line = 0  # every member holds every ticket up to it
        self.streams = [0] * count  # every member has taken each stream up to it
        self.is_direct = count <= settings.ack_direct_members_max
        self.coordinates = self._me == 0 and not self.is_direct
        self._told = (0, tuple([0] * count))  # what we acknowledged last
        self._summed = self._told
        self._arrived = 0  # messages since then
        self.due_ms: int | None = None  # an acknowledgement or a summary must leave by then

    # -- what comes in -----------------------------------------------------------------------
    def hear(self, member: NodeId, line: int, streams: Sequence[int], now_ms: int) -> None:
        """A member acknowledges. `streams` may be () where only the line is known."""
        index = self._index[member]
        if line > self._lines[index]:
            self._lines[index] = line
            self._moved_ms[index] = now_ms
            self.line = max(self.line, min(self._lines))
        row = self._rows[index]
        for column, value in enumerate(streams):
            before = row[column]
            if value <= before:
                continue
            row[column] = value
            self._moved_ms[index] = now_ms
            if before <= self.streams[column]:  # it may have been the one that all waited for
                lowest = min(other[column] for other in self._rows)
                self.streams[column] = max(self.streams[column], lowest)
        if self.coordinates and self._summary() != self._summed:
            self._by(now_ms + self._settings.ack_delay_ms)

    def restart_clocks(self, now_ms: int) -> None:
        """Nothing was on its way, now something is: from now on members can be late."""
        self._moved_ms = [now_ms] * len(self._moved_ms)

    def hear_summary(self, line: int, streams: Sequence[int]) -> None:
        """The coordinator of a large view tells the lowest of all."""
        self.line = max(self.line, line)
        self.streams = [max(pair) for pair in zip(self.streams, streams, strict=True)]

    def holders(self, sender: NodeId, sequence: int) -> list[NodeId]:
        """Members known to hold that message, the sender first."""
        column = self._index[sender]
        others = [
            member
            for member, index in self._index.items()
            if member != sender and index != self._me and self._rows[index][column] >= sequence
        ]
        return [sender, *others] if column != self._me else others

    def laggard(self, now_ms: int) -> NodeId | None:
        """The member that has held back our own stream for longer than is decent, if any."""
        column = self._me
        own = self._rows[self._me][column]
        for member, index in self._index.items():
            is_behind = index != self._me and self._rows[index][column] < own
            if is_behind and now_ms - self._moved_ms[index] > self._settings.stall_ms:
                return member
        return None

    # -- what goes out -----------------------------------------------------------------------
    def arrived(self, count: int, is_safe: bool, now_ms: int) -> None:
        """So many messages of a member were taken in: they want to be acknowledged soon."""
        self._arrived += count
        if is_safe or self._arrived >= self._settings.ack_messages:
            self._by(now_ms)
        else:
            self._by(now_ms + self._settings.ack_delay_ms)

    def acknowledge(self, line: int, streams: tuple[int, ...]) -> bool:
        """Take note of what this node tells the others now; False if it isn't news."""
        self._arrived = 0
        news = (line, streams)
        if news == self._told:
            return False
        self._told = news
        return True

    def summarise(self) -> tuple[int, tuple[int, ...]] | None:
        """What the coordinator of a large view must tell now; None if nothing new."""
        if not self.coordinates or self._summary() == self._summed:
            return None
        self._summed = self._summary()
        return self._summed

    def _summary(self) -> tuple[int, tuple[int, ...]]:
        return self.line, tuple(self.streams)

    def _by(self, ms: int) -> None:
        self.due_ms = ms if self.due_ms is None else min(self.due_ms, ms)
