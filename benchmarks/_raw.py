"""Raw limits across processes: plain pyzmq sockets with CURVE, no links, no actors.

The child is the receiving side; it is started by `child` and ends with its parent's pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zmq

from zactor.kernel.transport import sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.keys import ClusterKeys, cluster_keys

BATCH = 256
PIECE = 1_000_000  # a door takes no longer frames


@contextlib.contextmanager
def raw_peer(kind: str) -> Iterator[zmq.Socket[bytes]]:
    """Yield a DEALER connected to a child process that runs `kind`: "sink", "echo" or "swallow"."""
    with tempfile.TemporaryDirectory(prefix="zactor-bench-") as home:
        keys = cluster_keys(Path(home))
        child = subprocess.Popen(
            [sys.executable, __file__, kind, home], stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        assert child.stdout is not None
        endpoint = child.stdout.readline().decode().strip()
        context = sockets.context()
        dealer = sockets.connect_door(context, endpoint, keys.door, keys.server.public)
        try:
            yield dealer
        finally:
            dealer.close(0)
            context.term()
            child.kill()
            child.communicate()


def raw_oneway(count: int) -> float:
    """Messages/s of batches of 256: each message's arguments pickled, unpickled and counted."""
    encoder = msgspec.msgpack.Encoder()
    text = "x" * 60
    with raw_peer("sink") as dealer:
        best = 0.0
        for _ in range(3):
            began = time.perf_counter()
            for number in range(0, count, BATCH):
                batch = [
                    (7, "number", pickle.dumps((number + index, text), 5)) for index in range(BATCH)
                ]
                dealer.send(encoder.encode(batch))
            dealer.send(b"")
            got = int(dealer.recv())
            best = max(best, got / (time.perf_counter() - began))
        return best


def raw_round_trips(count: int) -> list[float]:
    """Seconds of each of `count` round trips of one small message, sorted."""
    payload = pickle.dumps((5,), 5)
    taken = []
    with raw_peer("echo") as dealer:
        for _ in range(count):
            began = time.perf_counter()
            dealer.send(payload)
            dealer.recv()
            taken.append(time.perf_counter() - began)
    return sorted(taken)


def raw_bulk(size: int, count: int) -> float:
    """Bytes/s of messages of `size` bytes in pieces, each answered before the next is sent."""
    piece = bytes(min(size, PIECE))
    with raw_peer("swallow") as dealer:
        began = time.perf_counter()
        for _ in range(count):
            for _ in range(size // len(piece)):
                dealer.send(piece, copy=False)
            dealer.send(b"")
            dealer.recv()
        return size * count / (time.perf_counter() - began)


def _serve(kind: str, keys: ClusterKeys) -> None:
    context = sockets.context()
    authenticator = Authenticator(context)
    authenticator.admit(keys.door.public, "door")
    door, endpoint = sockets.bind_door(context, "127.0.0.1", None, keys.server)
    print(endpoint, flush=True)
    decoder = msgspec.msgpack.Decoder(list[tuple[int, str, bytes]])
    count = 0
    while True:
        routing_id, body = door.recv_multipart()
        if kind == "echo":
            pickle.loads(body)
            door.send_multipart([routing_id, body])
        elif kind == "swallow":
            if not body:
                door.send_multipart([routing_id, b"k"])
        elif body:
            for _target, _action, payload in decoder.decode(body):
                pickle.loads(payload)
                count += 1
        else:
            door.send_multipart([routing_id, str(count).encode()])
            count = 0


if __name__ == "__main__":
    _serve(sys.argv[1], cluster_keys(Path(sys.argv[2])))
    os._exit(0)
