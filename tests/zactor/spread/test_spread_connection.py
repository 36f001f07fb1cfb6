"""The client of the port, blocking and awaiting, at a port with real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator

import pytest
from spread_world import free_port, solo_port

from zactor import Service
from zactor.kernel.errors import (
    AlreadyExists,
    ConfigError,
    NotReachable,
    Refused,
    RemoteProtocolError,
    TimedOut,
)
from zactor.spread import (
    AsyncSpreadConnection,
    Cause,
    SpreadConnection,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    spread_address,
)


@pytest.fixture
def daemon() -> Iterator[str]:
    """A daemon, as programs name it."""
    with solo_port("d1") as (_, port):
        yield f"{port}@127.0.0.1"


@pytest.mark.parametrize("is_unix", [False, True])
def test_join_send_receive_leave(daemon: str, is_unix: bool) -> None:
    where = daemon.partition("@")[0] if is_unix else daemon
    with SpreadConnection(where, "alice") as alice, SpreadConnection(where, "bob") as bob:
        assert alice.private_group == "#alice#d1"
        alice.join("room")
        first = alice.receive(20)
        assert isinstance(first, SpreadMembership)
        assert (first.group, first.cause, first.members) == ("room", Cause.JOIN, ("#alice#d1",))
        bob.join("room")
        second, same = alice.receive(20), bob.receive(20)
        assert isinstance(second, SpreadMembership)
        assert second == same
        assert second.changed == "#bob#d1"
        assert second.id != first.id
        for service in Service:
            bob.multicast(("room", "else"), b"x" * 10, service, mess_type=-3, discard=True)
            message = alice.receive(20)
            assert isinstance(message, SpreadMessage)
            assert (message.sender, message.groups) == ("#bob#d1", ("room", "else"))
            assert (message.service, message.mess_type, message.payload) == (service, -3, b"x" * 10)
            assert not message.endian_mismatch
        alice.multicast("#bob#d1", b"to one")
        found = bob.receive(20)
        assert isinstance(found, SpreadMessage)
        assert found.payload == b"to one"
        alice.leave("room")
        left, gone = alice.receive(20), bob.receive(20)
        assert isinstance(left, SpreadLeft)
        assert isinstance(gone, SpreadMembership)
        assert (left.group, gone.cause) == ("room", Cause.LEAVE)
        with pytest.raises(TimedOut):
            alice.receive(0.01)


def test_awaiting(daemon: str) -> None:
    asyncio.run(asyncio.wait_for(_await(daemon), 60))


async def _await(daemon: str) -> None:
    async with AsyncSpreadConnection(daemon, "a") as a, AsyncSpreadConnection(daemon) as b:
        await a.join("g")
        await b.multicast("g", b"early")
        async for news in a:
            if isinstance(news, SpreadMembership):
                await b.multicast("g", os.urandom(100_000))
            elif isinstance(news, SpreadMessage) and len(news.payload) == 100_000:
                break


def test_what_a_daemon_refuses(daemon: str) -> None:
    with SpreadConnection(daemon, "twice"), pytest.raises(AlreadyExists, match="that name"):
        SpreadConnection(daemon, "twice")
    with pytest.raises(Refused, match="no name"):
        SpreadConnection(daemon, "zactor.x")
    with pytest.raises(ConfigError, match="10 characters"):
        SpreadConnection(daemon, "elevenchars")
    with pytest.raises(NotReachable, match="no daemon of Spread answers"):
        SpreadConnection(f"{free_port()}@127.0.0.1")
    with pytest.raises(ConfigError, match="no name of a group"), SpreadConnection(daemon) as a:
        a.join("a b")
    with pytest.raises(ConfigError, match="too long"), SpreadConnection(daemon) as a:
        a.multicast("g", bytes(144_000))


@pytest.mark.parametrize("where", ["x", "4803@", "0", "70000", "@host"])
def test_what_is_no_daemon(where: str) -> None:
    with pytest.raises(ConfigError, match="PORT or PORT@HOST"):
        spread_address(where)


@pytest.mark.parametrize(
    "said",
    [
        b"\xff" * 60,
        b"\5NULL \2",
        b"\5NULL \1\4\4\0\3#a#" + b"\xff" * 48,
        b"\5NULL \1\4\4\0\3#a#" + b"\x80\x11\0\x80" + bytes(40) + b"\x08\0\0\0" + bytes(8),
    ],
)
def test_a_daemon_that_speaks_something_else_is_an_error(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(said)
                while peer.recv(1_000):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            where = f"{server.getsockname()[1]}@127.0.0.1"
            with (
                pytest.raises((RemoteProtocolError, Refused)),
                SpreadConnection(where, "a") as connection,
            ):
                connection.receive(20)
        finally:
            thread.join(20)
        assert not thread.is_alive()
