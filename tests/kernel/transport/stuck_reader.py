"""Publishes heartbeats to a subscriber that reads none for some time, then all: run as a process.

python stuck_reader.py HOME MESSAGES_HELD
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import zmq

from zactor.kernel.limits import ZMTP_SILENCE_MS
from zactor.kernel.transport import sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.keys import cluster_keys, node_keys

PERIOD_S = 0.002
STUCK_S = 3 * ZMTP_SILENCE_MS / 1000

home = Path(sys.argv[1])
held = int(sys.argv[2])
keys, pair = cluster_keys(home), node_keys(home / "n1")
theirs, ours = sockets.context(), sockets.context()
authenticator = Authenticator(theirs)
authenticator.admit(pair.public, "n1")
publisher, endpoint = sockets.bind_heartbeats(theirs, "127.0.0.1", "tcp://127.0.0.1:1", keys.server)
subscriber = sockets.connect_heartbeats(ours, pair, keys.server.public)
if held:
    subscriber.set(zmq.RCVHWM, held)
sockets.connect_to(subscriber, endpoint)
while not subscriber.poll(1):  # until the first gets through
    publisher.send(b"x")
until = time.monotonic() + STUCK_S
while time.monotonic() < until:  # our own loop is stuck, the peer's isn't
    publisher.send(b"x")
    time.sleep(PERIOD_S)
read = 0
while subscriber.poll(200):
    subscriber.recv()
    read += 1
print("read", read)
for socket in (subscriber, publisher):
    socket.close(0)
authenticator.close()
theirs.term()
ours.term()
