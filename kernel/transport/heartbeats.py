"""Heartbeats over PUB/SUB: ours to all, and everybody's to us.

libzmq's own heartbeats on the same connections tell whether the process behind a PUB is there, even
while its loop is stuck; so both questions have an answer here. Each peer has a SUB of its own: all
PUB sockets of a cluster share one key, so only the connection tells who speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
import zmq

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import ClusterKeys, KeyPair
from zactor.kernel.transport.log_throttle import LogThrottle
from zactor.kernel.transport.socket_context import SocketContext
from zactor.kernel.wire import codec

log = structlog.get_logger()


class Heartbeats:
    """One node's PUB, and its SUB for each peer. Kernel thread only."""

    def __init__(
        self,
        shared: SocketContext,
        *,
        host: str,
        door: str,
        keys: ClusterKeys,
        node_key: KeyPair,
        on_heartbeat: Callable[[Heartbeat], None],
        on_back: Callable[[str], None],
    ) -> None:
        """Bind in the running loop; `door` is the endpoint of this node's door.

        Args:
            on_heartbeat: hears each heartbeat that names its sender truthfully.
            on_back: hears the name of a peer whose connection was broken and lives again.

        Raises:
            ConfigError: no port is free at `host`.
        """
        self.refused = 0  # heartbeats that were none, or named another sender
        self.alive: set[str] = set()  # names of peers whose connection lives
        self._shared = shared
        self._node_key = node_key
        self._server_public = keys.server.public
        self._loop = asyncio.get_running_loop()
        self._on_heartbeat = on_heartbeat
        self._on_back = on_back
        self._lies = LogThrottle()
        self._subscribers: dict[str, sockets.Socket] = {}  # by name of the peer
        self._broken: set[str] = set()  # names of peers whose connection lived and broke
        self._publisher, self.endpoint = sockets.bind_heartbeats(
            shared.context, host, door, keys.server
        )

    def close(self) -> None:
        """Close all sockets."""
        for name in list(self._subscribers):
            self.unfollow(name)
        self._publisher.close()

    def follow(self, name: str, endpoint: str) -> None:
        """Hear the heartbeats of that peer, which are published there.

        Raises:
            NotReachable: that is no endpoint.
        """
        subscriber = sockets.connect_heartbeats(
            self._shared.context, self._node_key, self._server_public
        )
        self._shared.monitor.watch(
            subscriber,
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED,
            lambda event, _value, _there: self._loop.call_soon_threadsafe(
                self._on_connection, name, subscriber, event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            ),
        )
        self._subscribers[name] = subscriber
        self._loop.add_reader(subscriber.fileno(), self._read, name, subscriber)
        sockets.connect_to(subscriber, endpoint)

    def unfollow(self, name: str) -> None:
        """Hear them no more."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            self._loop.remove_reader(subscriber.fileno())
            self._shared.monitor.unwatch(subscriber)
            subscriber.close()
        self.alive.discard(name)
        self._broken.discard(name)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish one."""
        self._publisher.send(codec.encode_heartbeat(heartbeat), zmq.NOBLOCK)

    def _on_connection(self, name: str, subscriber: sockets.Socket, connected: bool) -> None:
        if self._subscribers.get(name) is not subscriber:
            return  # the last words of a connection that was closed
        if not connected:
            self.alive.discard(name)
            self._broken.add(name)
            return
        self.alive.add(name)
        if name in self._broken:
            self._broken.discard(name)
            self._on_back(name)

    def _read(self, name: str, subscriber: sockets.Socket) -> None:
        while not subscriber.closed:  # what is heard may end the peer
            try:
                body = subscriber.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                heartbeat = codec.decode_heartbeat(body)
            except RemoteProtocolError:
                self.refused += 1
                continue
            if heartbeat.group.sender.name == name:
                self._on_heartbeat(heartbeat)
            else:
                self.refuse(name, heartbeat.group.sender.name)

    def refuse(self, name: str, claimed: str) -> None:
        """Count and tell that a peer spoke for another."""
        self.refused += 1
        count = self._lies.add(int(self._loop.time() * 1000))
        if count:
            why = f"{name} sent a heartbeat in the name of {claimed}"
            log.warning("heartbeat_refused", peer=name, claimed=claimed, why=why, count=count)
