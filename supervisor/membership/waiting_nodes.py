"""Nodes without a name: which of them are known of, on this machine and by what they say."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, Refused
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Waiting
from zactor.kernel.transport import addresses
from zactor.kernel.transport.hub import Hub
from zactor.supervisor.membership.run_directory import read_entries

WAITING_KEPT_MS = 2_000  # an unconfigured node that is silent for longer isn't shown any more
WAITING_MAX = 256  # shown at once: as many as there may be peers


class WaitingNodes:
    """The unconfigured nodes that wait until somebody names them. Kernel's loop only."""

    def __init__(self, hub: Hub, home: Path) -> None:
        """`hub` knows who has a name by now; in `home` those of this machine are found."""
        self._hub = hub
        self._home = home
        self._heard_ms: dict[str, int] = {}  # when each was last heard, the longest ago first

    def heard(self, waiting: Waiting) -> None:
        """One says that it waits. Whoever has the cluster's key may say so, and anything else.

        Raises:
            Refused: it is of another cluster or version, where it says to be is no address, or
                too many wait already.
        """
        self._forget_silent()  # nobody may ever ask who waits
        endpoint = self._checked(waiting)
        known = self._heard_ms.pop(endpoint, None)
        if known is None and len(self._heard_ms) >= WAITING_MAX:
            raise Refused(f"{WAITING_MAX} nodes wait for a name already: name some of them first")
        self._heard_ms[endpoint] = self._hub.now_ms()

    def _checked(self, waiting: Waiting) -> str:
        """Return where it is, as it is shown."""
        if waiting.cluster != self._hub.keys.cluster:
            raise Refused("the node that waits for a name is of another cluster")
        if waiting.version != WIRE_VERSION:
            raise Refused(
                f"the node that waits for a name speaks version {waiting.version} of the wire,"
                f" {self._hub.me.name} speaks {WIRE_VERSION}"
            )
        if len(waiting.endpoint) > limits.ENDPOINT_CHARS_MAX:
            raise Refused(f"an address has at most {limits.ENDPOINT_CHARS_MAX} characters")
        try:
            host, port = addresses.parse_address(waiting.endpoint)
        except ConfigError as error:
            raise Refused(str(error)) from None
        if port is None:
            raise Refused(f"{waiting.endpoint!r} has no port: nobody could call there")
        return addresses.endpoint(host, port)

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
