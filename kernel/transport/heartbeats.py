"""Heartbeats over PUB/SUB: ours to all, and everybody's to us.

libzmq's own heartbeats on the same connections tell whether the process behind a PUB is there, even
while its loop is stuck; so both questions have an answer here. Each peer has a SUB of its own: all
PUB sockets of a cluster share one key, so only the connection tells who speaks.

In a calm cluster every wake-up for a heartbeat costs more than what is in it. So after heartbeats
that told no news the SUBs rest for HEARTBEATS_REST_MS, and what came meanwhile is read together.

Where one of two can't reach the other's PUB (a firewall, a mapped port), each connects to the
other's door for heartbeats alone: a *direct* connection, which answers both questions as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable

import structlog
import zmq

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import ClusterKeys, KeyPair
from zactor.kernel.transport.log_throttle import LogThrottle
from zactor.kernel.transport.socket_context import SocketContext
from zactor.kernel.wire import codec

log = structlog.get_logger()


class Heartbeats:
    """One node's PUB, and its SUB for each peer. Kernel's loop only."""

    def __init__(
        self,
        shared: SocketContext,
        *,
        host: str,
        door: str,
        told: str,
        me: str,
        keys: ClusterKeys,
        node_key: KeyPair,
        on_heartbeat: Callable[[Heartbeat], None],
        on_back: Callable[[str], None],
    ) -> None:
        """Bind in the running loop; `door` is the endpoint of this node's door.

        Args:
            told: the same as others are told it; the host of ours is its host.
            on_heartbeat: hears each heartbeat that names its sender truthfully.
            on_back: hears the name of a peer whose connection was broken and lives again.

        Raises:
            ConfigError: no port is free at `host`.
        """
        self.refused = 0  # heartbeats that were none, or named another sender
        self.alive: set[str] = set()  # names of peers of which a connection lives
        self._me = me
        self._shared = shared
        self._node_key = node_key
        self._server_public = keys.server.public
        self._loop = asyncio.get_running_loop()
        self._on_heartbeat = on_heartbeat
        self._on_back = on_back
        self._lies = LogThrottle()
        self._subscribers: dict[str, sockets.Socket] = {}  # by name of the peer
        self._doors: dict[str, str] = {}  # name of the peer -> endpoint of its door
        self._direct: dict[str, sockets.Socket] = {}  # to doors, by name of the peer
        self._live: set[sockets.Socket] = set()  # those of both that are connected
        self._since: dict[str, float] = {}  # peer whose PUB isn't reached -> loop time since which
        self._deaf: dict[str, float] = {}  # peer that doesn't reach ours -> loop time since which
        self._broken: set[str] = set()  # names of peers whose connections lived and broke
        self._news: dict[str, object] = {}  # what the last heartbeat of a peer said of others
        self._ready = selectors.DefaultSelector()  # the SUBs, with the name of whose each is
        self._rest: asyncio.TimerHandle | None = None
        self._publisher, bound = sockets.bind_heartbeats(shared.context, host, door, keys.server)
        self.endpoint = f"{told.rpartition(':')[0]}:{bound.rpartition(':')[2]}"
        self._loop.add_reader(self._ready.fileno(), self._read)

    def close(self) -> None:
        """Close all sockets."""
        for name in list(self._subscribers):
            self.unfollow(name)
        self._stop_reading()
        self._ready.close()
        self._publisher.close()

    def follow(self, name: str, endpoint: str, door: str) -> None:
        """Hear the heartbeats of that peer, which are published there; its door is at `door`.

        Raises:
            NotReachable: that is no endpoint.
        """
        subscriber = sockets.connect_heartbeats(
            self._shared.context, self._node_key, self._server_public
        )
        self._watch(name, subscriber)
        self._subscribers[name] = subscriber
        self._doors[name] = door
        self._since[name] = self._loop.time()
        self._ready.register(subscriber.fileno(), selectors.EVENT_READ, name)
        sockets.connect_to(subscriber, endpoint)

    def unfollow(self, name: str) -> None:
        """Hear them no more."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            self._ready.unregister(subscriber.fileno())
            self._close(subscriber)
        self._hang_up(name)
        self._doors.pop(name, None)
        self._since.pop(name, None)
        self._deaf.pop(name, None)
        self._news.pop(name, None)
        self.alive.discard(name)
        self._broken.discard(name)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish one."""
        body = codec.encode_heartbeat(heartbeat)
        self._publisher.send(body, zmq.NOBLOCK)
        for direct in self._direct.values():
            with contextlib.suppress(zmq.Again):  # not connected at the moment
                direct.send(body, zmq.NOBLOCK)

    def unheard(self) -> tuple[str, ...]:
        """Return the names of the peers whose PUB we don't reach at the moment."""
        return tuple(sorted(self._since))

    def reaches(self, name: str) -> bool:
        """Whether our heartbeats get to that peer, as far as is known. If not, links carry them."""
        if self._direct.get(name) in self._live:
            return True
        return name not in self._since and name not in self._deaf

    def keep(self) -> None:
        """Have direct connections to those peers only that need one; every HOUSEKEEPING_MS."""
        late = self._loop.time() - limits.HEARTBEATS_UNHEARD_MS / 1000
        failing = (*self._since.items(), *self._deaf.items())
        wanted = {name for name, since in failing if since < late and name in self._doors}
        for name in self._direct.keys() - wanted - self._since.keys() - self._deaf.keys():
            self._hang_up(name)
        for name in wanted - self._direct.keys():
            direct = sockets.connect_direct(
                self._shared.context, self._node_key, self._server_public
            )
            self._watch(name, direct)
            self._direct[name] = direct
            sockets.connect_to(direct, self._doors[name])

    def _hang_up(self, name: str) -> None:
        direct = self._direct.pop(name, None)
        if direct is not None:
            self._close(direct)

    def _close(self, socket: sockets.Socket) -> None:
        self._shared.monitor.unwatch(socket)
        self._live.discard(socket)
        socket.close()

    def _watch(self, name: str, socket: sockets.Socket) -> None:
        self._shared.monitor.watch(
            socket,
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED,
            lambda event, _value, _there: self._loop.call_soon_threadsafe(
                self._on_connection, name, socket, event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            ),
        )

    def _on_connection(self, name: str, socket: sockets.Socket, connected: bool) -> None:
        subscriber, direct = self._subscribers.get(name), self._direct.get(name)
        if socket not in (subscriber, direct):
            return  # the last words of a connection that was closed
        (self._live.add if connected else self._live.discard)(socket)
        self._wake_up()
        if socket is subscriber:
            if connected:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, self._loop.time())
        elif connected:
            # It may be a firewall, or a mapped port. A cut ends both, so this one isn't there then.
            whose = "our" if subscriber in self._live else "its"
            log.info("heartbeats_by_the_door", peer=name, why=f"{whose} port isn't reached")
        if subscriber not in self._live and direct not in self._live:
            self.alive.discard(name)
            self._broken.add(name)
            return
        self.alive.add(name)
        if name in self._broken:
            self._broken.discard(name)
            self._on_back(name)

    # -- reading -----------------------------------------------------------------------------
    def _wake_up(self) -> None:
        """Read what is there, and hear at once what comes."""
        self._stop_reading()
        self._rest = None
        self._loop.add_reader(self._ready.fileno(), self._read)
        self._read()

    def _stop_reading(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._ready.fileno())

    def _read(self) -> None:
        is_calm = bool(ready := self._ready.select(0))
        for key, _ in ready:
            subscriber = self._subscribers.get(key.data)  # what is heard may end any peer
            if subscriber is not None and subscriber.fileno() == key.fd:
                is_calm = self._read_from(key.data, subscriber) and is_calm
        if is_calm and self._rest is None:
            self._stop_reading()
            self._rest = self._loop.call_later(limits.HEARTBEATS_REST_MS / 1000, self._wake_up)

    def _read_from(self, name: str, subscriber: sockets.Socket) -> bool:
        """Return whether it was no news."""
        is_calm = True
        while not subscriber.closed:
            try:
                body = subscriber.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                heartbeat = codec.decode_heartbeat(body)
            except RemoteProtocolError:
                self.refused += 1
                continue
            group = heartbeat.group
            news = (group.view, group.promised, group.hears, group.held, group.leads)
            is_calm = is_calm and self._news.get(name) == news
            self._news[name] = news
            self.take(name, heartbeat)
        return is_calm

    def take(self, name: str, heartbeat: Heartbeat) -> None:
        """Hear what came from that peer, by whichever way."""
        if heartbeat.group.sender.name != name:
            self.refuse(name, heartbeat.group.sender.name)
            return
        if self._me in heartbeat.unheard:
            self._deaf.setdefault(name, self._loop.time())
        else:
            self._deaf.pop(name, None)
        self._on_heartbeat(heartbeat)

    def refuse(self, name: str, claimed: str) -> None:
        """Count and tell that a peer spoke for another."""
        self.refused += 1
        count = self._lies.add(int(self._loop.time() * 1000))
        if count:
            why = f"{name} sent a heartbeat in the name of {claimed}"
            log.warning("heartbeat_refused", peer=name, claimed=claimed, why=why, count=count)
