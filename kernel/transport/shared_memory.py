"""Shared memory: long buffers for a node of the same machine and user are copied once, not sent.

The sender copies them into a *slot*, a file in memory without a name, and its item says where they
lie. The receiver maps the slot, so that what it writes stays its own, and tells when nothing of it
is in use any more; then the sender fills it anew. A slot has no name and no owner but the processes
that hold it: whoever is killed leaves nothing behind.

Whether a node can read our memory isn't guessed, it is tried: with the first long buffer, which
still is sent, a peer is told of a first slot (ShareMemory); what it reads there (MemoryRead) is the
proof.
The rules a reader must not break: a slot is filled again only after whoever had it said so, for
that lending; a slot is read only if it is one, and if its key is the one that the link told.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Sequence

import msgspec

from zactor.kernel import forks, limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.actors import InMemory, MemoryFreed, MemoryRead, ShareMemory
from zactor.kernel.transport.memory_pool import (
    HEAD_BYTES,
    KEY_BYTES,
    NAME,
    SEALS,
    MemoryPool,
    next_place,
    room_of,
)
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.item_size import bytes_of
from zactor.kernel.wire.undecodable import Undecodable

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

MEMORY_ITEMS = frozenset((InMemory, ShareMemory, MemoryRead, MemoryFreed))
"""Types of what two nodes say of memory that they share."""


class _OpenSlot:
    """A slot of a peer's that is open here."""

    __slots__ = ("fd", "key", "used")

    def __init__(self, key: bytes, fd: int) -> None:
        self.key = key
        self.fd = fd  # ours
        self.used = 0.0  # time.monotonic()


