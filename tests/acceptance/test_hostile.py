"""Strangers at a real node's door: it serves on, doesn't grow, counts, and unpickles nothing."""

from __future__ import annotations

import os
import pickle
import random
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import zmq
from deadlines import DEADLINE_S

from zactor import connect
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Ask, Reply, Signal
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.messages.knowledge import KbBehind
from zactor.kernel.messages.operations import Inspect, Request, Subject
from zactor.kernel.messages.views import ViewId
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import KeyPair, cluster_keys
from zactor.kernel.wire import codec
from zactor.lab.lab import Lab, until

GROWTH_KB_MAX = 32 << 10
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15) + b"\x00" + bytes(31)


def rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def attack(address: str, data: bytes) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 5) as stranger:
        stranger.settimeout(5)
        try:
            stranger.sendall(data)
            while stranger.recv(4_096):
                pass
        except OSError:
            pass  # it cut us off: that is its right


def still_serves(lab: Lab) -> dict[str, dict[str, Any]]:
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        return {str(row["check"]): row for row in m.doctor()}


def test_garbage_before_authentication_is_cut_off_counted_and_costs_no_memory(lab: Lab) -> None:
    lab.start("n1")
    address = lab.endpoint("n1")
    still_serves(lab)
    before = rss_kb(lab.pid("n1"))
    chance = random.Random(20)
    attack(address, chance.randbytes(10_000))
    attack(address, GREETING[:17])
    attack(address, GREETING + b"\x02" + struct.pack(">Q", 1 << 30) + chance.randbytes(1_000_000))
    attack(address, GREETING + b"\x02" + struct.pack(">Q", (1 << 63) - 1) + b"x" * 1_000)
    for _ in range(200):
        fuzzed = bytearray(GREETING + b"\x04\xc8\x05HELLO" + chance.randbytes(194))
        for _ in range(chance.randrange(1, 6)):
            fuzzed[chance.randrange(len(fuzzed))] = chance.randrange(256)
        attack(address, bytes(fuzzed))
    checks = still_serves(lab)
    assert not checks["refused"]["ok"]
    assert "failed" in checks["refused"]["detail"]
    assert rss_kb(lab.pid("n1")) - before < GROWTH_KB_MAX
    refused = [line for line in lab.output("n1").splitlines() if "handshake_refused" in line]
    assert 1 <= len(refused) <= 5, "one line for each burst"


def test_a_wrong_key_gets_nothing_and_is_counted(lab: Lab) -> None:
    lab.start("n1")
    keys = cluster_keys(lab.home)
    public, secret = zmq.curve_keypair()
    context = sockets.context()
    stranger = sockets.connect_door(
        context,
        f"tcp://{lab.endpoint('n1')}",
        KeyPair(public=public, secret=secret),
        keys.server.public,
    )
    try:
        stranger.send_multipart(codec.encode_request(Request(1, Inspect(Subject.NODES, ""))))
        until("it is counted", lambda: "keys_refused 1" in _refused(lab))
        assert not stranger.poll(300), "no answer"
    finally:
        stranger.close(0)
        context.term()


def _refused(lab: Lab) -> str:
    return str(still_serves(lab)["refused"]["detail"])


@pytest.mark.parametrize("known", [False, True], ids=["stranger", "client"])
def test_no_payload_is_unpickled_for_who_is_no_node(lab: Lab, tmp_path: Path, known: bool) -> None:
    """A frame of a link needs a node's key; neither a stranger's nor a client's will do."""
    trap = tmp_path / "sprung"
    payload = pickle.dumps(Bomb(trap), 5)
    lab.start("n1")
    keys = cluster_keys(lab.home)
    public, secret = zmq.curve_keypair()
    pair = keys.door if known else KeyPair(public=public, secret=secret)
    context = sockets.context()
    peer = sockets.connect_door(context, f"tcp://{lab.endpoint('n1')}", pair, keys.server.public)
    try:
        items = (
            Signal((1,), 1, 1, "inc", payload),
            Ask(1, 1, 1, "inc", payload),
            Reply(1, payload),
            KbBehind(ViewId(1, NodeId("x", 1)), 0, (0, 0), payload),
        )
        frame = LinkFrame(1, 1, 1, 0, 16_384, False, False, items)
        peer.send_multipart(codec.encode_frame(frame))
        peer.send(payload)
        if known:
            until("it is counted", lambda: "strangers 1" in _frames(lab))
        else:
            until("it is counted", lambda: "keys_refused 1" in _refused(lab))
    finally:
        peer.close(0)
        context.term()
    assert not trap.exists()
    pickle.loads(payload)
    assert trap.is_dir(), "the bomb works: the test could fail"


def _frames(lab: Lab) -> str:
    return str(still_serves(lab)["frames"]["detail"])
