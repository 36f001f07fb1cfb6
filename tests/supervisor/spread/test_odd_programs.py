"""Programs by hand at a daemon in its own process: both byte orders, any cut, limits of names."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from daemon_world import DaemonWorld, daemon_world
from raw_spread import (
    AGREED,
    FIFO,
    JOIN,
    KILL,
    LEAVE,
    MARK,
    RELIABLE,
    SAFE,
    SELF_DISCARD,
    Frame,
    RawSpread,
    entered,
    padded,
    request,
)

DAEMON = "a-daemon.of_19chars"
SERVICES = (1, RELIABLE, FIFO, 8, AGREED, SAFE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonWorld]:
    """One daemon, whose name is as long as one may be."""
    with daemon_world(tmp_path_factory.mktemp("odd")) as world:
        world.write([DAEMON])
        world.start(DAEMON)
        yield world


class Odd:
    """A program of either byte order, which says what it likes."""

    def __init__(self, client: RawSpread, order: str) -> None:
        self.client = client
        self._order = order
        self._mark = MARK if order == "<" else 0

    def made(
        self,
        kind: int,
        *groups: bytes,
        data: bytes = b"",
        mess_type: int = 0,
        name: bytes | None = None,
    ) -> bytes:
        hint = (mess_type & 0xFFFF) << 8 | self._mark
        own = self.client.own.encode() if name is None else name
        size = len(groups)
        head = struct.pack(f"{self._order}I32siIi", kind | self._mark, own, size, hint, len(data))
        return head + b"".join(group.ljust(32, b"\0") for group in groups) + data

    def send(self, kind: int, *groups: bytes, **more: object) -> None:
        self.client.socket.sendall(self.made(kind, *groups, **more))  # type: ignore[arg-type]

    def hint(self, mess_type: int) -> bytes:
        """How its mess_type comes to others."""
        return struct.pack(f"{self._order}I", mess_type << 8 | self._mark)


@pytest.fixture(params=["<", ">"], ids=["little", "big"])
def odd(world: DaemonWorld, request: pytest.FixtureRequest) -> Iterator[Odd]:
    with entered(world.at(DAEMON), "odd") as client:
        yield Odd(client, request.param)


def test_every_request_in_either_order(world: DaemonWorld, odd: Odd) -> None:
    with entered(world.at(DAEMON), "a") as a:
        a.send(JOIN, "g")
        a.membership()
        odd.send(JOIN, b"g")
        for client in (a, odd.client):
            joined = client.membership()
            assert (joined.cause, joined.groups) == ("join", (a.own, odd.client.own))
        for service in SERVICES:
            odd.send(service, b"g", b"h", data=b"hello", mess_type=0x1234)
            for client in (a, odd.client):
                assert client.frame() == Frame(
                    service, odd.client.own, ("g", "h"), odd.hint(0x1234), b"hello"
                )
            odd.send(service | SELF_DISCARD, b"g", data=b"not for me")
            assert a.frame().kind == service | SELF_DISCARD
            a.send(service, odd.client.own, data=b"x", mess_type=-2)
            frame = odd.client.frame()
            assert (frame.name, frame.hint) == (a.own, b"\x80\xfe\xff\x80")
        odd.send(LEAVE, b"g")
        assert odd.client.frame() == Frame(0x200, "g", (), b"\x80\0\0\x80", b"")
        assert a.membership().cause == "leave"
        odd.send(JOIN, b"g")
        assert a.membership().cause == odd.client.membership().cause == "join"
        odd.send(KILL, odd.client.own.encode())
        assert odd.client.at_end()
        assert a.membership().cause == "disconnect"


def test_a_consent_of_either_order_comes_as_it_was_sent(odd: Odd) -> None:
    """A flush library's; behind it what it had sent before."""
    odd.send(JOIN, b"g")
    odd.client.membership()
    for number in range(20):
        odd.send(FIFO, b"g", data=b"%d" % number)
        odd.send(FIFO, b"g", data=bytes(12), mess_type=-32768)
        assert odd.client.frame().data == b"%d" % number
        assert odd.client.frame() == Frame(
            FIFO, odd.client.own, ("g",), odd.hint(0x8000), bytes(12)
        )


