from __future__ import annotations

import resource
import socket as tcp
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from zactor.kernel.errors import ConfigError, NotReachable
from zactor.kernel.limits import FRAME_BYTES_MAX, LINK_RECEIVE_FRAMES, LINK_SEND_FRAMES, NODE_PORT
from zactor.kernel.transport import addresses, sockets
from zactor.kernel.transport.keys import KeyPair


# -- addresses -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", None),
        ("192.168.70.39:4811", "192.168.70.39", 4811),
        ("n1.example.org:1", "n1.example.org", 1),
        ("localhost", "localhost", None),
        ("[::1]", "::1", None),
        ("[fe80::1]:65535", "fe80::1", 65_535),
        ("tcp://[::1]:4810", "::1", 4810),
    ],
)
def test_an_address_is_a_host_and_perhaps_a_port(address: str, host: str, port: int | None) -> None:
    assert addresses.parse_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        *("", ":4810", "host:", "host:0", "host:65536", "host:port", "host:-1", "host:1:2", "::1"),
        *(
            "[::1",
            "[]",
            "[127.0.0.1]",
            "[::1]x",
            "[::1]:",
            "256.1.1.1",
            "1.2.3",
            "a b",
            "a/b",
            "-a",
        ),
        *("*", "host:\uff14\uff18", "a\n", "x" * 300, "udp://host", "host\0"),
    ],
)
def test_anything_else_is_a_wrong_setting_that_is_named(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        addresses.parse_address(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "n1.example.org"])
def test_an_endpoint_can_be_parsed_again(host: str) -> None:
    assert addresses.parse_address(addresses.endpoint(host, 4810)) == (host, 4810)


