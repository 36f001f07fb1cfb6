"""ZeroMQ sockets: each of zactor's is made here, with every option and the reason for it.

The rule not to break: a socket that binds has CURVE, our ZAP domain and ZAP_ENFORCE_DOMAIN, and
every socket has MAXMSGSIZE. Nothing else in the project calls `context.socket` for TCP.
"""

from __future__ import annotations

import ipaddress
import resource
from collections.abc import Callable

import zmq

from zactor.kernel.errors import ConfigError, NotReachable
from zactor.kernel.limits import (
    CLIENT_FRAMES,
    CONNECT_MS,
    DOOR_SEND_FRAMES,
    FRAME_BYTES_MAX,
    HANDSHAKE_MS,
    HEARTBEAT_BYTES_MAX,
    HEARTBEATS_HELD,
    HEARTBEATS_UNREAD,
    LINK_RECEIVE_FRAMES,
    LINK_SEND_FRAMES,
    LISTEN_BACKLOG,
    NODE_PORT,
    NODE_PORTS_TRIED,
    RECONNECT_MS,
    RECONNECT_MS_MAX,
    SOCKETS_MAX,
    STREAM_HEARTBEAT_MS,
    STREAM_SILENCE_MS,
    ZMTP_HEARTBEAT_MS,
    ZMTP_SILENCE_MS,
)
from zactor.kernel.transport.addresses import endpoint, is_loopback, numbers_of
from zactor.kernel.transport.authenticator import ZAP_DOMAIN
from zactor.kernel.transport.keys import KeyPair

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