def test_what_is_too_much_in_a_request_is_ignored(odd: Odd) -> None:
    own = odd.client.own.encode()
    odd.send(JOIN, b"g", b"h", b"i", data=b"what for")
    assert odd.client.membership().name == "g"
    odd.send(AGREED, b"h", data=b"h")
    odd.send(AGREED, b"g\0rubbish", data=b"g", name=own + b"\0stack remains")
    assert odd.client.frame().groups == ("g",)
    odd.send(LEAVE, b"g", b"h", data=b"x")
    assert odd.client.frame().kind == 0x200
    odd.send(KILL)
    assert odd.client.at_end()


def test_messages_to_nobody_and_requests_for_nothing(world: DaemonWorld, odd: Odd) -> None:
    for service in SERVICES:
        odd.send(service, data=b"to no group")
        odd.send(service)
    odd.send(SAFE, odd.client.own.encode(), data=b"here")
    assert odd.client.frame().data == b"here"
    for kind in (JOIN, LEAVE):
        with entered(world.at(DAEMON), "nothing") as client:
            Odd(client, "<").send(kind)
            assert client.at_end()


def test_a_group_that_is_named_twice_gets_it_once_and_is_shown_twice(odd: Odd) -> None:
    odd.send(JOIN, b"g")
    odd.client.membership()
    odd.send(SAFE, b"g", b"h", b"g", data=b"once")
    odd.send(SAFE, b"g", data=b"next")
    assert odd.client.frame().groups == ("g", "h", "g")
    assert odd.client.frame().data == b"next"


def test_names_of_groups_at_their_limit(world: DaemonWorld, odd: Odd) -> None:
    long = b"$" + b"g" * 29 + b"~"
    assert len(long) == 31
    odd.send(JOIN, long)
    assert odd.client.membership().name == long.decode()
    odd.send(SAFE, b"x" * 32, long, b"y" * 32, data=b"a name without an end is nobody's")
    assert odd.client.frame().data.startswith(b"a name")
    odd.send(LEAVE, long)
    assert odd.client.frame().name == long.decode()
    odd.send(JOIN, b"x" * 32)
    assert odd.client.at_end()


def test_names_of_programs_at_their_limit(world: DaemonWorld) -> None:
    for name in ("~" * 10, "$", "a.-_B1}|{z"):
        with entered(world.at(DAEMON), name) as client:
            assert client.own == f"#{name}#{DAEMON}"
            client.send(JOIN, "g")
            assert client.membership().groups == (client.own,)
            client.send(SAFE, client.own, data=b"to me")
            assert client.frame().groups == (client.own,)


def test_members_stand_in_the_order_of_their_bytes(world: DaemonWorld, odd: Odd) -> None:
    odd.send(JOIN, b"g")
    names = ("Z", "a", "_", "-", "B1", "B", "~", "$")
    clients = []
    for name in names:
        client = RawSpread(world.at(DAEMON))
        client.enter(name)
        client.send(JOIN, "g")
        clients.append(client)
    members: tuple[str, ...] = ()
    while len(members) < len(names) + 1:
        members = odd.client.membership().groups
    assert list(members) == sorted(members, key=str.encode)
    for client in clients:
        client.close()


