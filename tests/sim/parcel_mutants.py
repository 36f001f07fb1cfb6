"""Planted bugs of parcels, which may break several promises at once. See mutants.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from mutants import Mutant

from zactor.kernel.groups import events
from zactor.kernel.groups.credit import SessionBacklogs
from zactor.kernel.groups.flow_control import FlowControl
from zactor.kernel.groups.multicast import ViewMulticast
from zactor.kernel.groups.sessions import Sessions
from zactor.kernel.messages.groups import GroupItem, GroupPacket


def _one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Sessions.submit

    def submit(self: Sessions, event: events.Submit) -> GroupItem:
        item = real(self, event)
        self.number -= item.count - 1
        return item

    monkeypatch.setattr(Sessions, "submit", submit)


def _one_in_backlogs(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SessionBacklogs.deliver

    def deliver(self: SessionBacklogs, packet: GroupPacket, sessions: Any, is_open: Any) -> Any:
        light = tuple(msgspec.structs.replace(item, count=1) for item in packet.items)
        return real(self, msgspec.structs.replace(packet, items=light), sessions, is_open)

    def consumed(self: SessionBacklogs, taken: Any) -> None:
        for name, count, size in taken:
            if name in self._of:
                backlog = self._of[name]
                self._take(backlog, min(count, backlog.count), size)
        self._forgive()

    monkeypatch.setattr(SessionBacklogs, "deliver", deliver)
    monkeypatch.setattr(SessionBacklogs, "consumed", consumed)


def _one_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    def stable(self: FlowControl, sequence: int) -> None:
        while self._stable < sequence:
            self._stable += 1
            _, size = self._sizes.popleft()
            self.in_flight -= 1
            self._flight_bytes -= size

    monkeypatch.setattr(FlowControl, "stable", stable)


def _half_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast.leave_view

    def half(packet: GroupPacket) -> GroupPacket:
        items = [msgspec.structs.replace(one, count=(one.count + 1) // 2) for one in packet.items]
        return msgspec.structs.replace(packet, items=tuple(items))

    def leave_view(self: ViewMulticast, sync: Any) -> Any:
        self.flush.regular = [half(packet) for packet in self.flush.regular]
        self.flush.transitional = [half(packet) for packet in self.flush.transitional]
        return real(self, sync)

    monkeypatch.setattr(ViewMulticast, "leave_view", leave_view)


PARCEL_MUTANTS: dict[str, Mutant] = {
    "one_number": Mutant(
        words="a parcel takes one number, so the next message has that of its second",
        caught_by=("G2",),
        patch=_one_number,
        seeds=range(24),
    ),
    "one_in_backlogs": Mutant(
        words="a parcel weighs one in the backlog of who reads it",
        caught_by=("flow",),
        patch=_one_in_backlogs,
        seeds=range(23, 47),
    ),
    "one_acknowledged": Mutant(
        words="a parcel that all have gives the credit of one message back",
        caught_by=("live",),
        patch=_one_acknowledged,
        seeds=range(24),
    ),
    "half_flushed": Mutant(
        words="who delivers a parcel by a flush delivers the first half of it",
        caught_by=("G9",),
        patch=_half_flushed,
        seeds=range(24),
    ),
}
"""Watched as ALSO is."""