# -- process and context ---------------------------------------------------------------------
def raise_open_files() -> int:
    """Raise this process's limit of open files as far as it may, and return it.

    The usual soft limit of 1024 is what a few hundred silent strangers would use up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft  # as it was: some sandboxes forbid it
    return hard


def context() -> Context:
    """Return a context for one node or client. Whoever makes it terminates it."""
    made: Context = zmq.Context(io_threads=1)  # one carries 1 GB/s; more would reorder nothing
    made.set(zmq.MAX_SOCKETS, SOCKETS_MAX)
    made.set(zmq.BLOCKY, 0)  # LINGER 0 by default: no socket ever keeps a process from ending
    return made


# -- bound -----------------------------------------------------------------------------------
def bind_door(
    context: Context,
    host: str,
    port: int | None,
    server: KeyPair,
    first: int | None = None,
    *,
    is_beside: bool = False,
) -> tuple[Socket, str]:
    """Bind the ROUTER at which links and clients arrive; return it and its endpoint.

    Without a port: `first` if it is free; else on loopback, or beside another node, the first free
    one from NODE_PORT upward, elsewhere NODE_PORT itself, as the others expect it there. A send
    raises `zmq.Again` while that peer's queue is full, and EHOSTUNREACH when the peer is gone.
    Sockets that bind need the context's Authenticator.

    Raises:
        ConfigError: the address isn't ours, or taken.
    """
    door = context.socket(zmq.ROUTER)
    _set_common(door, FRAME_BYTES_MAX)
    _set_server(door, server)
    door.set(zmq.ROUTER_MANDATORY, 1)  # without it a full queue or a lost peer drops in silence
    door.set(zmq.ROUTER_HANDOVER, 0)  # nobody takes over a peer's id: it is no identity anyway
    door.set(zmq.RCVHWM, LINK_RECEIVE_FRAMES)
    # Answers to one client, as links answer on their own socket. Few, since libzmq counts them and
    # not their bytes, and a client needn't read.
    door.set(zmq.SNDHWM, DOOR_SEND_FRAMES)
    if port is not None:
        ports = [port]
    elif is_beside or is_loopback(host):
        ports = list(range(NODE_PORT, NODE_PORT + NODE_PORTS_TRIED))
    else:
        ports = [NODE_PORT]
    if port is None and first is not None:
        ports.insert(0, first)
    return door, _bind(door, host, ports)


def bind_heartbeats(context: Context, host: str, door: str, server: KeyPair) -> tuple[Socket, str]:
    """Bind the PUB of this node's heartbeats; return it and its endpoint. `door` is the door's.

    On loopback any free port; else the first free one above the door's, which a firewall's rule
    can name.

    Raises:
        ConfigError: no port is free, or the address isn't ours.
    """
    publisher = context.socket(zmq.PUB)
    _set_common(publisher, HEARTBEAT_BYTES_MAX)
    _set_server(publisher, server)
    publisher.set(zmq.SNDHWM, HEARTBEATS_HELD)
    publisher.set(zmq.RCVHWM, HEARTBEATS_HELD)  # subscriptions
    if is_loopback(host):
        return publisher, _bind(publisher, host, [0])
    door_port = int(door.rpartition(":")[2])
    above = range(door_port + 1, min(door_port + 1 + NODE_PORTS_TRIED, 65_536))
    return publisher, _bind(publisher, host, list(above) or [0])


# -- connected -------------------------------------------------------------------------------
def connect_link(
    context: Context,
    endpoint: str,
    client: KeyPair,
    server_public: bytes,
    before: Callable[[Socket], None] | None = None,
) -> Socket:
    """Return a DEALER on its way to a peer's door, for the frames of one link.

    It is writable only while it is connected and authenticated: a send before that, or beyond
    LINK_SEND_FRAMES, raises `zmq.Again`, and what it held when the connection broke is gone. So
    frames wait in the Link machine, which bounds them, resends and knows what was acknowledged,
    and nothing stale comes out of a queue after a reconnect (IMMEDIATE=1).

    Args:
        before: called with the socket before it connects: whoever watches it misses nothing.

    Raises:
        NotReachable: that is no endpoint.
    """
    link = context.socket(zmq.DEALER)
    _set_common(link, FRAME_BYTES_MAX)
    _set_client(link, client, server_public)
    link.set(zmq.IMMEDIATE, 1)
    link.set(zmq.SNDHWM, LINK_SEND_FRAMES)
    link.set(zmq.RCVHWM, LINK_RECEIVE_FRAMES)
    if before is not None:
        before(link)
    return _connect_or_close(link, endpoint)


def connect_door(context: Context, endpoint: str, client: KeyPair, server_public: bytes) -> Socket:
    """Return a DEALER on its way to a node's door, for a client's requests.

    Requests wait in it until it is connected (IMMEDIATE=0), so a client may send at once; whether
    anybody is there shows by the answer alone.

    Raises:
        NotReachable: that is no endpoint.
    """
    return _connect_or_close(door_socket(context, client, server_public), endpoint)


def door_socket(context: Context, client: KeyPair, server_public: bytes) -> Socket:
    """Return the same before it connects, for who wants to watch it; see `connect_to`."""
    door = context.socket(zmq.DEALER)
    _set_common(door, FRAME_BYTES_MAX)
    _set_client(door, client, server_public)
    door.set(zmq.IMMEDIATE, 0)
    door.set(zmq.SNDHWM, CLIENT_FRAMES)
    door.set(zmq.RCVHWM, CLIENT_FRAMES)
    return door


def connect_heartbeats(context: Context, client: KeyPair, server_public: bytes) -> Socket:
    """Return a SUB for the heartbeats of one peer; `connect_to` connects it."""
    subscriber = context.socket(zmq.SUB)
    _set_common(subscriber, HEARTBEAT_BYTES_MAX)
    _set_client(subscriber, client, server_public)
    subscriber.set(zmq.RCVHWM, HEARTBEATS_UNREAD)
    subscriber.set(zmq.SNDHWM, HEARTBEATS_HELD)  # subscriptions
    subscriber.set(zmq.SUBSCRIBE, b"")
    return subscriber


def connect_direct(context: Context, client: KeyPair, server_public: bytes) -> Socket:
    """Return a DEALER for heartbeats to one peer's door; `connect_to` connects it.

    Beside the link's, which may be full of what is long: its own heartbeats tell whether the peer's
    host is there, as a SUB's do. While it isn't connected a send raises `zmq.Again`.
    """
    direct = context.socket(zmq.DEALER)
    _set_common(direct, HEARTBEAT_BYTES_MAX)
    _set_client(direct, client, server_public)
    direct.set(zmq.HEARTBEAT_IVL, ZMTP_HEARTBEAT_MS)
    direct.set(zmq.HEARTBEAT_TIMEOUT, ZMTP_SILENCE_MS)
    direct.set(zmq.IMMEDIATE, 1)
    direct.set(zmq.SNDHWM, HEARTBEATS_HELD)
    direct.set(zmq.RCVHWM, HEARTBEATS_HELD)  # nothing comes
    return direct


def connect_to(socket: Socket, endpoint: str) -> None:
    """Connect a socket made here to one more endpoint.

    Raises:
        NotReachable: that is no endpoint.
    """
    # An option counts for the connections made after it. Not always on: a name would then be
    # looked up as IPv6 first, and libzmq tries only the first address it finds.
    socket.set(zmq.IPV6, int(endpoint.startswith("tcp://[")))
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise NotReachable(f"{endpoint!r} is no endpoint: want tcp://HOST:PORT") from error


def user_id(frame: zmq.Frame) -> str:
    """Return the key (Z85) with which the sender of this frame authenticated; "" for nobody.

    Any frame of a message bears it. Ask for each message: a routing id may be used again by
    another peer, so what was learnt about an id proves nothing.
    """
    try:
        found = frame.get("User-Id")
    except zmq.ZMQError:
        return ""
    return found if isinstance(found, str) else ""


def peer_host(frame: zmq.Frame) -> str:
    """Return the address that this frame's connection comes from, in numbers; "" if unknown."""
    try:
        found = frame.get("Peer-Address")
    except zmq.ZMQError:
        return ""
    return found if isinstance(found, str) else ""


