"""Programs of Spread at a node: real sockets, real nodes; bytes as Spread's programs send them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_spread import (
    AGREED,
    FIFO,
    JOIN,
    KILL,
    LEAVE,
    RELIABLE,
    SAFE,
    SELF_DISCARD,
    RawSpread,
    entered,
    padded,
    request,
)
from spread_world import solo_port


@pytest.fixture
def port() -> Iterator[tuple[str, int]]:
    """The address of a node's port."""
    with solo_port() as at:
        yield at


def test_the_whole_exchange_of_a_program_byte_for_byte(port: tuple[str, int]) -> None:
    """SPREAD's spuser: joins, sends a SAFE message to two groups, leaves, goes."""
    client = RawSpread(port)
    client.socket.sendall(b"\x04\x04\x00\x01\x05alice")
    assert client.read(6) == b"\x05NULL "
    client.socket.sendall(b"NULL" + bytes(86))
    assert client.read(14) == b"\x01\x04\x04\x00\x09#alice#n1"
    alice, room = padded("#alice#n1"), padded("room")
    one, hint = b"\1\0\0\0", b"\x80\0\0\x80"
    client.socket.sendall(b"\x80\0\1\x80" + alice + one + hint + bytes(4) + room)
    got = client.read(48 + 32 + 56)
    assert got[:80] == b"\x80\x11\0\x80" + room + one + hint + b"\x38\0\0\0" + alice
    assert got[92:] == one + bytes(4) + one + alice  # behind the group id
    sent = b"\xa0\0\0\x80" + alice + b"\2\0\0\0" + b"\x80\1\0\x80" + b"\6\0\0\0"
    sent += room + padded("other") + b"hello\n"
    client.socket.sendall(sent)
    assert client.read(len(sent)) == sent
    client.socket.sendall(b"\x80\0\2\x80" + alice + one + hint + bytes(4) + room)
    assert client.read(48) == b"\x80\2\0\x80" + room + bytes(4) + hint + bytes(4)
    client.socket.sendall(b"\x80\0\4\x80" + alice + one + hint + bytes(4) + alice)
    assert client.at_end()
    client.close()


@pytest.mark.parametrize(
    ("hello", "answer"),
    [
        (b"\3\0\0\1\1a", b"\xf9"),
        (b"\4\4\0\1\x0b" + b"a" * 11, b"\xfb"),
        (b"\4\4\0\1\xff", b"\xfb"),
        (b"\4\4\0\1\3a b", b"\xfb"),
        (b"\4\4\0\1\2#a", b"\xfb"),
        (b"\4\4\0\1\5taken", b"\xfa"),
        (b"\4\4\0\1\7zactor.", b"\xfb"),
    ],
)
def test_who_is_refused_gets_one_byte(port: tuple[str, int], hello: bytes, answer: bytes) -> None:
    with entered(port, "taken"):
        client = RawSpread(port)
        client.socket.sendall(hello)
        assert client.read(2) == answer
        client.close()


@pytest.mark.parametrize("chosen", [b"", b"PWORD", b"IP", b"NULL".ljust(30, b"\0") + b"IP"])
def test_a_method_that_is_not_offered_is_refused(port: tuple[str, int], chosen: bytes) -> None:
    client = RawSpread(port)
    client.hello("a")
    assert client.read(6) == b"\5NULL "
    client.socket.sendall(chosen.ljust(90, b"\0"))
    assert client.read(2) == b"\xf7"
    client.close()


@pytest.mark.parametrize(
    ("version", "result"),
    [
        (b"\3\x0d", b"\1\4\4\x05#a#n1"),
        (b"\3\x0e", b"\1\4\4\x05#a#n1"),
        (b"\3\x0f\0", b"\1\4\4\0\x05#a#n1"),
        (b"\5\0\1", b"\5NULL "),
    ],
)
def test_older_and_newer_libraries_get_what_they_read(
    port: tuple[str, int], version: bytes, result: bytes
) -> None:
    client = RawSpread(port)
    client.socket.sendall(version + b"\1\1a")
    assert client.read(len(result)) == result
    client.close()


