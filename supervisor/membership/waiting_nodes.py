"""Nodes without a name: which of them are known of, on this machine and by what they say."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel.transport.hub import Hub
from zactor.supervisor.membership.run_directory import read_entries

WAITING_KEPT_MS = 2_000  # an unconfigured node that is silent for longer isn't shown any more


class WaitingNodes:
    """The unconfigured nodes that wait until somebody names them. Kernel thread only."""

    def __init__(self, hub: Hub, home: Path) -> None:
        """`hub` knows who has a name by now; in `home` those of this machine are found."""
        self._hub = hub
        self._home = home
        self._heard_ms: dict[str, int] = {}  # when each was last heard, the longest ago first

    def heard(self, endpoint: str) -> None:
        """One says that its door is at `endpoint`."""
        self._forget_silent()  # nobody may ever ask who waits
        self._heard_ms.pop(endpoint, None)
        self._heard_ms[endpoint] = self._hub.now_ms()

    def endpoints(self) -> list[str]:
        """Return their doors, sorted."""
        self._forget_silent()
        unnamed = {entry.endpoint for entry in read_entries(self._home) if not entry.name}
        named = {peer.hello.endpoint for peer in self._hub.peers.values()}
        return sorted((unnamed | self._heard_ms.keys()) - named)

    def _forget_silent(self) -> None:
        since = self._hub.now_ms() - WAITING_KEPT_MS
        while self._heard_ms and next(iter(self._heard_ms.values())) < since:
            del self._heard_ms[next(iter(self._heard_ms))]