# -- options ---------------------------------------------------------------------------------
def _set_common(socket: Socket, bytes_max: int) -> None:
    socket.set(zmq.LINGER, 0)  # what must arrive is acknowledged above, not flushed at the end
    socket.set(zmq.MAXMSGSIZE, bytes_max)  # also before authentication: a 9-byte header reserves
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)  # the default of 30 s lets the silent starve us
    # ZMTP's heartbeats find dead connections long before TCP keepalive would, which stays off.
    # Either side watches by itself, so no HEARTBEAT_TTL, by which a peer would set our timer.
    #
    # A stream's are slow on purpose. libzmq counts whole frames only, and a PONG waits behind
    # them: with 600 ms a link of 1 MB/s broke every 0.8 s and no frame of 1 MiB ever came
    # through, and a receiver that paused for 0.8 s with its queue full was cut off as well, each
    # time with another queue of frames in memory. PUB/SUB carries nothing long.
    stream = socket.type in (zmq.ROUTER, zmq.DEALER)
    socket.set(zmq.HEARTBEAT_IVL, STREAM_HEARTBEAT_MS if stream else ZMTP_HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, STREAM_SILENCE_MS if stream else ZMTP_SILENCE_MS)
    socket.set(zmq.HEARTBEAT_TTL, 0)


def _set_server(socket: Socket, server: KeyPair) -> None:
    socket.set(zmq.CURVE_SERVER, 1)
    socket.set(zmq.CURVE_PUBLICKEY, server.public)
    socket.set(zmq.CURVE_SECRETKEY, server.secret)
    socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it no handler means no refusal
    socket.set(zmq.BACKLOG, LISTEN_BACKLOG)


def _set_client(socket: Socket, client: KeyPair, server_public: bytes) -> None:
    socket.set(zmq.CURVE_PUBLICKEY, client.public)
    socket.set(zmq.CURVE_SECRETKEY, client.secret)
    socket.set(zmq.CURVE_SERVERKEY, server_public)
    socket.set(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)


def _bind(socket: Socket, host: str, ports: list[int]) -> str:
    """Bind to the first free one of `ports` (0: any) and return the endpoint; close on failure."""
    try:
        address = _local_address(host)
        if ":" in address:
            socket.set(zmq.IPV6, 1)  # only then: else IPv4 would show up as ::ffff:a.b.c.d
        for port in ports:
            try:
                socket.bind(endpoint(address, port))
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise ConfigError(
                        f"can't listen on {endpoint(host, port)!r}: {error.strerror}:"
                        " --bind wants an address of this machine and a port of 1024 or more"
                    ) from error
                continue
            return socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        raise ConfigError(
            f"can't listen on {endpoint(host, ports[0])!r}: taken"
            + (f", and so are the {len(ports) - 1} ports above it" if len(ports) > 1 else "")
            + ": stop what runs there or choose another --bind HOST:PORT"
        )
    except ConfigError:
        socket.close()
        raise


def _connect_or_close(socket: Socket, endpoint: str) -> Socket:
    try:
        connect_to(socket, endpoint)
    except NotReachable:
        socket.close()
        raise
    return socket


def _local_address(host: str) -> str:
    """Return the numbers of `host`: libzmq resolves no names for what it binds."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return numbers_of(host)
    except OSError as error:
        raise ConfigError(f"can't listen on {host!r}: {error.strerror}") from error
