"""The port under load and under fire, with processes: short in `slow`, long in `soak`."""

from __future__ import annotations

import contextlib
import random
import struct
import threading
import time
from pathlib import Path

import pytest
from deadlines import join
from raw_spread import (
    AGREED,
    FIFO,
    JOIN,
    KILL,
    LEAVE,
    RELIABLE,
    SAFE,
    RawSpread,
    entered,
    padded,
    request,
)
from slowness import Slowness
from test_port_of_node import start

from zactor.lab.lab import Lab

pytestmark = pytest.mark.limit(900)
SENDERS = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    "count",
    [pytest.param(4_000, marks=pytest.mark.slow), pytest.param(100_000, marks=pytest.mark.soak)],
)
def test_a_hundred_thousand_messages_in_one_order_with_a_daemon_killed(
    tmp_path: Path, count: int
) -> None:
    """AGREED and SAFE of 100 bytes from three daemons; one is killed in the middle."""
    lab = Lab(tmp_path)
    try:
        at = start(lab, "n1", "n2", "n3")
        with entered(at["n1"], "a") as a, entered(at["n1"], "b") as b, entered(at["n2"], "c") as c:
            d = RawSpread(at["n3"])
            d.enter("d")
            clients = dict(zip(SENDERS, (a, b, c, d), strict=True))
            for client in clients.values():
                client.send(JOIN, "g")
            for client in clients.values():
                while len(client.membership().groups) < len(clients):
                    pass
            each = count // len(clients)
            stories: dict[str, list[object]] = {}
            threads = [
                threading.Thread(target=_send, args=(client, each)) for client in clients.values()
            ]
            threads += [
                threading.Thread(target=_read, args=(clients[name], stories, name, each))
                for name in SENDERS
            ]
            for thread in threads:
                thread.start()
            end = time.monotonic() + 300
            while len(stories.get("d", ())) < each:  # it is in the middle of it
                time.sleep(0.01)
                assert time.monotonic() < end
            lab.kill("n3")
            join(threads[3], threads[7])
            for thread in threads:
                thread.join(600)
                assert not thread.is_alive()
            d.close()
            assert stories["a"] == stories["b"], "two at one daemon"
            assert stories["a"] == stories["c"], "and at another: signal and memberships too"
            said = [what for what in stories["a"] if isinstance(what, tuple)]
            assert len(said) == len(set(said)), "each once"
            for name in ("a", "b", "c"):
                own = [number for who, number in said if who == name]
                assert own == list(range(each)), "all of those that live, in their order"
            theirs = [number for who, number in said if who == "d"]
            assert theirs == list(range(len(theirs))), "and of the dead one without a gap"
    finally:
        lab.close()


def _send(client: RawSpread, count: int) -> None:
    services = (AGREED, SAFE)
    with contextlib.suppress(OSError):  # its daemon is killed
        for number in range(count):
            data = struct.pack("<i", number).ljust(100, b".")
            client.socket.sendall(request(services[number % 2], client.own, ("g",), data))


def _read(client: RawSpread, stories: dict[str, list[object]], name: str, each: int) -> None:
    """Note all that a client gets, until it has the last of a, b and c."""
    story = stories.setdefault(name, [])
    left = {"a", "b", "c"}
    with contextlib.suppress(AssertionError, OSError):
        while left:
            frame = client.frame()
            if not frame.kind & 0x3F:
                story.append(f"{frame.kind:#x} {frame.groups} {frame.data!r}")
                continue
            who = frame.name[1]
            (number,) = struct.unpack_from("<i", frame.data)
            story.append((who, number))
            if number == each - 1:
                left.discard(who)


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(5, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.soak)],
)
def test_honest_programs_are_served_beside_rubbish(
    tmp_path: Path, seconds: int, slowness: Slowness
) -> None:
    """Fuzzed handshakes and frames of both orders; the honest one's messages come back soon."""
    lab = Lab(tmp_path)
    try:
        (at,) = start(lab, "n1").values()
        stop = threading.Event()
        rude = [threading.Thread(target=_be_rude, args=(at, seed, stop)) for seed in range(2)]
        with entered(at, "honest") as honest:
            honest.send(JOIN, "mine")
            honest.membership()
            for thread in rude:
                thread.start()
            took = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.monotonic()
                honest.send(AGREED, "mine", data=b"x" * 100)
                assert honest.data().data == b"x" * 100
                took.append(time.monotonic() - began)
                stop.wait(0.002)
            stop.set()
            join(*rude)
        took.sort()
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(f"{len(took)} messages, p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms")
        assert slowness.quiet_s(p99) < 0.05
    finally:
        lab.close()


def _be_rude(at: tuple[str, int], seed: int, stop: threading.Event) -> None:
    chance = random.Random(seed)
    kinds = (JOIN, LEAVE, KILL, RELIABLE, FIFO, AGREED, SAFE)
    while not stop.is_set():
        rude = RawSpread(at)
        rude.socket.settimeout(2)
        with contextlib.closing(rude), contextlib.suppress(OSError, AssertionError):
            if chance.random() < 0.3:
                rude.socket.sendall(chance.randbytes(chance.randrange(200)))
                rude.read(1)
                continue
            own = rude.enter()
            made = bytearray()
            for _ in range(chance.randrange(1, 6)):
                kind, groups, data = chance.choice(kinds), chance.randrange(4), chance.randbytes(40)
                if chance.random() < 0.3:
                    made += struct.pack(">I32siIi", kind, own.encode(), groups, 0, len(data))
                    made += padded("g") * groups + data
                else:
                    made += request(kind, own, ("g",) * groups, data)
            for _ in range(chance.randrange(5)):
                made[chance.randrange(len(made))] = chance.randrange(256)
            rude.socket.sendall(made[: chance.randrange(1, len(made) + 1)])
