"""What the hub and the supervisor know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zactor.kernel.protocol import messages
from zactor.kernel.protocol.messages import Request
from zactor.kernel.transport.peer import Peer


class Client:
    """Who asked something at the door: where its answer goes."""

    __slots__ = ("routing_id",)

    def __init__(self, routing_id: bytes) -> None:
        self.routing_id = routing_id


class HubUser(Protocol):
    """What the supervisor does with what arrives; called in the kernel thread."""

    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        """Items of a link, in order."""

    def on_request(self, client: Client, request: Request) -> None:
        """A client's request, Hello excepted."""

    def on_peer_up(self, peer: Peer) -> None:
        """Both directions of a link work."""

    def on_peer_gone(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        """A peer is dead; `lost` is what it never acknowledged, each with: was it ever sent."""

    def on_disconnected(self, peer: Peer) -> None:
        """The connection to a peer broke: a hint that it may be dead."""

    def on_heartbeat(self, heartbeat: messages.Heartbeat) -> None:
        """A peer's loop is alive."""

    def on_buried(self, reason: str) -> None:
        """A peer refuses this incarnation: it counts as dead there."""

    def on_late_item(self, peer: Peer, item: object) -> None:
        """Something was put for a peer that is gone; any thread."""