def test_a_handshake_may_come_byte_by_byte_and_requests_right_behind_it(
    port: tuple[str, int],
) -> None:
    client = RawSpread(port)
    whole = b"\4\4\0\1\1a" + b"NULL".ljust(90, b"\0") + request(JOIN, "#a#n1", ("g",))
    for byte in whole[:-1]:
        client.socket.sendall(bytes((byte,)))
    client.socket.sendall(whole[-1:])
    assert client.read(6) == b"\5NULL "
    assert client.read(10) == b"\1\4\4\0\5#a#n1"
    assert client.membership().groups == ("#a#n1",)
    client.close()


def test_without_a_name_one_is_made_up(port: tuple[str, int]) -> None:
    with entered(port) as one, entered(port) as two:
        assert one.own != two.own
        for own in (one.own, two.own):
            assert re.fullmatch(r"#r\d{1,4}-\d+#n1", own)


def test_a_name_is_free_as_soon_as_its_program_has_left(port: tuple[str, int]) -> None:
    for _ in range(5):
        with entered(port, "again") as client:
            client.send(JOIN, "g")
            assert client.membership().cause == "join"
            client.send(KILL, client.own)
            assert client.at_end()


def test_the_unix_socket_speaks_the_same(port: tuple[str, int]) -> None:
    path = Path(f"/tmp/{port[1]}")
    with entered(str(path), "u") as unix, entered(port, "t") as tcp:
        assert unix.own == "#u#n1"
        tcp.send(JOIN, "g")
        unix.send(JOIN, "g")
        assert tcp.membership().groups == ("#t#n1",)
        assert tcp.membership().groups == unix.membership().groups == ("#t#n1", "#u#n1")
    assert path.stat().st_mode & 0o777 == 0o666


# -- messages --------------------------------------------------------------------------------
@pytest.mark.parametrize("service", [1, 2, 4, 8, 16, 32])
def test_what_is_delivered_is_what_was_sent(port: tuple[str, int], service: int) -> None:
    with entered(port, "a") as a, entered(port, "b", flags=0) as b:
        b.send(JOIN, "g")
        a.send(JOIN, "g")
        a.send(service, "g", "h", "#b#n1", data=b"x" * 1_000, mess_type=-2)
        sent = request(service, a.own, ("g", "h", "#b#n1"), b"x" * 1_000, -2)
        assert b.read(len(sent)) == sent, "no membership comes to who wants none"
        assert a.data().data == b"x" * 1_000
        a.send(service | SELF_DISCARD, "g", data=b"2")
        assert b.data().kind == service | SELF_DISCARD
        a.send(service, "g", data=b"3")
        assert a.data().data == b"3", "its own message with SELF_DISCARD doesn't come back"


def test_a_big_endian_program_and_its_mark(port: tuple[str, int]) -> None:
    with entered(port, "big") as big, entered(port, "a") as a:
        a.send(JOIN, "g")
        a.membership()
        head = struct.pack(">I32siIi", AGREED, b"#big#n1", 1, 0x0102 << 8, 2)
        big.socket.sendall(head + padded("g") + b"hi")
        frame = a.data()
        assert (frame.kind, frame.hint, frame.data) == (AGREED, b"\0\1\2\0", b"hi")


def test_a_flush_library_s_flag_travels(port: tuple[str, int]) -> None:
    with entered(port, "a") as a:
        a.send(JOIN, "g")
        sent = a.send(FIFO | 0x40000000, "g", data=b"x" * 32, mess_type=-32766)
        a.membership()
        assert a.read(len(sent)) == sent


def test_a_hundred_destinations_and_none_and_no_data(port: tuple[str, int]) -> None:
    with entered(port, "a") as a:
        a.send(JOIN, "g99")
        a.membership()
        a.send(AGREED, data=b"to nobody")
        a.send(AGREED, *(f"g{number}" for number in range(100)))
        frame = a.data()
        assert (len(frame.groups), frame.groups[99], frame.data) == (100, "g99", b"")