@pytest.mark.parametrize("flags", [0x01, 0x11, 0x13, 0xF1])
def test_a_priority_has_no_effect_and_odd_flags_want_memberships(
    world: DaemonWorld, flags: int
) -> None:
    for wanted in (flags, flags & ~1):
        with entered(world.at(DAEMON), "p", flags=wanted) as client:
            client.send(JOIN, "g")
            client.send(SAFE, client.own, data=b"x")
            kinds = [client.frame().kind]
            if wanted & 1:
                kinds.append(client.frame().kind)
            assert kinds == [0x1100, SAFE][1 - (wanted & 1) :]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_handshake_and_its_first_request_may_be_cut_anywhere(
    world: DaemonWorld, kind: str
) -> None:
    port = world.ports[DAEMON]
    at = world.at(DAEMON) if kind == "tcp" else f"/tmp/{port}"
    own = f"#cut#{DAEMON}"
    whole = b"\4\4\0\1\3cut" + b"NULL".ljust(90, b"\0") + request(JOIN, own, ("g",))
    ends = (*range(1, 12), *range(90, 102), *range(110, len(whole), 7))
    for end in ends:
        client = RawSpread(at)
        if kind == "tcp":
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.sendall(whole[:end])
        if end >= 8:
            assert client.read(6) == b"\5NULL "  # so it has read what was sent
        if end >= 98:
            assert client.read(5 + len(own))[5:].decode() == own
        client.socket.sendall(whole[end:])
        if end < 8:
            assert client.read(6) == b"\5NULL "
        if end < 98:
            assert client.read(5 + len(own))[:5] == bytes((1, 4, 4, 0, len(own)))
        assert client.membership().groups == (own,)
        client.own = own
        client.send(KILL, own)
        assert client.at_end()
        client.close()


def test_a_frame_may_be_cut_anywhere(odd: Odd) -> None:
    odd.send(JOIN, b"g")
    odd.client.membership()
    made = odd.made(AGREED, b"g", b"h", data=b"whole", mess_type=7)
    odd.client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for end in range(1, len(made)):
        odd.client.socket.sendall(made[:end])
        odd.client.socket.sendall(made[end:])
        assert odd.client.frame().data == b"whole"


def test_two_hundred_long_messages_of_either_order_before_the_first_is_read(odd: Odd) -> None:
    odd.send(JOIN, b"g")
    for number in range(200):
        odd.send(SAFE, b"g", b"h", data=number.to_bytes(4, "little") + bytes(100_000))
    odd.client.membership()
    for number in range(200):
        frame = odd.client.frame()
        assert (frame.data[:4], len(frame.data)) == (number.to_bytes(4, "little"), 100_004)


def test_bits_that_mean_nothing_travel_and_those_of_daemons_do_not(odd: Odd) -> None:
    """A flush library's local flags, say; a forged membership stays the message that it is."""
    odd.send(JOIN, b"g")
    odd.client.membership()
    for bit in (1 << place for place in range(7, 31)):
        if not bit & (JOIN | LEAVE | KILL | MARK):
            odd.send(FIFO | bit, b"g")
            assert odd.client.frame().kind == FIFO | bit & 0x7F800000, hex(bit)


def test_who_sends_the_rest_when_its_head_is_acknowledged_need_not_wait_for_that(odd: Odd) -> None:
    """As programs in Java, whose library leaves Nagle's algorithm on: 44 ms a message."""
    took = []
    for _ in range(25):
        made = odd.made(AGREED, odd.client.own.encode(), data=b"x" * 100)
        began = time.monotonic()
        odd.client.socket.send(made[:80])
        odd.client.socket.send(made[80:])
        assert odd.client.frame().data == b"x" * 100
        took.append(time.monotonic() - began)
    assert sorted(took)[12] < 0.03


def test_what_lies_is_cut_off_in_either_order(world: DaemonWorld) -> None:
    """Counts and lengths below zero, of both orders, and a mark that is neither's."""
    for order in "<>":
        for place, value in ((36, -1), (36, 101), (44, -1), (44, 144_000), (40, 0x01000001)):
            with entered(world.at(DAEMON), "liar") as client:
                made = bytearray(Odd(client, order).made(AGREED, b"g"))
                made[place : place + 4] = struct.pack(f"{order}i", value)
                client.socket.sendall(made)
                assert client.at_end(), (order, place, value)
    with entered(world.at(DAEMON), "both") as client:
        half = request(AGREED, client.own, ("g",))
        client.socket.sendall(half[:3] + b"\0" + half[4:])
        assert client.at_end()
    with entered(world.at(DAEMON), "padded") as client:
        client.socket.sendall(request(AGREED, client.own + "x", ()) + padded("g"))
        assert client.at_end()