class SharedMemory:
    """What one node and one peer of its machine have of each other's memory.

    Threads: `lend` by any, the rest in the kernel's loop.
    """

    def __init__(self, pool: MemoryPool, put: Callable[[object], None]) -> None:
        """Args: put: sends an item to the peer; by any thread."""
        self._pool = pool
        self._put = put
        self._proof = b""  # what the peer has to read
        self._is_asked = threading.Lock()  # held as soon as a slot was offered
        self._pid = 0  # of the peer's process
        self._mapped: dict[int, _OpenSlot] = {}  # by the peer's descriptor
        self.may_lend = False
        self._is_closed = False

    def sift(self, items: Sequence[object]) -> list[object]:
        """Take what the peer says of memory; return the rest, with all its buffers."""
        rest: list[object] = []
        for item in items:
            match item:
                case InMemory():
                    rest.append(self._whole(item))
                case ShareMemory():
                    self._shared(item)
                case MemoryRead():
                    is_right = secrets.compare_digest(item.proof, self._proof)
                    self.may_lend = is_right and bool(self._proof)
                    self._proof = b""
                case MemoryFreed():
                    self._pool.returned(self, item.fd, item.lending, item.again)
                case _:
                    rest.append(item)
        return rest

    # -- ours --------------------------------------------------------------------------------
    def _offer(self) -> None:
        """Have the peer show, once, whether it can read our memory."""
        if not self._is_asked.acquire(blocking=False):
            return
        self._proof = secrets.token_bytes(KEY_BYTES)
        lent = self._pool.lend(self, [self._proof])
        if lent is None:
            self._is_asked.release()  # another time
            return
        slot, number = lent
        self._put(ShareMemory(os.getpid(), slot.fd, slot.key, number))

    def lend(self, bulky: Bulky) -> Bulky | InMemory:
        """Return what travels in the place of `bulky`: itself, where there is no room."""
        item, buffers, payload = bulky.item, bulky.buffers, bulky.item.payload
        head_first = isinstance(payload, bytes) and len(payload) >= limits.SHARED_BYTES_MIN
        if isinstance(payload, bytes) and head_first:
            buffers = (payload, *buffers)
            item = msgspec.structs.replace(item, payload=b"")
        sizes = tuple(map(bytes_of, buffers))
        if sum(sizes) < limits.SHARED_BYTES_MIN or len(sizes) > limits.BUFFERS_MAX:
            return bulky
        if not self.may_lend:
            self._offer()
            return bulky
        try:
            msgspec.msgpack.encode(item)
        except Exception:  # the link finds out too, and then nothing would come back
            return bulky
        lent = self._pool.lend(self, buffers)
        if lent is None:
            return bulky
        slot, number = lent
        if self._is_closed:  # meanwhile: nobody would give it back
            self._pool.returned(self, slot.fd, number)
            return bulky
        return InMemory(item, slot.fd, slot.key, number, sizes, head_first)

    # -- the peer's --------------------------------------------------------------------------
    def _shared(self, item: ShareMemory) -> None:
        """The peer would lend us memory: show that we can read it, if we can."""
        self._pid = item.pid
        with contextlib.suppress(RemoteProtocolError):
            ours = self._open(item.fd, item.key, KEY_BYTES)
            self._put(MemoryRead(os.pread(ours, KEY_BYTES, HEAD_BYTES)))
        self._put(MemoryFreed(item.fd, item.lending, True))

    def _whole(self, item: InMemory) -> Bulky | Undecodable:
        """Return the item with its buffers, in memory that is ours to change, if they are there."""
        try:
            return self._map(item)
        except (RemoteProtocolError, MemoryError) as error:
            self._put(MemoryFreed(item.fd, item.lending, True))
            return Undecodable(msgspec.msgpack.encode(item.item), str(error))

    def _map(self, item: InMemory) -> Bulky:
        if item.head_first and item.item.payload:
            raise RemoteProtocolError("two payloads in one item")
        sizes = item.sizes
        if not 1 <= len(sizes) <= limits.BUFFERS_MAX:
            raise RemoteProtocolError(f"{len(sizes)} buffers, 1 to {limits.BUFFERS_MAX} allowed")
        if min(sizes) < 0 or not 0 < sum(sizes) <= limits.MESSAGE_BYTES_MAX:
            raise RemoteProtocolError(f"buffers in memory of {sum(sizes)} bytes")
        size = room_of(sizes)
        ours = self._open(item.fd, item.key, size)
        flags, access = mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
        mapped: mmap.mmap | bytearray
        try:
            mapped = mmap.mmap(ours, size, flags, access, offset=HEAD_BYTES)
        except OSError:  # no descriptor is left for it, say: copied, then
            mapped = bytearray(size)
            if os.preadv(ours, [mapped], HEAD_BYTES) != size:
                raise RemoteProtocolError("memory that can't be read") from None
            self._put(MemoryFreed(item.fd, item.lending, True))
        else:
            weakref.finalize(
                mapped, self._unmapped, item.fd, item.lending, forks.count()
            ).atexit = False
        whole, at, buffers = memoryview(mapped), 0, []
        for each in sizes:
            buffers.append(whole[at : at + each])
            at = next_place(at + each)
        inner = item.item
        if item.head_first:
            inner = msgspec.structs.replace(inner, payload=bytes(buffers.pop(0)))
        return Bulky(inner, tuple(buffers))

    def _unmapped(self, fd: int, lending: int, forks_then: int) -> None:
        """Nothing here uses that lending any more. Threads: any.

        A child that was forked meanwhile may: pages that nobody wrote to are the sender's.
        """
        self._put(MemoryFreed(fd, lending, forks.count() == forks_then))

    def _open(self, fd: int, key: bytes, size: int) -> int:
        """Return our descriptor of the peer's slot, which holds `size` bytes.

        Raises:
            RemoteProtocolError: it is none, or another.
        """
        known = self._mapped.get(fd)
        if known is None or known.key != key:
            self._forget(fd)
            try:
                known = self._mapped[fd] = _OpenSlot(key, _open_slot(self._pid, fd, key))
            except RemoteProtocolError:
                self._put(MemoryRead(b""))  # it had better send what is long
                raise
            if len(self._mapped) > limits.SHARED_SLOTS_MAX:
                self._forget(next(iter(self._mapped)))
        known.used = time.monotonic()
        if size > os.fstat(known.fd).st_size - HEAD_BYTES:
            raise RemoteProtocolError(f"{size} bytes in a slot of fewer")
        return known.fd

    def _forget(self, fd: int) -> None:
        known = self._mapped.pop(fd, None)
        if known is not None:
            forks.shared_again(known.fd)
            os.close(known.fd)

    def sweep(self) -> None:
        """Close what wasn't used for SHARED_IDLE_S: its memory is in use as long as it is open."""
        since = time.monotonic() - limits.SHARED_IDLE_S
        for fd in [fd for fd, known in self._mapped.items() if known.used <= since]:
            self._forget(fd)

    def close(self) -> None:
        """The peer is gone. What was mapped stays so for whoever uses it."""
        self._is_closed = True
        self.may_lend = False
        self._pool.forget(self)
        for fd in list(self._mapped):
            self._forget(fd)


def _open_slot(pid: int, fd: int, key: bytes) -> int:
    """Open a slot of another process.

    Raises:
        RemoteProtocolError: there is none with that key: nothing else is ever read.
    """
    path = f"/proc/{pid}/fd/{fd}"
    ours = -1
    try:
        if not os.readlink(path).startswith(f"/memfd:{NAME}"):
            raise OSError("no slot")
        ours = os.open(path, _READ)
        sealed = fcntl.fcntl(ours, fcntl.F_GET_SEALS) & SEALS == SEALS
        if not sealed or not secrets.compare_digest(os.pread(ours, KEY_BYTES, 0), key):
            raise OSError("another slot")
    except OSError as error:
        if ours >= 0:
            os.close(ours)
        raise RemoteProtocolError(f"memory that can't be read: {error}") from None
    forks.keep_private(ours)
    return ours