def test_the_longest_message_comes_back_whole(port: tuple[str, int]) -> None:
    data = os.urandom(144_000 - 48 - 32)
    with entered(port, "a") as a:
        a.send(JOIN, "g")
        a.membership()
        a.send(SAFE, "g", data=data)
        assert a.data().data == data


def test_two_hundred_long_messages_before_the_first_is_read(port: tuple[str, int]) -> None:
    with entered(port, "a") as a:
        a.send(JOIN, "g")
        for number in range(200):
            a.send(RELIABLE, "g", data=number.to_bytes(4, "little") + bytes(100_000))
        a.membership()
        for number in range(200):
            assert int.from_bytes(a.data().data[:4], "little") == number


def test_joining_twice_and_leaving_what_one_is_not_in_is_silent(port: tuple[str, int]) -> None:
    with entered(port, "a") as a:
        for kind in (JOIN, JOIN, LEAVE, LEAVE, JOIN):
            a.send(kind, "g")
        assert a.membership().cause == "join"
        assert a.frame().kind == 0x200, "it has left, by its own wish"
        assert a.membership().cause == "join"


def test_a_join_may_be_marked_for_no_copy(port: tuple[str, int]) -> None:
    with entered(port, "a") as a:
        a.send(JOIN | SELF_DISCARD, "g")
        assert a.membership().cause == "join"


# -- memberships -----------------------------------------------------------------------------
def test_who_joins_leaves_and_dies_is_told_to_all(port: tuple[str, int]) -> None:
    with entered(port, "a") as a, entered(port, "b") as b:
        c = RawSpread(port)
        c.enter("c")
        ids = []
        for client in (a, b, c):
            client.send(JOIN, "g")
            change = a.membership()
            assert (change.cause, change.vs_sets) == ("join", (((client.own,),), 0))
            ids.append(change.id)
        assert change.groups == ("#a#n1", "#b#n1", "#c#n1")
        assert [b.membership().id for _ in range(2)] == ids[1:]
        assert c.membership() == change, "the same bytes for all"
        c.close()
        gone = a.membership()
        assert (gone.cause, gone.groups) == ("disconnect", ("#a#n1", "#b#n1"))
        assert gone.vs_sets == ((("#c#n1",),), 0)
        assert b.membership() == gone
        b.send(LEAVE, "g")
        left = a.membership()
        assert (left.cause, left.groups) == ("leave", ("#a#n1",))
        indices = [struct.unpack("<iii", id) for id in (*ids, gone.id, left.id)]
        assert indices == [(*indices[0][:2], number) for number in range(1, 6)]


# -- bad input -------------------------------------------------------------------------------
OWN = "#a#n1"


def _with(made: bytes, at: int, value: int) -> bytes:
    return made[:at] + struct.pack("<i", value) + made[at + 4 :]


ILLEGAL = {
    "no service": request(0, OWN, ("g",)),
    "two services": request(SAFE | AGREED, OWN, ("g",)),
    "a join with a service": request(JOIN | AGREED, OWN, ("g",)),
    "of another": request(AGREED, "#b#n1", ("g",)),
    "101 groups": request(AGREED, OWN, ("g",) * 101),
    "-1 groups": _with(request(AGREED, OWN), 36, -1),
    "bits in its hint": _with(request(AGREED, OWN), 40, 1),
    "-1 bytes": _with(request(AGREED, OWN), 44, -1),
    "too long": _with(request(AGREED, OWN, ("g",)), 44, 144_000 - 48 - 31),
    "no order": b"\x80\0\0\0" + request(AGREED, OWN)[4:],
    "joins nothing": request(JOIN, OWN),
    "joins an empty name": request(JOIN, OWN, ("",)),
    "joins a private group": request(JOIN, OWN, ("#a#n1",)),
    "joins what is zactor's": request(JOIN, OWN, ("zactor.kb",)),
    "a name without an end": request(JOIN, OWN, ("x" * 32,)),
}


