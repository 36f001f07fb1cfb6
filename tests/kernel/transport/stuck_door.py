"""Sends frames to a door that reads none for some time, hangs up, then reads: run as a process.

python stuck_door.py HOME MESSAGES_HELD
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import zmq

from zactor.kernel.limits import STREAM_HEARTBEAT_MS
from zactor.kernel.transport import sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.keys import cluster_keys, node_keys

COUNT = 1_000
STUCK_S = 3 * STREAM_HEARTBEAT_MS / 1000

home = Path(sys.argv[1])
held = int(sys.argv[2])
keys, pair = cluster_keys(home), node_keys(home / "n1")
theirs, ours = sockets.context(), sockets.context()
authenticator = Authenticator(ours)
authenticator.admit(pair.public, "n1")
door, endpoint = sockets.bind_door(ours, "127.0.0.1", 0, keys.server)
if held:
    door.set(zmq.RCVHWM, held)
    door.unbind(endpoint)
    door.bind(endpoint)
link = sockets.connect_link(theirs, endpoint, pair, keys.server.public)
for _ in range(COUNT):
    while not link.poll(1_000, zmq.POLLOUT):
        pass
    link.send(b"x", zmq.NOBLOCK)
time.sleep(0.5)  # what the link's queue still holds leaves
link.close(0)
time.sleep(STUCK_S)  # the door's side beats on a connection that is gone, and nobody reads
read = 0
while door.poll(200):
    door.recv_multipart()
    read += 1
print("read", read)
door.close(0)
authenticator.close()
theirs.term()
ours.term()
