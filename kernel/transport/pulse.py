"""Heartbeats over PUB/SUB: ours to all, and everybody's to us.

libzmq's own heartbeats on the same connections tell whether the process behind a PUB is there, even
while its loop is stuck; so both questions have an answer here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.protocol.messages import Heartbeat
from zactor.kernel.transport import sockets
from zactor.kernel.transport.ground import Ground
from zactor.kernel.transport.keys import ClusterKeys, KeyPair
from zactor.kernel.wire import codec


class Pulse:
    """One node's PUB and SUB. Kernel thread only."""

    def __init__(
        self,
        ground: Ground,
        *,
        host: str,
        door: str,
        keys: ClusterKeys,
        node_key: KeyPair,
        on_heartbeat: Callable[[Heartbeat], None],
    ) -> None:
        """Bind in the running loop; `door` is the endpoint of this node's door.

        Raises:
            ConfigError: no port is free at `host`.
        """
        self.refused = 0  # heartbeats that were none
        self.alive: set[str] = set()  # endpoints whose connection lives
        self._loop = asyncio.get_running_loop()
        self._on_heartbeat = on_heartbeat
        self._publisher, self.endpoint = sockets.bind_heartbeats(
            ground.context, host, door, keys.server
        )
        self._subscriber = sockets.connect_heartbeats(ground.context, node_key, keys.server.public)
        ground.monitor.watch(
            self._subscriber,
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED,
            lambda event, _value, endpoint: self._loop.call_soon_threadsafe(
                self._note, endpoint, event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            ),
        )
        self._loop.add_reader(self._subscriber.fileno(), self._read)

    def close(self) -> None:
        """Close both sockets; the monitor must have been closed before."""
        self._loop.remove_reader(self._subscriber.fileno())
        self._subscriber.close()
        self._publisher.close()

    def follow(self, endpoint: str) -> None:
        """Hear the heartbeats published there."""
        sockets.connect_to(self._subscriber, endpoint)

    def unfollow(self, endpoint: str) -> None:
        """Hear them no more."""
        self._subscriber.disconnect(endpoint)
        self.alive.discard(endpoint)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish one."""
        self._publisher.send(codec.encode_heartbeat(heartbeat), zmq.NOBLOCK)

    def _note(self, endpoint: str, connected: bool) -> None:
        if connected:
            self.alive.add(endpoint)
        else:
            self.alive.discard(endpoint)

    def _read(self) -> None:
        while True:
            try:
                body = self._subscriber.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._on_heartbeat(codec.decode_heartbeat(body))
            except RemoteProtocolError:
                self.refused += 1