# -- binding ---------------------------------------------------------------------------------
def test_on_loopback_the_next_free_port_is_taken(make_bound_door: Callable[..., Any]) -> None:
    first, second = make_bound_door(None), make_bound_door(None)
    assert min(first.port, second.port) >= NODE_PORT
    assert first.port != second.port, "others on this machine may have let one below go meanwhile"


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(bound: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{bound.port}.*taken.*--bind"):
        sockets.bind_door(bound.context, "127.0.0.1", bound.port, bound.keys.server)


def test_elsewhere_only_the_agreed_port_is_tried(bound: Any) -> None:
    with tcp.socket() as blocker:
        blocker.setsockopt(tcp.SOL_SOCKET, tcp.SO_REUSEADDR, 1)
        try:
            blocker.bind(("0.0.0.0", NODE_PORT))
            blocker.listen()
        except OSError:
            pass  # somebody else has it, which serves as well
        with pytest.raises(ConfigError, match=f"{NODE_PORT}.*taken"):
            sockets.bind_door(bound.context, "0.0.0.0", None, bound.keys.server)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_an_error(bound: Any, host: str) -> None:
    with pytest.raises(ConfigError, match=host):
        sockets.bind_door(bound.context, host, 4999, bound.keys.server)


def test_heartbeats_are_published_above_the_door_where_a_firewall_can_name_it(
    bound: Any,
) -> None:
    socket, endpoint = sockets.bind_heartbeats(
        bound.context, "0.0.0.0", bound.endpoint, bound.keys.server
    )
    bound.keep(socket)
    assert int(endpoint.rpartition(":")[2]) > bound.port


@pytest.mark.skipif(not tcp.has_ipv6, reason="no IPv6 here")
def test_ipv6_works_the_same_way(bound: Any) -> None:
    try:
        door, endpoint = sockets.bind_door(bound.context, "::1", None, bound.keys.server)
    except ConfigError:
        pytest.skip("no IPv6 here")
    bound.keep(door)
    assert endpoint.startswith("tcp://[::1]:")
    client = bound.client(endpoint=endpoint)
    client.send(b"hello")
    assert door.poll(20_000)


# -- options ---------------------------------------------------------------------------------
def test_every_socket_has_its_limits(bound: Any) -> None:
    keys = bound.keys
    publisher, endpoint = sockets.bind_heartbeats(
        bound.context, "127.0.0.1", bound.endpoint, keys.server
    )
    subscriber = sockets.connect_heartbeats(bound.context, keys.door, keys.server.public)
    sockets.connect_to(subscriber, endpoint)
    link = sockets.connect_link(bound.context, bound.endpoint, keys.door, keys.server.public)
    binders, connected = [bound.door, publisher], [subscriber, link, bound.client()]
    for socket in (publisher, subscriber, link):
        bound.keep(socket)
    for socket in binders + connected:
        assert 0 < socket.get(zmq.MAXMSGSIZE) <= FRAME_BYTES_MAX
        assert socket.get(zmq.SNDHWM) > 0
        assert socket.get(zmq.RCVHWM) > 0
        assert socket.get(zmq.LINGER) == 0
        assert 0 < socket.get(zmq.HANDSHAKE_IVL) <= 500
        assert socket.get(zmq.MECHANISM) == zmq.CURVE
        assert socket.get(zmq.HEARTBEAT_IVL) > 0
    for socket in binders:
        assert socket.get(zmq.CURVE_SERVER)
        assert socket.get(zmq.ZAP_ENFORCE_DOMAIN)
        assert socket.get(zmq.ZAP_DOMAIN) == b"zactor"


def test_heartbeats_reach_an_admitted_node_and_nobody_else(bound: Any, stranger: KeyPair) -> None:
    publisher, endpoint = sockets.bind_heartbeats(
        bound.context, "127.0.0.1", bound.endpoint, bound.keys.server
    )
    bound.keep(publisher)
    node = KeyPair(*zmq.curve_keypair())
    bound.authenticator.admit(node.public, "n2")
    readers = []
    for pair in (node, stranger):
        reader = sockets.connect_heartbeats(bound.context, pair, bound.keys.server.public)
        sockets.connect_to(reader, endpoint)
        readers.append(bound.keep(reader))
    for _ in range(200):
        publisher.send(b"beat")
        if readers[0].poll(10):
            break
    assert readers[0].recv() == b"beat"
    while not bound.authenticator.refused:
        publisher.send(b"beat")
        bound.door.poll(5)
    assert not readers[1].poll(30)


# -- a link ----------------------------------------------------------------------------------
def connect_link(bound: Any, pair: KeyPair) -> zmq.Socket[bytes]:
    socket = sockets.connect_link(bound.context, bound.endpoint, pair, bound.keys.server.public)
    bound.keep(socket)
    return socket


def test_a_link_is_writable_only_once_it_is_let_in(bound: Any) -> None:
    node = KeyPair(*zmq.curve_keypair())
    link = connect_link(bound, node)
    assert not link.poll(100, zmq.POLLOUT)
    with pytest.raises(zmq.Again):
        link.send(b"frame", zmq.NOBLOCK)
    bound.authenticator.admit(node.public, "n2")
    assert link.poll(20_000, zmq.POLLOUT)


def test_a_key_that_comes_before_its_introduction_gets_in_after_it(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    node = KeyPair(*zmq.curve_keypair())
    link = connect_link(bound, node)
    wait_until(lambda: bound.authenticator.refused)
    bound.authenticator.admit(node.public, "n2")
    assert link.poll(20_000, zmq.POLLOUT), "a refusal must not end the socket for good"
    link.send(b"frame")
    assert bound.door.poll(20_000)
    frames = bound.door.recv_multipart(copy=False)
    assert sockets.user_id(frames[1]) == node.public.decode()


def test_what_libzmq_holds_for_a_receiver_that_does_not_read_is_bounded(bound: Any) -> None:
    link = connect_link(bound, bound.keys.door)
    assert link.poll(20_000, zmq.POLLOUT)
    frame, sent = b"x" * (1 << 10), 0
    while link.poll(100, zmq.POLLOUT):
        link.send(frame, zmq.NOBLOCK)
        sent += 1
        assert sent < 200_000
    kernel_buffers = 16 << 10  # frames of 1 KiB that Linux may hold between the two
    assert sent <= LINK_SEND_FRAMES + LINK_RECEIVE_FRAMES + kernel_buffers


def test_an_answer_to_a_client_that_went_away_is_told(bound: Any) -> None:
    with pytest.raises(zmq.ZMQError) as error:
        bound.door.send_multipart([b"nobody", b"answer"], zmq.NOBLOCK)
    assert error.value.errno == zmq.EHOSTUNREACH


def test_whoever_watches_a_link_before_it_connects_misses_nothing(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    events: list[int] = []
    link = sockets.connect_link(
        bound.context,
        bound.endpoint,
        bound.keys.door,
        bound.keys.server.public,
        before=lambda socket: bound.monitor.watch(
            socket, zmq.EVENT_ALL, lambda event, _value, _endpoint: events.append(event)
        ),
    )
    bound.keep(link)
    wait_until(lambda: zmq.EVENT_HANDSHAKE_SUCCEEDED in events)
    assert events[0] in (zmq.EVENT_CONNECT_DELAYED, zmq.EVENT_CONNECTED)


def test_what_is_no_endpoint_is_not_reachable(bound: Any) -> None:
    with pytest.raises(NotReachable, match="tcp://HOST:PORT"):
        bound.client(endpoint="tcp://127.0.0.1")


# -- the process -----------------------------------------------------------------------------
def test_the_limit_of_open_files_is_raised_to_what_is_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        assert sockets.raise_open_files() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