@pytest.mark.parametrize("why", ILLEGAL)
def test_what_is_no_request_costs_its_sender_the_connection(
    port: tuple[str, int], why: str
) -> None:
    with entered(port, "honest") as honest, entered(port, "a") as a:
        honest.send(JOIN, "g")
        honest.membership()
        a.send(JOIN, "g")
        assert a.membership().cause == honest.membership().cause == "join"
        a.socket.sendall(ILLEGAL[why])
        assert a.at_end()
        assert honest.membership().cause == "disconnect"
        honest.send(SAFE, "g", data=b"still there")
        assert honest.data().data == b"still there"


def test_garbage_and_half_frames_harm_nobody(port: tuple[str, int]) -> None:
    with entered(port, "honest") as honest:
        honest.send(JOIN, "g")
        honest.membership()
        for rubbish in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(3), b"\4\4\0", b"\4\4\0\1\5al"):
            client = RawSpread(port)
            client.socket.sendall(rubbish)
            client.close()
        with entered(port, "half") as half:
            half.socket.sendall(request(AGREED, half.own, ("g",), bytes(1_000))[:500])
        with entered(port, "stop") as stop:
            stop.send(AGREED, "g", data=b"the last")
            stop.socket.shutdown(socket.SHUT_WR)
            assert honest.data().data == b"the last"
            assert stop.at_end()


def test_many_silent_connections_hold_up_nobody(port: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(contextlib.closing(socket.create_connection(port, 20)))
        with entered(port, "a") as a:
            a.send(JOIN, "g")
            assert a.membership().cause == "join"


def test_who_never_reads_makes_its_senders_wait_and_nobody_else(port: tuple[str, int]) -> None:
    """And nobody is cut off for it: it gets all, in order, as soon as it reads."""
    count = 400
    with entered(port, "sleeper") as sleeper, entered(port, "sender") as sender:
        sleeper.send(JOIN, "g")
        assert sleeper.membership().cause == "join"
        whole = b"".join(
            request(AGREED, sender.own, ("g",), number.to_bytes(4, "little") + bytes(100_000))
            for number in range(count)
        )
        sent = threading.Thread(target=sender.socket.sendall, args=(whole,))
        sent.start()
        with entered(port, "a") as a, entered(port, "b") as b:
            a.send(JOIN, "h")
            a.membership()
            for number in range(200):
                b.send(SAFE, "h", data=b"%d" % number)
                assert a.data().data == b"%d" % number, "others are served"
        for number in range(count):
            assert int.from_bytes(sleeper.data().data[:4], "little") == number
        sent.join(30)
        assert not sent.is_alive()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_bytes_come_honest_programs_are_served(port: tuple[str, int], seed: int) -> None:
    """Frames of which a few bytes were changed, and cut anywhere; both orders."""
    chance = random.Random(seed)
    with entered(port, "honest") as honest:
        honest.send(JOIN, "g")
        honest.membership()
        for _ in range(30):
            rude = RawSpread(port)
            rude.socket.settimeout(1)
            own = rude.enter()
            kinds = (JOIN, LEAVE, KILL, RELIABLE, FIFO, AGREED, SAFE)
            made = bytearray(
                b"".join(
                    request(chance.choice(kinds), own, ("g",) * chance.randrange(3), bytes(9))
                    for _ in range(4)
                )
            )
            for _ in range(chance.randrange(4)):
                made[chance.randrange(len(made))] = chance.randrange(256)
            with contextlib.suppress(OSError):
                rude.socket.sendall(made[: chance.randrange(len(made))])
            rude.close()
        honest.send(SAFE, "h", honest.own, data=b"done")
        while (frame := honest.data()).data != b"done":
            assert frame.groups[0] == "g"
