"""Single node: the group engine of a process that has no other, on a network without peers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from zactor.kernel.ids import NodeId

if TYPE_CHECKING:
    from zactor.kernel.messages.groups import GroupHeartbeat
    from zactor.kernel.messages.views import View
    from zactor.kernel.sessions.host import GroupHost, NetworkPeer


class _Nobody:
    """A network without peers, and a node that nothing happens to."""

    def __init__(self, me: NodeId) -> None:
        self.me = me
        self.peers: Mapping[str, NetworkPeer] = {}
        self.heartbeats = self

    def now_ms(self) -> int:
        """The loop's clock: asyncio's is this one."""
        return int(time.monotonic() * 1000)

    def send_to(self, name: str, item: object) -> None:
        """There is no peer to send to."""
        raise KeyError(name)

    def reaches(self, name: str) -> bool:
        """There is nobody to reach."""
        return False

    def refuse(self, name: str, claimed: str) -> None:
        """Nobody lies."""

    def beat(self, group: GroupHeartbeat) -> None:
        """Nobody listens."""

    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        """Only this node is ever in it."""

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        """Nothing to see."""


def solo_host(me: NodeId) -> GroupHost:
    """The engine's shell of a node that is alone, open; to be called in its loop."""
    # Not before it is used: most programs with a Kernel have no groups.
    from zactor.kernel.sessions.host import GroupHost

    nobody = _Nobody(me)
    host = GroupHost(nobody, nobody, None)
    host.open()
    return host
