"""The packet switch: carries frames between the hosts' cables while links are lossy or slow.

A process of its own in the warden's network namespace, `python -m zactor.lab.packet_switch SEED
PORT…`; rules come as lines of JSON on its input, each is answered `ok`. One mechanism for every
kernel, seeded and for each direction: netem is a module that many kernels lack. Frames are matched
by the last byte of the hardware addresses that the warden gave the hosts.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import random
import select
import signal
import socket
import struct
import sys
import time

ALL_PROTOCOLS = 3
ETHERNET_BYTES_MAX = 65_536
FRAMES_AT_ONCE = 64
BACKLOG_S = 1.0  # what a slow link keeps waiting at most; more is lost
REORDERED_S = 0.003  # for so long a frame is kept back that others overtake
RECEIVE_BYTES = 8 << 20
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x17, 0x15, 0x1F, 0x24, 0x2C)  # ETHTOOL_S{TXCSUM,RXCSUM,TSO,GSO,GRO}


def hardware_address(number: int) -> str:
    """Return the address of host `number`, from 1 on."""
    return f"02:00:00:00:00:{number:02x}"


def send_plain_frames(port: str) -> None:
    """Have whole frames with their checksums at a port: others can send them on as they are."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", port.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):
                fcntl.ioctl(control, _SIOCETHTOOL, request)


class FrameQueue:
    """Decides which frames go where and when. No socket, no clock."""

    def __init__(self, seed: int) -> None:
        self.rules: dict[tuple[int, int], dict[str, float]] = {}
        self._chance = random.Random(seed)
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._free_at: dict[tuple[int, int], float] = {}

    def take(self, now: float, one: int, other: int, frame: bytes) -> bool:
        """Take a frame; return whether it is to go out at once."""
        rule = self.rules.get((one, other))
        if rule is None:
            return True
        chance = self._chance.random
        if rule["loss"] and chance() < rule["loss"]:
            return False
        at = now + (rule["delay_ms"] + chance() * rule["jitter_ms"]) / 1000
        if rule["rate_kbit"]:
            begins = max(now, self._free_at.get((one, other), 0.0))
            if begins - now > BACKLOG_S:
                return False
            self._free_at[one, other] = begins + len(frame) * 8 / (rule["rate_kbit"] * 1000)
            at += self._free_at[one, other] - now
        if rule["reorder"] and chance() < rule["reorder"]:
            at += REORDERED_S
        copies = 2 if rule["duplicate"] and chance() < rule["duplicate"] else 1
        for _ in range(copies):
            heapq.heappush(self._waiting, (at, next(self._numbers), other, frame))
        return False

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """Return (to whom, frame) of what is to go out by now."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            _, _, other, frame = heapq.heappop(self._waiting)
            found.append((other, frame))
        return found

    def wait_s(self, now: float) -> float | None:
        """Return how long nothing is due; None: until a frame comes."""
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None


class PacketSwitch:
    """The ports and the loop."""

    def __init__(self, seed: int, ports: list[str]) -> None:
        self._queue = FrameQueue(seed)
        self._numbers = [int(port.removeprefix("port").partition("-")[0]) for port in ports]
        self._sockets = {
            number: _open(port) for number, port in zip(self._numbers, ports, strict=True)
        }

    def run(self) -> None:
        """Wait for the first rules, then carry frames until the input ends."""
        print("ready", flush=True)
        if not self._obey():
            return
        by_descriptor = {each.fileno(): number for number, each in self._sockets.items()}
        poll = select.epoll()
        for descriptor in (*by_descriptor, 0):
            poll.register(descriptor, select.EPOLLIN)
        while True:
            # epoll waits whole ms, upwards
            for descriptor, _ in poll.poll(self._queue.wait_s(time.monotonic())):
                if descriptor:
                    self._forward(by_descriptor[descriptor])
                elif not self._obey():
                    return
            for other, frame in self._queue.due(time.monotonic()):
                self._send(other, frame)

    def _obey(self) -> bool:
        line = sys.stdin.readline()
        if line:
            if not self._queue.rules:  # until now the bridge carried what came
                self._forget_frames()
            self._queue.rules = {(one, other): rule for one, other, rule in json.loads(line)}
            print("ok", flush=True)
        return bool(line)

    def _forget_frames(self) -> None:
        for each in self._sockets.values():
            with contextlib.suppress(OSError):
                while True:
                    each.recv(ETHERNET_BYTES_MAX)

    def _forward(self, one: int) -> None:
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = self._sockets[one].recv(ETHERNET_BYTES_MAX)
            except OSError:
                return
            known = frame[:5] == b"\x02\0\0\0\0" and frame[5] in self._sockets
            for other in [frame[5]] if known else self._numbers:
                if other != one and self._queue.take(time.monotonic(), one, other, frame):
                    self._send(other, frame)

    def _send(self, other: int, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # a full queue loses frames, as a switch does
            self._sockets[other].send(frame)


def _open(port: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    opened.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    opened.bind((port, 0))
    opened.setblocking(False)
    return opened


def main() -> None:
    """Run as `python -m zactor.lab.packet_switch SEED PORT…`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    PacketSwitch(int(sys.argv[1]), sys.argv[2:]).run()


if __name__ == "__main__":
    main()
