"""The context of a node's sockets: ZeroMQ's own, an authenticator and a monitor for all."""

from __future__ import annotations

from typing import NamedTuple

from zactor.kernel.transport import sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.monitor import MonitorThread


class Address(NamedTuple):
    """Where a node's door is to be."""

    host: str = "127.0.0.1"
    port: int | None = None  # None: any, see sockets.bind_door
    is_beside: bool = False  # others of its machine may have the usual port: the next free one
    first: int | None = None  # the port it would like best, where `port` is None
    # What others are told to connect to, the door's port where that is None; None: where it is.
    advertise: tuple[str, int | None] | None = None
    towards: tuple[str, ...] = ()  # endpoints that it will join, see own_address.py


LOOPBACK = Address()
"""The default: nobody but this machine reaches it."""


class SocketContext:
    """Made before the first socket, closed after the last. Kernel's loop only."""

    def __init__(self) -> None:
        """Start both threads."""
        self.context = sockets.context()
        self.authenticator = Authenticator(self.context)
        self.monitor = MonitorThread(self.context)

    def still(self) -> None:
        """Stop telling about connections: sockets are closed next."""
        self.monitor.close()

    def close(self) -> None:
        """End everything that is left."""
        self.monitor.close()
        self.authenticator.close()
        self.context.destroy(linger=0)
