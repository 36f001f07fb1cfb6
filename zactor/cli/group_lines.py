"""Group lines: what people read of a group's messages, and of who comes and is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zactor.kernel.moment import moment
from zactor.kernel.printable import printable

if TYPE_CHECKING:
    from zactor.kernel.messages.client_sessions import MembershipMessage, RegularMessage

_CHANGES = {"join": "joined", "leave": "left", "disconnect": "disconnected"}


class GroupLines:
    """Lines of one listener, who remembers who was there: a view only says who is."""

    def __init__(self, *, verbose: bool = False) -> None:
        """`verbose`: transitional memberships too, and who came from which view."""
        self._verbose = verbose
        self._members: dict[str, tuple[str, ...]] = {}  # of each group
        self._lost: dict[tuple[str, str], float] = {}  # group, member -> since when

    def line(self, message: RegularMessage | MembershipMessage) -> str:
        """Return what to print of it; "": nothing."""
        from zactor.kernel.messages.client_sessions import RegularMessage

        if isinstance(message, RegularMessage):
            text = message.payload.decode("utf-8", "backslashreplace")
            return printable(f"{' '.join(message.groups)}: {message.sender}: {text}")
        if message.transitional:
            return printable(f"{message.group}: members are being lost") if self._verbose else ""
        if message.cause.value == "self_leave":
            self._members.pop(message.group, None)
            return printable(f"{message.group}: {message.changed} left")
        if message.changed is not None:
            what = f"{message.changed} {_CHANGES[message.cause.value]}"
        else:
            what = self._network(message)
        self._members[message.group] = message.members
        return printable(f"{message.group}: {what}; members {' '.join(message.members)}")

    def _network(self, message: MembershipMessage) -> str:
        before = self._members.get(message.group)
        parts = [] if before is None else self._differences(message, before)
        if self._verbose or not parts:
            sets = " | ".join(" ".join(part) for part in message.vs_sets)
            parts.append(f"the network changed ({sets})")
        return "; ".join(parts)

    def _differences(self, message: MembershipMessage, before: tuple[str, ...]) -> list[str]:
        group, now = message.group, time.time()
        lost = [member for member in before if member not in message.members]
        came = [member for member in message.members if member not in before]
        parts = [f"lost {member} ({_node(member)} is gone or out of reach)" for member in lost]
        self._lost |= {(group, member): now for member in lost}
        for member in came:
            since = self._lost.pop((group, member), None)
            missed = f": it has not heard what was sent since {moment(since)}" if since else ""
            parts.append(f"{member} is {'back' if since else 'here'}{missed}")
        return parts


def _node(member: str) -> str:
    return member.rpartition("#")[2]
