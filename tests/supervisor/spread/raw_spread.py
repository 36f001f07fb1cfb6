"""A client of Spread's port by hand: bytes over a socket, and frames taken apart by offsets."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

PATIENCE_S = 20.0
MARK = 0x80000080
JOIN, LEAVE, KILL = 0x10000, 0x20000, 0x40000
RELIABLE, FIFO, AGREED, SAFE, SELF_DISCARD = 2, 4, 0x10, 0x20, 0x40
CAUSES = {0x100: "join", 0x200: "leave", 0x400: "disconnect", 0x800: "network"}


class Frame(NamedTuple):
    """One frame as it came: numbers in their order, names without their ends."""

    kind: int  # without the mark
    name: str
    groups: tuple[str, ...]
    hint: bytes
    data: bytes

    @property
    def cause(self) -> str:
        """Why a regular membership came."""
        return CAUSES[self.kind & ~0x1000]

    @property
    def id(self) -> bytes:
        """The membership's name."""
        return self.data[:12]

    @property
    def vs_sets(self) -> tuple[tuple[tuple[str, ...], ...], int]:
        """The sets of a membership, and which is the receiver's own."""
        count, offset = struct.unpack_from("<ii", self.data, 12)
        sets, starts, at = [], [], 20
        for _ in range(count):
            (size,) = struct.unpack_from("<i", self.data, at)
            names = self.data[at + 4 : at + 4 + 32 * size]
            sets.append(tuple(text(names[i : i + 32]) for i in range(0, len(names), 32)))
            starts.append(at - 20)
            at += 4 + 32 * size
        assert at == len(self.data), "there is nothing behind the last set"
        return tuple(sets), starts.index(offset)


def text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode()


def padded(name: str) -> bytes:
    return name.encode().ljust(32, b"\0")


def request(
    kind: int, own: str, groups: tuple[str, ...] = (), data: bytes = b"", mess_type: int = 0
) -> bytes:
    """Return a request of a little-endian machine."""
    hint = (mess_type & 0xFFFF) << 8 | MARK
    head = struct.pack("<I32siIi", kind | MARK, own.encode(), len(groups), hint, len(data))
    return head + b"".join(map(padded, groups)) + data


class RawSpread:
    """One connection."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.own = ""

    def read(self, count: int) -> bytes:
        """Return so many bytes; fewer only at the end of the connection."""
        found = bytearray()
        while len(found) < count:
            try:
                part = self.socket.recv(count - len(found))
            except ConnectionResetError:
                break
            if not part:
                break
            found += part
        return bytes(found)

    def at_end(self) -> bool:
        """Whether the connection ends without a byte more."""
        return self.read(1) == b""

    def hello(self, name: str = "", version: bytes = b"\4\4\0", flags: int = 1) -> None:
        self.socket.sendall(version + bytes((flags, len(name))) + name.encode())

    def enter(self, name: str = "", flags: int = 1) -> str:
        """Shake hands; return the private group."""
        self.hello(name, flags=flags)
        assert self.read(6) == b"\5NULL "
        self.socket.sendall(b"NULL".ljust(90, b"\0"))
        head = self.read(5)
        assert head[:4] == b"\1\4\4\0"
        self.own = self.read(head[4]).decode()
        return self.own

    def send(self, kind: int, *groups: str, data: bytes = b"", mess_type: int = 0) -> bytes:
        made = request(kind, self.own, groups, data, mess_type)
        self.socket.sendall(made)
        return made

    def frame(self) -> Frame:
        """Return the next."""
        head = self.read(48)
        assert len(head) == 48, "the connection goes on"
        kind, name, count, hint, length = struct.unpack("<I32si4si", head)
        assert kind & MARK == MARK
        names = self.read(32 * count)
        groups = tuple(text(names[i : i + 32]) for i in range(0, len(names), 32))
        return Frame(kind & ~MARK, text(name), groups, hint, self.read(length))

    def data(self) -> Frame:
        """Return the next that is a message, whatever memberships come before it."""
        while True:
            frame = self.frame()
            if frame.kind & 0x3F:
                return frame

    def membership(self) -> Frame:
        """Return the next, which is a regular membership."""
        frame = self.frame()
        assert frame.kind & 0x1000, frame
        return frame

    def close(self) -> None:
        self.socket.close()


@contextlib.contextmanager
def entered(address: tuple[str, int] | str, name: str = "", flags: int = 1) -> Iterator[RawSpread]:
    """Yield a client that has shaken hands."""
    client = RawSpread(address)
    try:
        client.enter(name, flags)
        yield client
    finally:
        client.close()


def listens(at: tuple[str, int] | str) -> bool:
    """Whether somebody answers there."""
    with socket.socket(socket.AF_UNIX if isinstance(at, str) else socket.AF_INET) as probe:
        return probe.connect_ex(at) == 0
